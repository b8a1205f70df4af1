"""The recurrence over time and its derivative rule.

Restates `lstm_step` for speed. `forward` keeps every gate, since the derivatives need
them; `transposed.py` restates the equations once more, for calls without derivatives.

The rule is a custom JVP. It takes the tangents of the weights *out of* the scan over
steps, as one product over all steps, and leaves a scan that is linear in the tangents.
JAX transposes that scan: the backward pass is one scan for the gradients of the gates
and one large product for each weight, never a sum over steps. Forward mode, reverse
mode and their compositions all follow from it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import LSTMState, States, Steps
from lstm_jax.scan.gates import Gates, Weights, cell_of, split_gates
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.products import gate_sums, product

Keep = Callable[[LSTMState, LSTMState, Gates], tuple]


def _project(loop: Loop, weights: Weights, cell_output: Array) -> Array:
    h = cell_output.astype(weights.weight_hh.dtype)
    if weights.weight_hr is None:
        return h
    return product(h, weights.weight_hr, loop.precision).astype(h.dtype)


def _where(mask: Array, new: LSTMState, old: LSTMState) -> LSTMState:
    h, c = (jnp.where(mask[..., None], *pair) for pair in zip(new, old, strict=True))
    return LSTMState(h, c)


def _started(step: Steps, states: States) -> LSTMState:
    """The state a step starts from: `before`, or `fresh` (zeros) after a reset."""
    before, fresh = states
    if step.reset is None:
        return before
    fresh = fresh or LSTMState(*map(jnp.zeros_like, before))
    return _where(step.reset, fresh, before)


def _ended(step: Steps, new: LSTMState, old: LSTMState) -> LSTMState:
    """The state a step leaves: `new`, or `old` for rows that have ended."""
    return new if step.valid is None else _where(step.valid, new, old)


def everything(final: LSTMState, after: LSTMState, gates: Gates) -> tuple:
    """The final state, the state after each step and the gates."""
    return final, after, gates


def outputs(final: LSTMState, after: LSTMState, gates: Gates) -> tuple:
    """`h` after each step (a row that has ended keeps its last) and the final state."""
    del gates
    return after.h, final


def forward(
    keep: Keep, loop: Loop, weights: Weights, steps: Steps, states: States
) -> tuple:
    """Scan over the steps.

    Args:
        keep: What is returned: `everything` or `outputs`.
        loop: What is fixed about the loop.
        weights: Weights of the direction.
        steps: Inputs in the type of the products, `(T, *B, I)`, and masks.
        states: State before the first step (the last, if reversed), and after a reset.
    """
    read, sums = gate_sums(loop, weights, steps.xs)

    def step(state: LSTMState, now: Steps) -> tuple[LSTMState, tuple[LSTMState, Gates]]:
        h, c = _started(now, states._replace(before=state))
        y, c, gates = cell_of(sums(now.xs, h), c)
        new = _ended(now, LSTMState(_project(loop, weights, y), c), state)
        return new, (new, gates)

    steps = steps._replace(xs=read)
    final, (after, gates) = lax.scan(step, states.before, steps, reverse=loop.reverse)
    return keep(final, after, gates)


def recurrence(loop: Loop) -> Callable[..., tuple[Array, LSTMState]]:
    """The outputs of one direction, as a function of weights, steps and states."""
    run: Any = jax.custom_jvp(partial(forward, outputs, loop))
    run.defjvp(partial(_jvp, loop))
    return run


def _jvp(loop: Loop, primals: tuple, tangents: tuple) -> tuple:
    """Outputs and their tangents."""
    final, *known = forward(everything, loop, *primals)
    # The backward pass is given the gates and states, and not the sequences that are
    # made of them. Fresh memory is slow, and this is most of it.
    once_more = jax.checkpoint(tangents_of, static_argnums=0, prevent_cse=False)
    return outputs(final, *known), once_more(loop, primals, known, tangents)


def tangents_of(
    loop: Loop, primals: tuple, known: list, tangents: tuple
) -> tuple[Array, LSTMState]:
    """Tangents of the outputs: linear in those of the arguments."""
    weights, steps, states = primals
    d_weights, d_steps, d_states = tangents
    after, (i, f, g, o) = known
    tanh_c = jnp.tanh(after.c)
    if steps.valid is None and weights.weight_hr is None:  # then `h` is made again
        after = LSTMState((o * tanh_c).astype(after.h.dtype), after.c)
    h_in, c_in = _incoming(loop, after, steps, states)
    # The only places where a weight's tangent enters: one product over all steps each.
    multiply = partial(product, precision=loop.precision)
    d_gates = multiply(steps.xs, d_weights.weight_ih)
    d_gates = d_gates + multiply(d_steps.xs, weights.weight_ih)
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
    step = partial(_linear_step, loop, weights, d_states)
    read = (steps._replace(xs=d_gates), d_outputs, slopes)
    d_final, d_hs = lax.scan(step, d_states.before, read, reverse=loop.reverse)
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
    loop: Loop,
    weights: Weights,
    d_states: States,
    d_state: LSTMState,
    read: tuple[Steps, Array | None, Slopes],
) -> tuple[LSTMState, Array]:
    """Tangent of one step: linear in every tangent, so that JAX can transpose it."""
    now, d_output, slopes = read
    d_h, d_c = _started(now, d_states._replace(before=d_state))
    d_gates = now.xs + product(d_h, weights.weight_hh, loop.precision)
    i, f, g, o = split_gates(d_gates, weights.weight_hh)
    d_c = slopes.c_in * d_c + slopes.i * i + slopes.f * f + slopes.g * g
    d_h = _project(loop, weights, slopes.o * o + slopes.c * d_c)
    if d_output is not None:
        d_h = d_h + d_output.astype(d_h.dtype)
    new = _ended(now, LSTMState(d_h, d_c), d_state)
    return new, new.h


def _incoming(loop: Loop, after: LSTMState, steps: Steps, states: States) -> LSTMState:
    """The state each step started from."""
    found = before_each(loop, after, states.before)
    return _started(steps, states._replace(before=found))


def before_each(loop: Loop, after: LSTMState, before: LSTMState) -> LSTMState:
    """The state that each step found, before a reset."""

    def shift(first: Array, after: Array) -> Array:
        if loop.reverse:
            return jnp.concatenate([after, first[None]])[1:]
        return jnp.concatenate([first[None], after])[:-1]

    return LSTMState(*(shift(*pair) for pair in zip(before, after, strict=True)))
