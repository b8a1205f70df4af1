"""Arrays on several devices, and in the types of the scan."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.scan.gates import accumulator


def in_shard_map() -> bool:
    """Whether arrays are one device's part, over every axis of the mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and mesh.are_all_axes_manual


def may_be_divided() -> bool:
    """Whether `jit` may divide arrays: in `jax.set_mesh`, not in `shard_map`."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and not mesh.are_all_axes_manual


def summed_at_once(params: dict[str, Array], xs: Array) -> dict[str, Array]:
    """The parameters, passed through one vector.

    So `shard_map` sums their gradients in one all-reduce. On a CPU an all-reduce makes
    the devices wait for each other once for each array in it, whatever its size.
    Otherwise `shard_map` reduces each gradient by itself.
    """
    if not in_shard_map():
        return params
    vector, apart = ravel_pytree(params)
    return apart(vector + _zero_of(xs, vector.dtype))


def to_scan(
    params: LayerParams, steps: Steps, states: States
) -> tuple[LayerParams, Steps, States]:
    """Parameters and states in the types and the sharding of the scan."""
    dtype = steps.xs.dtype
    params = jax.tree.map(lambda a: a.astype(accumulator(dtype)), params)
    before, fresh = (s if s is None else _carried(s, dtype) for s in states)
    zero = jnp.sum(lax.stop_gradient(steps.xs)[:0], axis=(0, -1))[..., None]
    for other in jax.tree.leaves((params, steps._replace(xs=None), fresh)):
        zero = zero + _zero_of(other, zero.dtype)
    # JAX derives batch sharding and varying axes of the carried state from operands.
    before = jax.tree.map(lambda a: a + zero.astype(a.dtype), before)
    return params, steps, States(before, fresh)


def _carried(state: LSTMState, dtype: jnp.dtype) -> LSTMState:
    """The state in the types that go with products of type `dtype`."""
    return LSTMState(state.h.astype(dtype), state.c.astype(accumulator(dtype)))


def _zero_of(array: Array, dtype: jax.typing.DTypeLike) -> Array:
    """A zero that varies over the devices as an array of at least one axis does."""
    return jnp.sum(lax.stop_gradient(array)[:0]).astype(dtype)
