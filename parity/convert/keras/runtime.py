"""Keras on the arrays of a file as they are, with inputs that are given."""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from parity.convert.keras.contents import found_at
from parity.convert.keras.weights import is_lstm, is_of_cudnn
from parity.files.read import Contents
from parity.frameworks.framework import Outputs


def groups_at(contents: Contents, prefix: str) -> list[list[Any]]:
    """For each layer of Keras the arrays that it takes; none where it takes others.

    Those of `CuDNNLSTM` and of Keras 1 are of layers that Keras 3 has not. The cells of
    a stack are layers here: only `Bidirectional` takes several LSTMs.
    """
    one = found_at(contents, prefix)
    if one is None:
        return []
    arrays = [np.array(a) for a in one.layer.arrays]
    size = len(arrays) // len(one.parts)
    groups = [arrays[k : k + size] for k in range(0, len(arrays), size)]
    if is_of_cudnn(arrays) or not all(map(is_lstm, groups)):
        return []
    return [arrays] if one.bidirectional else groups


def keras_here() -> Any:
    """The module, where it is installed; on JAX, unless another backend is chosen.

    Raises:
        ImportError: If the backend that is chosen is not installed.
    """
    if find_spec("keras") is None:
        return None
    if "keras" not in sys.modules:
        _ = os.environ.setdefault("KERAS_BACKEND", "jax")
    return import_module("keras")


def run_groups(
    groups: list[list[Any]], xs: np.ndarray, h: np.ndarray, c: np.ndarray
) -> Outputs:
    """What Keras's layers make of inputs, each with the arrays of a group.

    Args:
        groups: As `groups_at` gives them.
        xs: `(T, B, I)`, float32.
        h: `(L*D, B, H)`.
        c: `(L*D, B, H)`.
    """
    keras, rows = keras_here(), np.swapaxes(xs, 0, 1)
    states = [array for pair in zip(h, c, strict=True) for array in pair]
    after = list[Any]()
    for arrays in groups:
        layer = _layer(keras, arrays)
        count = 4 if len(arrays) > 3 else 2
        given, states = states[:count], states[count:]
        rows, *held = layer(rows, initial_state=[*map(keras.ops.array, given)])
        after += held
    plain = [keras.ops.convert_to_numpy(array) for array in (rows, *after)]
    ys = np.swapaxes(plain[0], 0, 1)
    return Outputs(ys, np.stack(plain[1::2]), np.stack(plain[2::2]))


def _layer(keras: Any, arrays: list[Any]) -> Any:
    """A layer of Keras with these arrays; of two LSTMs, in both directions."""
    both = len(arrays) > 3
    layer = keras.layers.LSTM(
        len(arrays[1]),
        use_bias=len(arrays) in (3, 6),
        return_sequences=True,
        return_state=True,
        dtype="float32",
    )
    layer = keras.layers.Bidirectional(layer, dtype="float32") if both else layer
    layer.build((None, None, len(arrays[0])))
    layer.set_weights(arrays)
    return layer
