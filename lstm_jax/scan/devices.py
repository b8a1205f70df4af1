"""What a call does differently on each of several devices."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array


def in_shard_map() -> bool:
    """Whether arrays are one device's part, over every axis of the mesh."""
    mesh = jax.sharding.get_abstract_mesh()
    return not mesh.empty and mesh.are_all_axes_manual


def zero_of(array: Array, dtype: jax.typing.DTypeLike) -> Array:
    """A zero that varies over the devices as an array of at least one axis does."""
    return jnp.sum(lax.stop_gradient(array)[:0]).astype(dtype)


def summed_at_once(params: dict[str, Array], xs: Array) -> dict[str, Array]:
    """The parameters, of which `shard_map` sums the gradients over the devices at once.

    An all-reduce on a CPU is a wait of the devices for each other, whatever its size,
    for each array in it. Gradients of arrays that vary less than `xs` does are reduced;
    here the array is one vector of all.
    """
    if not in_shard_map():
        return params
    vector, apart = ravel_pytree(params)
    return apart(vector + zero_of(xs, vector.dtype))
