"""The recurrence with features before rows: outputs alone, on a CPU, of wide layers.

A product reads its left factor once, row by row, and its right factor again and again.
With states of `(H, B)` that is the state, which is small, not the weight.
"""

from functools import partial
from math import prod

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from lstm_jax._types import LayerParams, LSTMState
from lstm_jax.scan.gates import Options, cell_of, times, weights_of

State = tuple[list[Array], list[Array]]  # h (one block if projected) and c, flat


def features_first(
    options: Options,
    params: LayerParams,
    xs: Float[Array, "T ... I"],
    state: LSTMState,
) -> tuple[Float[Array, "T ... P"], LSTMState]:
    """Run one direction over time, every row to its end.

    Inputs and state are multiplied by their weights together, a block of units apart
    from the others, so that XLA can run them at once. What is computed element by
    element is flat: XLA's CPU code for a few rows at the end of a shape is slow.

    Args:
        options: Static options.
        params: Weights in the type of the cell.
        xs: Inputs in the type of the products, `(T, *B, I)`.
        state: State before the first step (the last, if reversed).

    Returns:
        `h` after each step and the final state.
    """
    (steps, *batch, inputs), (h, c), dtype = xs.shape, state, state.h.dtype
    rows, weights = prod(batch), weights_of(params, xs.dtype)
    multiply = partial(times, precision=options.precision)
    units = partial(_units, options)
    both = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
    bias = jnp.zeros(len(both), c.dtype) if weights.bias is None else weights.bias
    bias = jnp.broadcast_to(bias[:, None], (len(both), rows))
    of_units = list(zip(units(both, 4), _flat(units(bias, 4)), strict=True))

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

    h, c = (a.reshape(rows, a.shape[-1]).T for a in state)
    hs = units(h, 1) if weights.weight_hr is None else [h]
    before = _flat(hs), _flat(units(c, 1))
    xs = xs.reshape(steps, rows, inputs)
    after, ys = lax.scan(step, before, xs, reverse=options.reverse)
    h, c = (features(parts).T.reshape(*batch, -1) for parts in after)
    return ys.reshape(steps, *batch, h.shape[-1]), LSTMState(h, c)


def _units(options: Options, array: Array, count: int) -> list[Array]:
    """`(count*H, n)` by units: `(count*H/k, n)` for each of the k blocks."""
    units, last = array.shape[0] // (count * options.blocks), array.shape[1]
    parts = array.reshape(count, options.blocks, units, last)
    return [parts[:, k].reshape(-1, last) for k in range(options.blocks)]


def _flat(parts: list[Array]) -> list[Array]:
    return [a.ravel() for a in parts]
