"""cuDNN's LSTM as `jax.experimental.rnn` has it: a whole stack, one flat array."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import rnn

from lstm_jax import LayerParams, LSTMSpec, spec_of
from parity.arrays import array_of
from parity.frameworks.exchange import read, written
from parity.frameworks.framework import Outputs
from parity.frameworks.layers import Layers, params_of
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import to_layout

CUDNN = LAYOUTS["jax.experimental.rnn"]


@partial(jax.tree_util.register_dataclass, data_fields=["array"], meta_fields=["spec"])
@dataclass(frozen=True)
class FlatWeights:
    """Every weight of a stack in one array, and the sizes that it does not tell."""

    array: Any
    spec: LSTMSpec


def store(layers: Layers) -> FlatWeights:
    """All kernels, layer by layer and direction by direction; then all biases."""
    each = [to_layout(one, CUDNN) for directions in layers for one in directions]
    kernels = [a for stacked in each for a in stacked[:2]]
    biases = [a for stacked in each for a in stacked.biases]
    array = jnp.concatenate([jnp.ravel(a) for a in (*kernels, *biases)])
    return FlatWeights(array, spec_of(params_of(layers)))


def load(weights: FlatWeights) -> Layers:
    """The layers, cut by the sizes."""
    spec = weights.spec
    arrays = rnn.unpack_lstm_weights(weights.array, *_sizes(spec), spec.bidirectional)
    count, directions = len(arrays[0]), spec.num_directions
    found = [LayerParams(*(kind[k] for kind in arrays)) for k in range(count)]
    return [tuple(found[k : k + directions]) for k in range(0, count, directions)]


def run_kernel(weights: FlatWeights, xs: Any) -> Outputs:
    """The kernel on a GPU, and jax's own reference of it elsewhere."""
    spec, array = weights.spec, weights.array
    rows = jnp.swapaxes(xs, 0, 1)  # batch first, as the kernel has it
    batch, steps, _ = rows.shape
    passes = spec.num_layers * spec.num_directions
    zeros = jnp.zeros((passes, batch, spec.hidden_size), xs.dtype)
    lengths = jnp.full(batch, steps, jnp.int32)
    options = (*_sizes(spec), 0.0, spec.bidirectional)
    if jax.default_backend() == "gpu":
        kernel: Any = rnn.lstm
        ys, h, c = kernel(rows, zeros, zeros, array, lengths, *options)
    else:
        parts = rnn.unpack_lstm_weights(array, *_sizes(spec), spec.bidirectional)
        ys, h, c = rnn.lstm_ref(rows, zeros, zeros, *parts, lengths, *options)
    return Outputs(jnp.swapaxes(ys, 0, 1), h, c)


def _sizes(spec: LSTMSpec) -> tuple[int, int, int]:
    return spec.input_size, spec.hidden_size, spec.num_layers


def from_cudnn(
    weights: Any,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
) -> dict[str, Any]:
    """The LSTM of the flat weights of `jax.experimental.rnn`, bit for bit.

    The sizes are not in the weights: several may fit the same number of them.

    Args:
        weights: One axis, as `jax.experimental.rnn.init_lstm_weight` makes it.
        input_size: `I`.
        hidden_size: `H`.
        num_layers: `L`.
        bidirectional: Whether there is a reverse direction.

    Returns:
        A flat mapping of torch's names to arrays.

    Raises:
        ValueError: If the sizes ask for another number of weights, or JAX would round
            a value.

    Example:
        >>> params = from_cudnn(jnp.zeros(4 * (4 * 3 + 4 * 4 + 4 + 4)), 3, 4)
        >>> params["weight_ih_l0"].shape
        (16, 3)
    """
    spec = LSTMSpec(
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        bidirectional=bidirectional,
    )
    array = array_of("weights", weights, "from_cudnn")
    count = rnn.get_num_params_in_lstm(*_sizes(spec), bidirectional)
    if array.shape != (count,):
        raise ValueError(
            f"from_cudnn: weights.shape={array.shape} must be ({count},): the sizes "
            "ask for that many. Give the sizes that the weights were made with."
        )
    return read("from_cudnn", load(FlatWeights(array, spec)), "mapping")


def to_cudnn(source: Any, *, allow: str | Iterable[str] = ()) -> jax.Array:
    """The flat weights of `jax.experimental.rnn` for an LSTM, bit for bit.

    Its `lstm` takes them with batch first, and with a state `(h, c)`.

    Args:
        source: `lstm_jax.LSTM` or `LSTMCell`, or a flat mapping of torch's names.
        allow: Losses that are wanted all the same: those of `parity.losses`,
            "dropout" (it is an argument of the kernel's call) and "dtype".

    Returns:
        One axis: all kernels, layer by layer and direction by direction, then all
        biases.

    Raises:
        TypeError: If the source is none of these.
        NotImplementedError: If something would be lost: a projection, dropout, a type.

    Example:
        >>> to_cudnn(lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0))).shape
        (144,)
    """
    return store(written("to_cudnn", source, "cudnn", allow).layers).array
