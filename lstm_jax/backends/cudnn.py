"""NVIDIA's cuDNN through `jax.experimental.rnn`: the whole stack in one call.

Float32, with `jit` and reverse mode only: asked for by name. Its products
are TF32's unless the precision is "highest".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.experimental import rnn
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams, Layers, LSTMSpec, LSTMState, States, Steps
from lstm_jax.scan.loop import Loop


@dataclass(frozen=True)
class CuDNN:
    """NVIDIA's kernel; it has no options."""

    name: ClassVar[str] = "cudnn"
    every_transform: ClassVar[bool] = False

    def unsupported(self, spec: LSTMSpec) -> str | None:
        """Every reason why cuDNN cannot run `spec`, in one sentence."""
        reasons = list(_reasons(spec))
        return f"{', and '.join(reasons)}." if reasons else None

    def settled(self) -> "CuDNN":
        """The same: nothing about it depends on the process."""
        return self

    def run(
        self, loop: Loop, spec: LSTMSpec, layers: Layers, steps: Steps, states: States
    ) -> tuple[Array, LSTMState]:
        """Run the stack in one call of cuDNN, see `lstm_jax.backends.Backend`."""
        if 0 in steps.xs.shape[:-1]:
            features = spec.num_directions * spec.output_size
            shape = (*steps.xs.shape[:-1], features)
            return jnp.zeros(shape, steps.xs.dtype), states.before
        return _run(loop, spec, layers, steps, states.before)


def _reasons(spec: LSTMSpec) -> Iterator[str]:
    if spec.platform != "gpu":
        yield "no CUDA device"
    elif getattr(rnn, "gpu_rnn", None) is None:
        yield "this jaxlib is built without cuDNN's LSTM"
    if spec.gate_axis:
        yield "its weights are (4H, K), not (4, H, K)"
    if spec.dtype != "float32":
        yield f"cuDNN's products are float32 here, not {spec.dtype}"
    for flag, sentence in (
        (spec.proj_size, "jax passes it no projection"),
        (spec.resets, "it has no resets"),
        (spec.remat, "it keeps what its own backward pass needs, without remat"),
        (spec.truncate, "it cuts no gradient"),
    ):
        if flag:
            yield sentence


def _run(
    loop: Loop, spec: LSTMSpec, layers: Layers, steps: Steps, state: LSTMState
) -> tuple[Array, LSTMState]:
    xs, (count, *batch, inputs) = steps.xs, steps.xs.shape
    rows, lengths = prod(batch), _lengths(steps)
    layers, state = jax.tree.map(lambda a: a.astype(xs.dtype), (layers, state))
    before = LSTMState(*(a.reshape(len(a), rows, a.shape[-1]) for a in state))
    kernel: Any = rnn.lstm
    with jax.named_scope("cudnn"):
        ys, h, c = kernel(
            jnp.swapaxes(xs.reshape(count, rows, -1), 0, 1),
            *before,
            pack(layers),
            jnp.maximum(lengths, 1),  # it needs a step: rows of 0 are restored below
            inputs,  # of the first layer here: dropout runs layers one by one
            spec.hidden_size,
            len(layers),
            0.0,
            spec.bidirectional,
            loop.precision,
        )
    ys = jnp.swapaxes(ys, 0, 1).reshape(count, *batch, -1)
    if steps.valid is not None:
        ys = jnp.where(steps.valid[..., None], ys, 0)
    some = (lengths > 0)[:, None]
    after = (jnp.where(some, a, b) for a, b in zip((h, c), before, strict=True))
    h, c = (a.reshape(b.shape) for a, b in zip(after, state, strict=True))
    return ys, LSTMState(h, c)


def _lengths(steps: Steps) -> Array:
    """Steps of each row of the flattened batch."""
    count, *batch = steps.xs.shape[:-1]
    if steps.valid is None:
        return jnp.full(prod(batch), count, jnp.int32)
    valid = steps.valid.reshape(count, prod(batch))
    return valid.sum(axis=0, dtype=jnp.int32)


def pack(layers: Layers) -> Float[Array, " weights"]:
    """Every weight in cuDNN's order: all matrices, then all biases, layer by layer."""
    passes = [params for layer in layers for params in layer]
    matrices = [a for p in passes for a in (p.weight_ih, p.weight_hh)]
    biases = [a for p in passes for a in _biases(p)]
    return jnp.concatenate([a.ravel() for a in (*matrices, *biases)])


def _biases(params: LayerParams) -> tuple[Array, Array]:
    zeros = jnp.zeros(params.weight_hh.shape[0], params.weight_hh.dtype)
    found = (params.bias_ih, params.bias_hh)
    bias_ih, bias_hh = (zeros if a is None else a for a in found)
    return bias_ih, bias_hh
