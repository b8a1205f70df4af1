"""Products with the weights, and the sums that the gates of a step are made of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import Precision
from lstm_jax.scan.gates import Weights, accumulator, split_gates
from lstm_jax.scan.loop import Loop

Sums = Callable[[Any, Array], list[Array]]


def product(x: Array, weight: Array, precision: Precision, axis: int = -1) -> Array:
    """`x @ weight.T`, or `x @ weight` with `axis=0`; summed in at least float32.

    The other axes of the weight, one or more, are the last of the product.
    """
    return lax.dot_general(
        x,
        weight,
        (((x.ndim - 1,), (axis % weight.ndim,)), ((), ())),
        precision=precision,
        preferred_element_type=accumulator(weight.dtype),
    )


def gate_sums(loop: Loop, weights: Weights, xs: Array) -> tuple[list[Array], Sums]:
    """What the loop reads of the inputs, and the gates' sums of that and `h`.

    The loop reads the inputs' share of the sums, bias included, as four sequences
    `(T, *B, H)`: XLA's CPU code for one stacked sequence that the loop slices is
    several times slower.
    """
    split = partial(split_gates, weight=weights.weight_hh)
    with jax.named_scope("input_product"):
        turned = jnp.moveaxis(weights.weight_ih, -1, 0)
        shares = split(product(xs, turned, loop.precision, axis=0))
        if weights.bias is not None:
            biases = split(weights.bias)
            shares = [a + b for a, b in zip(shares, biases, strict=True)]
    of_state = jnp.moveaxis(weights.weight_hh, -1, 0)

    def sums(shares: list[Array], h: Array) -> list[Array]:
        of_h = split(product(h, of_state, loop.precision, axis=0))
        return [a + b for a, b in zip(shares, of_h, strict=True)]

    return shares, sums
