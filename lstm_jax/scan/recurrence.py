"""The recurrence over time and its derivative rule.

Restates `lstm_step` for speed. `forward` keeps every gate for the derivatives. The
input's share of the gates is one product for all steps, and reaches the loop as four
sequences, because XLA's CPU code for one stacked sequence, sliced in the loop, is
several times slower; or inputs and state are multiplied together, step by step, where
that is faster. `features_first.py` restates it once more, for outputs alone.

The rule is a custom JVP. It takes the tangents of the weights *out of* the scan over
steps (one product for all steps) and leaves a scan that is linear in the tangents.
JAX transposes it: the backward pass is one scan for the gates' gradients and one large
product for each weight, never a sum over steps. Forward mode, reverse mode and their
compositions all follow from it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from lstm_jax._types import LSTMState
from lstm_jax.scan.gates import (
    Gates,
    Options,
    Weights,
    cell_of,
    gates_apart,
    product,
    times,
    times_each,
)


class Masks(NamedTuple):
    """What happens to a row at a step beside the equations; None where nothing does.

    Where `valid` is false the row's sequence has ended: its state stays as it is. Where
    `reset` is true the row's state is replaced before the step.
    """

    valid: Bool[Array, "T ..."] | None = None
    reset: Bool[Array, "T ..."] | None = None


def _project(options: Options, weights: Weights, cell_output: Array) -> Array:
    h = cell_output.astype(weights.weight_hh.dtype)
    if weights.weight_hr is None:
        return h
    return product(h, weights.weight_hr, options.precision).astype(h.dtype)


def _where(mask: Array, new: LSTMState, old: LSTMState) -> LSTMState:
    h, c = (jnp.where(mask[..., None], *pair) for pair in zip(new, old, strict=True))
    return LSTMState(h, c)


def _before(masks: Masks, reset_state: LSTMState | None, state: LSTMState) -> LSTMState:
    """The state a step starts from: `state`, or `reset_state` (zeros) after a reset."""
    if masks.reset is None:
        return state
    new = reset_state or LSTMState(jnp.zeros_like(state.h), jnp.zeros_like(state.c))
    return _where(masks.reset, new, state)


def _after(masks: Masks, new: LSTMState, old: LSTMState) -> LSTMState:
    """The state a step leaves: `new`, or `old` for rows that have ended."""
    return new if masks.valid is None else _where(masks.valid, new, old)


def forward(
    options: Options,
    xs: Array,
    weights: Weights,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[LSTMState, LSTMState, Gates]:
    """Scan over the steps: the final state, the state after each step, the gates."""
    inputs, gates_of = _sums(options, xs, weights)

    def step(
        state: LSTMState, inputs: tuple[Any, Masks]
    ) -> tuple[LSTMState, tuple[LSTMState, Gates]]:
        x, masks = inputs
        h, c = _before(masks, reset_state, state)
        y, c, gates = cell_of(gates_of(x, h), c)
        new = LSTMState(_project(options, weights, y), c)
        new = _after(masks, new, state)
        return new, (new, gates)

    final, (states, gates) = _scan(options, step, state, (inputs, masks))
    return final, states, gates


def _scan(options: Options, step: Any, state: LSTMState, inputs: Any) -> Any:
    return lax.scan(step, state, inputs, reverse=options.reverse, unroll=options.unroll)


def _sums(
    options: Options, xs: Array, weights: Weights
) -> tuple[Any, Callable[[Any, Array], list[Array]]]:
    """What the scan is given of the inputs, and what sums the gates' inputs in a step.

    That is the input's share of the gates, bias included, four `(T, *B, H)`; or, if
    joined, the inputs as they are.
    """
    biases = [] if weights.bias is None else jnp.split(weights.bias, 4)

    def with_bias(sums: list[Array]) -> list[Array]:
        return [a + b for a, b in zip(sums, biases, strict=True)] if biases else sums

    if options.joined:
        both = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
        sums_of_both = _product(options, both)

        def joined(x: Array, h: Array) -> list[Array]:
            return with_bias(sums_of_both(jnp.concatenate([x, h], axis=-1)))

        return xs, joined

    with jax.named_scope("input_product"):
        shares = times(xs, weights.weight_ih.T, precision=options.precision)
        shares = with_bias(jnp.split(shares, 4, axis=-1))
    sums_of_state = _product(options, weights.weight_hh)

    def apart(x: list[Array], h: Array) -> list[Array]:
        return [a + b for a, b in zip(x, sums_of_state(h), strict=True)]

    return shares, apart


def _product(options: Options, weight: Array) -> Callable[[Array], list[Array]]:
    """What multiplies by a weight `(4H, K)`, gate by gate or all at once."""
    if options.by_gate:
        each = gates_apart(weight)
        return lambda x: times_each(x, each, options.precision)
    turned = weight.T
    return lambda x: jnp.split(times(x, turned, options.precision), 4, axis=-1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def recurrence(
    options: Options,
    xs: Array,
    weights: Weights,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[Float[Array, "T ... P"], LSTMState]:
    """Run one direction over time.

    Args:
        options: Static options.
        xs: Inputs in the type of the products, `(T, *B, I)`.
        weights: Its weights.
        state: State before the first step (the last, if reversed).
        masks: Ends and resets of the rows.
        reset_state: State after a reset, `(*B, P)` and `(*B, H)`; None means zeros.

    Returns:
        `h` after each step (a row that has ended keeps its last) and the final state.
    """
    final, states, _ = forward(options, xs, weights, state, masks, reset_state)
    return states.h, final


@recurrence.defjvp
def _recurrence_jvp(options: Options, primals: tuple, tangents: tuple) -> tuple:
    final, states, gates = forward(options, *primals)
    outputs = _tangents(options, primals, (states, gates), tangents)
    return (states.h, final), outputs


# Checkpointed: the backward pass is given the gates and states, and not the seven
# sequences that are made of them. Fresh memory is slow, and this is most of it.
@partial(jax.checkpoint, static_argnums=0, prevent_cse=False)
def _tangents(
    options: Options,
    primals: tuple,
    known: tuple[LSTMState, Gates],
    tangents: tuple,
) -> tuple[Array, LSTMState]:
    """Tangents of the outputs: linear in those of the arguments."""
    xs, weights, state, masks, reset_state = primals
    d_xs, d_weights, d_state, _, d_reset_state = tangents
    states, (i, f, g, o) = known
    tanh_c = jnp.tanh(states.c)
    if masks.valid is None and weights.weight_hr is None:  # nothing else was done to it
        states = LSTMState((o * tanh_c).astype(states.h.dtype), states.c)
    h_in, c_in = _incoming(options, state, states, masks, reset_state)
    # The only places where a weight's tangent enters: one product over all steps each.
    multiply = partial(product, precision=options.precision)
    d_gates = multiply(xs, d_weights.weight_ih) + multiply(d_xs, weights.weight_ih)
    d_gates = d_gates + multiply(h_in, d_weights.weight_hh)
    if d_weights.bias is not None:
        d_gates = d_gates + d_weights.bias
    d_outputs = None
    if d_weights.weight_hr is not None:
        d_outputs = multiply((o * tanh_c).astype(h_in.dtype), d_weights.weight_hr)
    slopes = Slopes(
        i=i * (1 - i) * g,
        f=f * (1 - f) * c_in,
        g=i * (1 - g * g),
        o=o * (1 - o) * tanh_c,
        c=o * (1 - tanh_c * tanh_c),
        c_in=f,
    )
    linear = partial(_linear_step, options, weights, d_reset_state)
    inputs = (d_gates, d_outputs, slopes, masks)
    d_final, d_hs = _scan(options, linear, d_state, inputs)
    return d_hs, d_final


class Slopes(NamedTuple):
    """Partial derivatives of a step: of c by i, f, g, c_in; of h by o, c."""

    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    c_in: Array


def _linear_step(
    options: Options,
    weights: Weights,
    d_reset_state: LSTMState | None,
    d_state: LSTMState,
    inputs: tuple[Array, Array | None, Slopes, Masks],
) -> tuple[LSTMState, Array]:
    """Tangent of one step: linear in every tangent, so that JAX can transpose it."""
    d_gates, d_output, slopes, masks = inputs
    d_h, d_c = _before(masks, d_reset_state, d_state)
    d_gates = d_gates + product(d_h, weights.weight_hh, options.precision)
    i, f, g, o = jnp.split(d_gates, 4, axis=-1)
    d_c = slopes.c_in * d_c + slopes.i * i + slopes.f * f + slopes.g * g
    d_h = _project(options, weights, slopes.o * o + slopes.c * d_c)
    if d_output is not None:
        d_h = d_h + d_output.astype(d_h.dtype)
    new = _after(masks, LSTMState(d_h, d_c), d_state)
    return new, new.h


def _incoming(
    options: Options,
    state: LSTMState,
    states: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> LSTMState:
    """The state each step started from."""

    def shift(first: Array, after: Array) -> Array:
        if options.reverse:
            return jnp.concatenate([after, first[None]])[1:]
        return jnp.concatenate([first[None], after])[:-1]

    h, c = (shift(*pair) for pair in zip(state, states, strict=True))
    return _before(masks, reset_state, LSTMState(h, c))
