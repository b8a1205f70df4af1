"""NVIDIA's cuDNN through `jax.experimental.rnn`: the whole stack in one call.

Float32, reverse mode alone, and no transform beside `jit`: asked for by name. Its
products are TF32's unless the precision is "highest".
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import rnn
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState, Precision
from lstm_jax.scan.layer import Chunks
from lstm_jax.scan.recurrence import Masks

Layers = tuple[tuple[LayerParams, ...], ...]


def unsupported(spec: LSTMSpec) -> str | None:
    """Every reason why cuDNN cannot run `spec`, in one sentence."""
    reasons = list(_reasons(spec))
    return f"{', and '.join(reasons)}." if reasons else None


def _reasons(spec: LSTMSpec) -> Iterator[str]:
    if spec.platform != "gpu":
        yield "no CUDA device"
    elif getattr(rnn, "gpu_rnn", None) is None:
        yield "this jaxlib is built without cuDNN's LSTM"
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


def run(
    layers: Layers,
    xs: Array,
    state: LSTMState,
    reset_state: LSTMState | None,
    *,
    spec: LSTMSpec,
    masks: Masks,
    precision: Precision,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """Run the stack in one call of cuDNN, see `lstm_jax.backends.run`."""
    del reset_state, chunks
    steps, *batch, _ = xs.shape
    if 0 in xs.shape[:-1]:
        features = spec.num_directions * spec.output_size
        return jnp.zeros((steps, *batch, features), xs.dtype), state
    rows = prod(batch)
    lengths = jnp.full(rows, steps, jnp.int32)
    if masks.valid is not None:
        valid = jnp.broadcast_to(masks.valid, (steps, *batch))
        lengths = valid.reshape(steps, rows).sum(axis=0, dtype=jnp.int32)
    layers, state = jax.tree.map(lambda a: a.astype(xs.dtype), (layers, state))
    before = LSTMState(*(a.reshape(len(a), rows, a.shape[-1]) for a in state))
    kernel: Any = rnn.lstm
    with jax.named_scope("cudnn"):
        ys, h, c = kernel(
            jnp.swapaxes(xs.reshape(steps, rows, -1), 0, 1),
            *before,
            pack(layers),
            jnp.maximum(lengths, 1),  # of a row of none, what comes out is put right
            xs.shape[-1],  # with dropout, a layer that is not the first comes alone
            spec.hidden_size,
            len(layers),
            0.0,
            spec.bidirectional,
            precision,
        )
    ys = jnp.swapaxes(ys, 0, 1).reshape(steps, *batch, -1)
    if masks.valid is not None:
        ys = jnp.where(masks.valid[..., None], ys, 0)
    some = (lengths > 0)[:, None]
    after = (jnp.where(some, a, b) for a, b in zip((h, c), before, strict=True))
    h, c = (a.reshape(b.shape) for a, b in zip(after, state, strict=True))
    return ys, LSTMState(h, c)


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
