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


def gate_sums(loop: Loop, weights: Weights, xs: Array) -> tuple[Any, Sums]:
    """What the loop reads of the inputs, and the gates' sums of that and `h`.

    The loop reads the inputs' share of the sums, bias included, as four sequences
    `(T, *B, H)`: XLA's CPU code for one stacked sequence that the loop slices is
    several times slower. With `fused_input`, it reads the inputs as they are.
    """
    split = partial(split_gates, weight=weights.weight_hh)
    biases = [] if weights.bias is None else split(weights.bias)

    def with_bias(sums: list[Array]) -> list[Array]:
        return [a + b for a, b in zip(sums, biases, strict=True)] if biases else sums

    if loop.order and loop.order.fused_input:
        both = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
        of_both = _of_step(loop, both)
        return xs, lambda x, h: with_bias(of_both(jnp.concatenate([x, h], axis=-1)))

    with jax.named_scope("input_product"):
        turned = jnp.moveaxis(weights.weight_ih, -1, 0)
        shares = with_bias(split(product(xs, turned, loop.precision, axis=0)))
    of_state = _of_step(loop, weights.weight_hh)

    def sums(shares: list[Array], h: Array) -> list[Array]:
        return [a + b for a, b in zip(shares, of_state(h), strict=True)]

    return shares, sums


def _of_step(loop: Loop, weight: Array) -> Callable[[Array], list[Array]]:
    """A step's product with a weight `(4H, K)` or `(4, H, K)`, split by gates.

    The weight is transposed here, before the loop. With `per_gate`, the gates are a
    batch axis: rows of one gate's weight lie closer together in memory than those of
    all four, and XLA leaves a product of few rows and few units to one core.
    """
    multiply = partial(product, precision=loop.precision, axis=0)
    if not (loop.order and loop.order.per_gate):
        turned = jnp.moveaxis(weight, -1, 0)
        return lambda x: split_gates(multiply(x, turned), weight)
    apart = jnp.swapaxes(weight.reshape(4, -1, weight.shape[1]), 1, 2)
    return lambda x: list(jax.vmap(multiply)(jnp.broadcast_to(x, (4, *x.shape)), apart))
