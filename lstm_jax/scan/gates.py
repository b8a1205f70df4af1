"""The gates of a step, as every loop over time shares them: weights and cell."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams


class Weights(NamedTuple):
    """Weights of one direction in torch's shapes, in the type of the products.

    `bias` is the sum of the two, in the type of the gates; None where there is none.
    """

    weight_ih: Float[Array, "4H I"]
    weight_hh: Float[Array, "4H P"]
    bias: Float[Array, "4H"] | None
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


def cell_of(sums: list[Array], c: Array) -> tuple[Array, Array, Gates]:
    """Output before the projection, cell and gates, from the gates' sums and `c`."""
    i, f, o = (jax.nn.sigmoid(sums[k]) for k in (0, 1, 3))
    g = jnp.tanh(sums[2])
    c = f * c + i * g
    return o * jnp.tanh(c), c, Gates(i, f, g, o)
