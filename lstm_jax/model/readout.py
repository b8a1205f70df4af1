"""Which of the LSTM's outputs a prediction is made from."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._types import LSTMState

OUTPUTS = ("last", "final", "mean", "all")


def read_out(
    outputs: str, ys: Array, state: LSTMState, lengths: Any, directions: int
) -> Float[Array, "... P"]:
    """What the head is given.

    Args:
        outputs: One of `OUTPUTS`.
        ys: Outputs, `(*B, T, D*P)`, zero past the lengths.
        state: The state after, `(L*D, *B, P)`.
        lengths: Steps of each row, `*B`; None means T.
        directions: `D`.

    Returns:
        `(*B, D*P)`, or for "all" `(*B, T, D*P)`.
    """
    if outputs == "all":
        return ys
    if outputs == "final":
        ends = jnp.moveaxis(state.h[-directions:], 0, -2)
        return ends.reshape(*ends.shape[:-2], -1).astype(ys.dtype)
    steps = ys.shape[-2]
    if lengths is None:
        return _last(ys, state, directions) if outputs == "last" else _mean(ys, steps)
    # Signed, for 0 - 1 of uint8 is 255; within T, as `lstm` clamps what is traced.
    lengths = jnp.clip(jnp.asarray(lengths).astype(jnp.int32), 0, steps)[..., None]
    if outputs == "mean":
        return _mean(ys, jnp.maximum(lengths, 1))
    last = jnp.maximum(lengths - 1, 0)[..., None]
    return jnp.take_along_axis(ys, last, axis=-2)[..., 0, :]


def _last(ys: Array, state: LSTMState, directions: int) -> Array:
    """The outputs of the last step; of one direction they are its state `h`.

    Where nothing else reads `ys`, it is not kept: under `remat` neither it nor its
    gradients take any memory.
    """
    if directions == 1 and state.h.dtype == ys.dtype:
        return state.h[-1]
    return ys[..., -1, :]


def _mean(ys: Array, steps: Any) -> Array:
    """The mean over so many steps, summed in float32 at least."""
    wide = jnp.promote_types(ys.dtype, jnp.float32)
    return (jnp.sum(ys, axis=-2, dtype=wide) / steps).astype(ys.dtype)
