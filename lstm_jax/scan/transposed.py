"""The recurrence with features before rows: wide layers on a CPU, without derivatives.

A product reads its left factor once, row by row, and its right factor again and again.
With states of `(H, B)` the factor that is read again is the state, which is small, not
the weight.
"""

from functools import partial
from math import prod

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.scan.gates import cell_of, weights_of
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.products import product

State = tuple[list[Array], list[Array]]  # h (one block if projected) and c, flat


def transposed(
    loop: Loop, params: LayerParams, steps: Steps, states: States
) -> tuple[Float[Array, "T ... P"], LSTMState]:
    """Run one direction over time; every row runs to its end.

    Inputs and state are multiplied by their weights together. Blocks of units are
    computed apart, so that XLA can run them at once. What is computed element by
    element is flat: XLA's CPU code for a few rows at the end of a shape is slow.

    Args:
        loop: What is fixed about the loop.
        params: Weights in the type of the cell.
        steps: Inputs in the type of the products, `(T, *B, I)`, without masks.
        states: State before the first step (the last, if reversed).

    Returns:
        `h` after each step and the final state.
    """
    (count, *batch, inputs), (h, c) = steps.xs.shape, states.before
    rows, dtype, weights = prod(batch), h.dtype, weights_of(params, steps.xs.dtype)
    multiply = partial(product, precision=loop.precision, axis=0)
    both = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
    bias = jnp.zeros(len(both), c.dtype) if weights.bias is None else weights.bias
    bias = jnp.broadcast_to(bias[:, None], (len(both), rows))
    of_units = list(zip(_blocks(both, 4), _flat(_blocks(bias, 4)), strict=True))

    def cells(factor: Array, cs: list[Array]) -> tuple[list[Array], list[Array]]:
        ys, after = [], []
        for (weight, bias), before in zip(of_units, cs, strict=True):
            sums = multiply(weight, factor).ravel() + bias
            y, c, _ = cell_of(jnp.split(sums, 4), before)
            ys.append(y.astype(dtype))
            after.append(c)
        return ys, after

    def features(parts: list[Array]) -> Array:
        return jnp.concatenate([a.reshape(-1, rows) for a in parts])

    def step(state: State, x: Array) -> tuple[State, Array]:
        hs, cs = state
        hs, cs = cells(jnp.concatenate([x.T, features(hs)]), cs)
        if weights.weight_hr is not None:
            hs = [multiply(weights.weight_hr, features(hs)).astype(dtype).ravel()]
        return (hs, cs), features(hs).T

    h, c = (a.reshape(rows, a.shape[-1]).T for a in states.before)
    hs = _blocks(h, 1) if weights.weight_hr is None else [h]
    xs = steps.xs.reshape(count, rows, inputs)
    start = _flat(hs), _flat(_blocks(c, 1))
    after, ys = lax.scan(step, start, xs, reverse=loop.reverse)
    h, c = (features(parts).T.reshape(*batch, -1) for parts in after)
    return ys.reshape(count, *batch, h.shape[-1]), LSTMState(h, c)


def _blocks(array: Array, kinds: int) -> list[Array]:
    """`(kinds * H, n)` cut by units into two blocks, each `(kinds * h, n)`."""
    parts = jnp.array_split(array.reshape(kinds, -1, array.shape[1]), 2, axis=1)
    return [part.reshape(-1, array.shape[1]) for part in parts]


def _flat(parts: list[Array]) -> list[Array]:
    return jax.tree.map(jnp.ravel, parts)
