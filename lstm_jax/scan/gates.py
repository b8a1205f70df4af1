"""The gates of a step, as every loop over time shares them: weights and cell."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams


class Weights(NamedTuple):
    """Weights of one direction, in the type of the products.

    They have torch's shapes, or the gates on an axis of their own: `(4, H, K)` and
    `(4, H)`. `bias` is the sum of the two, in the type of the gates; None where there
    is none.
    """

    weight_ih: Float[Array, "*gates I"]
    weight_hh: Float[Array, "*gates P"]
    bias: Float[Array, "*gates"] | None
    weight_hr: Float[Array, "P H"] | None


def weights_of(params: LayerParams, dtype: jnp.dtype) -> Weights:
    """The weights in the type of the products, the biases added."""
    weight_ih, weight_hh, weight_hr = jax.tree.map(
        lambda a: a.astype(dtype),
        (params.weight_ih, params.weight_hh, params.weight_hr),
    )
    bias = None if params.bias_ih is None else params.bias
    return Weights(weight_ih, weight_hh, bias, weight_hr)  # type: ignore[arg-type]


class Gates(NamedTuple):
    """Gates of every step, `(T, *B, H)` each."""

    i: Array
    f: Array
    g: Array
    o: Array


def accumulator(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The type of sums, gates and cell for products of type `dtype`."""
    dtype = jnp.dtype(dtype)
    return dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)


def split_gates(sums: Array, weight: Array) -> list[Array]:
    """The gates' parts `(..., H)` of sums that a weight made.

    The sums of a weight `(4H, K)` are `(..., 4H)`, of `(4, H, K)` they are
    `(..., 4, H)`.
    """
    if weight.ndim == 2:
        return jnp.split(sums, 4, axis=-1)
    return [sums[..., gate, :] for gate in range(4)]


def cell_of(sums: list[Array], c: Array) -> tuple[Array, Array, Gates]:
    """Output before the projection, cell and gates, from the gates' sums and `c`."""
    i, f, o = (jax.nn.sigmoid(sums[k]) for k in (0, 1, 3))
    g = jnp.tanh(sums[2])
    c = f * c + i * g
    return o * jnp.tanh(c), c, Gates(i, f, g, o)
