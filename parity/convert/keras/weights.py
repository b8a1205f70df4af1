"""The arrays of Keras's LSTMs as torch's: of Keras 1 to 3, and of CuDNNLSTM."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lstm_jax import LayerParams

# Of Keras 1: each gate has its own arrays, and they are stored in another order.
_GATES_OF_KERAS_1 = 12
_PLACES = (0, 6, 3, 9)  # of the kernels of i, f, g, o


def parts_of(arrays: Sequence[Any]) -> list[LayerParams]:
    """Each LSTM among the weights that Keras lists for a layer; others are left out.

    Args:
        arrays: A kernel, a recurrent kernel and a bias, or none, for each LSTM; in
            Keras 1, these three for each of the gates `i`, `c`, `f`, `o`.

    Returns:
        Torch's arrays: `bias_hh` is zeros where one bias is stored.

    Example:
        >>> weights = np.ones((3, 8)), np.ones((2, 8)), np.ones(8)
        >>> [params.weight_ih.shape for params in parts_of(weights)]
        [(8, 3)]
    """
    if len(arrays) % _GATES_OF_KERAS_1 == 0 and all(map(_is_gate, _triples(arrays))):
        steps = range(0, len(arrays), _GATES_OF_KERAS_1)
        return [_joined(arrays[k : k + _GATES_OF_KERAS_1]) for k in steps]
    return [_part(*group) for group in _groups(arrays) if is_lstm(group)]


def _triples(arrays: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (arrays[k : k + 3] for k in range(0, len(arrays), 3))


def _is_gate(group: Sequence[Any]) -> bool:
    """Whether these are the arrays of one gate of Keras 1."""
    kernel, recurrent, bias = (a.shape for a in group)
    units = bias[-1:]
    return len(kernel) == 2 and kernel[1:] == units and recurrent == units * 2


def _joined(arrays: Sequence[Any]) -> LayerParams:
    """The four gates of Keras 1 together."""
    kernel, recurrent, bias = (
        np.concatenate([arrays[place + k] for place in _PLACES], axis=-1)
        for k in range(3)
    )
    return _part(kernel, recurrent, bias)


def _groups(arrays: Sequence[Any]) -> Iterator[list[Any]]:
    """Two matrices, and a vector if one comes after them."""
    starts = [k for k, a in enumerate(arrays) if len(a.shape) != 1]
    bounds = [*starts[::2], len(arrays)]
    for start, end in pairwise(bounds):
        yield [*arrays[start:end]]


def is_lstm(group: Sequence[Any]) -> bool:
    """Whether two or three arrays have the shapes of Keras's LSTM."""
    shapes = [a.shape for a in group]
    if (
        len(shapes) not in (2, 3)
        or [len(s) for s in shapes] != [2, 2, 1][: len(shapes)]
    ):
        return False
    units = shapes[1][0]
    biases = [s[0] for s in shapes[2:]]
    stacked = shapes[0][1] == shapes[1][1] == 4 * units
    return stacked and biases in ([], [4 * units], [8 * units])


def is_of_cudnn(arrays: Sequence[Any]) -> bool:
    """Whether weights have two biases, which only CuDNNLSTM has."""
    groups = (group for group in _groups(arrays) if is_lstm(group))
    return any(len(g) == 3 and g[2].size == 2 * g[0].shape[1] for g in groups)


def _part(kernel: Any, recurrent: Any, bias: Any = None) -> LayerParams:
    """One direction; two biases in one array tell the layout of CuDNNLSTM."""
    if bias is None:
        return LayerParams(kernel.T, recurrent.T, None, None)
    if bias.size == kernel.shape[1]:
        return LayerParams(kernel.T, recurrent.T, bias, np.zeros_like(bias))
    return _of_cudnn(kernel, recurrent, np.asarray(bias))


def _of_cudnn(kernel: Any, recurrent: Any, bias: Any) -> LayerParams:
    """Each gate is torch's block, in the shape of Keras's."""
    units = recurrent.shape[0]
    blocks = [np.ascontiguousarray(b) for b in np.split(np.asarray(kernel), 4, axis=1)]
    weight_ih: Any = np.concatenate([block.reshape(units, -1) for block in blocks])
    weight_hh: Any = np.concatenate(np.split(np.asarray(recurrent), 4, axis=1))
    return LayerParams(weight_ih, weight_hh, bias[: 4 * units], bias[4 * units :])
