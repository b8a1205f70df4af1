"""`jax.experimental.rnn`: cuDNN's LSTM of the whole stack, its weights one flat array.

It has an implementation for CUDA alone, in float32. The weights are packed once, as by
one who trains them: gradients are those of the flat array.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from lstm_jax import LSTMSpec
from parity.bench.peers.harness import Model, Outputs, plain, precision_of, program
from parity.bench.runner import Array, Build, Program, Unsupported
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.judge.cases import Problem


def builder() -> Build:
    """Programs of `jax.experimental.rnn`."""
    return _build


def _build(work: Work, problem: Problem, settings: Settings) -> Program:
    plain(work, problem)
    if settings.device != "gpu":
        raise Unsupported("no CUDA device")
    if work.case.dtype != "float32":
        raise Unsupported(f"cuDNN's products are float32 here, not {work.case.dtype}")
    return program(model_of(work, problem, settings), work, problem, settings)


def model_of(work: Work, problem: Problem, settings: Settings) -> Model:
    """The stack in one call, batch first, as the kernel has it."""
    spec = work.case.spec

    def run(weights: jax.Array, xs: jax.Array) -> Outputs:
        steps, batch, _ = xs.shape
        passes = spec.num_layers * spec.num_directions
        zeros = jnp.zeros((passes, batch, spec.hidden_size), xs.dtype)
        kernel: Any = rnn.lstm
        ys, h, c = kernel(
            jnp.swapaxes(xs, 0, 1),
            zeros,
            zeros,
            weights,
            jnp.full(batch, steps, jnp.int32),
            spec.input_size,
            spec.hidden_size,
            spec.num_layers,
            0.0,
            spec.bidirectional,
            precision_of(settings),
        )
        return Outputs(jnp.swapaxes(ys, 0, 1), h, c)

    return Model(
        params=pack(spec, problem.params),
        run=run,
        by_name=lambda weights: unpack(spec, weights),
        backend="cudnn",
    )


def _names(spec: LSTMSpec) -> list[str]:
    """Torch's names in cuDNN's order: all matrices, then all biases."""
    layers, directions = range(spec.num_layers), range(spec.num_directions)
    keys = [spec.layer_keys(k, d) for k in layers for d in directions]
    return [n for names in keys for n in names[:2]] + [
        n for names in keys for n in names[2:4]
    ]


def pack(spec: LSTMSpec, params: Mapping[str, Array]) -> jax.Array:
    """Every weight in one flat array."""
    return jnp.concatenate([jnp.ravel(params[name]) for name in _names(spec)])


def unpack(spec: LSTMSpec, weights: Any) -> dict[str, Any]:
    """The flat array's parts by torch's names, with their shapes."""
    names, shapes = _names(spec), spec.shapes()
    ends = np.cumsum([prod(shapes[name]) for name in names])[:-1]
    parts = jnp.split(weights, ends)
    return {n: a.reshape(shapes[n]) for n, a in zip(names, parts, strict=True)}
