"""Products with the weights, and the sums that the gates of a step are made of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import Precision
from lstm_jax.scan.gates import Weights, accumulator
from lstm_jax.scan.loop import Loop

Sums = Callable[[Any, Array], list[Array]]


def product(x: Array, weight: Array, precision: Precision, axis: int = 1) -> Array:
    """`x @ weight.T`, or `x @ weight` with `axis=0`; summed in at least float32."""
    return lax.dot_general(
        x,
        weight,
        (((x.ndim - 1,), (axis,)), ((), ())),
        precision=precision,
        preferred_element_type=accumulator(weight.dtype),
    )


def gate_sums(loop: Loop, weights: Weights, xs: Array) -> tuple[Any, Sums]:
    """What the loop reads of the inputs, and the gates' sums of that and `h`.

    The loop reads the inputs' share of the sums, bias included, as four sequences
    `(T, *B, H)`: XLA's CPU code for one stacked sequence that the loop slices is
    several times slower. With `fused_input`, it reads the inputs as they are.
    """
    biases = [] if weights.bias is None else jnp.split(weights.bias, 4)

    def with_bias(sums: list[Array]) -> list[Array]:
        return [a + b for a, b in zip(sums, biases, strict=True)] if biases else sums

    if loop.order and loop.order.fused_input:
        both = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
        of_both = _of_step(loop, both)
        return xs, lambda x, h: with_bias(of_both(jnp.concatenate([x, h], axis=-1)))

    with jax.named_scope("input_product"):
        shares = product(xs, weights.weight_ih.T, loop.precision, axis=0)
        shares = with_bias(jnp.split(shares, 4, axis=-1))
    of_state = _of_step(loop, weights.weight_hh)

    def sums(shares: list[Array], h: Array) -> list[Array]:
        return [a + b for a, b in zip(shares, of_state(h), strict=True)]

    return shares, sums


def _of_step(loop: Loop, weight: Array) -> Callable[[Array], list[Array]]:
    """A step's product with a weight `(4H, K)`, split by gates.

    The weight is transposed here, before the loop. With `per_gate`, the gates are a
    batch axis: rows of one gate's weight lie closer together in memory than those of
    all four, and XLA leaves a product of few rows and few units to one core.
    """
    multiply = partial(product, precision=loop.precision, axis=0)
    if not (loop.order and loop.order.per_gate):
        turned = weight.T
        return lambda x: jnp.split(multiply(x, turned), 4, axis=-1)
    apart = jnp.swapaxes(weight.reshape(4, -1, weight.shape[1]), 1, 2)
    return lambda x: list(jax.vmap(multiply)(jnp.broadcast_to(x, (4, *x.shape)), apart))
