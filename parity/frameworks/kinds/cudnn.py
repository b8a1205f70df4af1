"""cuDNN's LSTM as `jax.experimental.rnn` has it: a whole stack, one flat array."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import rnn

from lstm_jax import LayerParams, LSTMSpec, spec_of
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
