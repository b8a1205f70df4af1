"""The gates of a step, as the loops over time share them: weights, products, cell."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams, Precision


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


@dataclass(frozen=True)
class Options:
    """Static options: direction of time, precision of the products, their order.

    Where `joined`, inputs and state are multiplied by their weights together, step by
    step. Where `by_gate`, a step has a product for each gate, in one call. `alone` is
    how outputs are computed where nothing is to be differentiated: "" as they are
    elsewhere, "joined" over all of T at once, or "features" before rows, with the units
    in so many `blocks`. A loop has `unroll` steps in its body, and both directions of a
    layer if `together`.
    """

    reverse: bool = False
    precision: Precision = None
    joined: bool = False
    by_gate: bool = False
    alone: Literal["", "joined", "features"] = ""
    blocks: int = 1
    unroll: int = 1
    together: bool = False


def accumulator(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The type of sums, gates and cell for products of type `dtype`."""
    dtype = jnp.dtype(dtype)
    return dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)


def product(x: Array, weight: Array, precision: Precision) -> Array:
    """`x @ weight.T`, accumulated and returned in at least float32."""
    return lax.dot_general(
        x,
        weight,
        (((x.ndim - 1,), (1,)), ((), ())),
        precision=precision,
        preferred_element_type=accumulator(weight.dtype),
    )


def times(x: Array, weight: Array, precision: Precision) -> Array:
    """`x @ weight`: the same product with a weight that was transposed beforehand."""
    dtype = accumulator(weight.dtype)
    return jnp.matmul(x, weight, precision=precision, preferred_element_type=dtype)


def gates_apart(weight: Array) -> Array:
    """A weight `(4H, K)` as `(4, K, H)`, for `times_each`."""
    return jnp.swapaxes(weight.reshape(4, -1, weight.shape[1]), 1, 2)


def times_each(x: Array, weights: Array, precision: Precision) -> list[Array]:
    """`x @ weight` of each gate, `(*B, H)` each: one call with the gates as batch.

    Rows of a gate's weight lie closer together than those of all four, and a product of
    few rows and few units is small enough for XLA to leave it to one core.
    """
    sums = lax.dot_general(
        jnp.broadcast_to(x, (4, *x.shape)),
        weights,
        (((x.ndim,), (1,)), ((0,), (0,))),
        precision=precision,
        preferred_element_type=accumulator(weights.dtype),
    )
    return list(sums)


def cell_of(inputs: list[Array], c: Array) -> tuple[Array, Array, Gates]:
    """The gates of their inputs, and what they make of the cell: output and cell."""
    i, f, o = (jax.nn.sigmoid(inputs[k]) for k in (0, 1, 3))
    g = jnp.tanh(inputs[2])
    c = f * c + i * g
    return o * jnp.tanh(c), c, Gates(i, f, g, o)
