"""The recurrence over time and its derivative rule.

Restates `lstm_step` for speed: the input product is done beforehand and the gates
arrive as four sequences, because XLA's CPU code for one stacked sequence, sliced in
the loop, is several times slower.

The rule is a custom JVP. It takes the tangent of the weights *out of* the scan over
steps (one product for all steps) and leaves a scan that is linear in the tangents.
JAX transposes it: the backward pass is one scan for the gates' gradients and one large
product for each weight, never a sum over steps. Forward mode, reverse mode and their
compositions all follow from it.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from lstm_jax._types import LSTMState, Precision

GateSequences = tuple[Array, Array, Array, Array]


class Weights(NamedTuple):
    """What multiplies the state, transposed so that it stands on the right."""

    weight_hh: Float[Array, "P 4H"]
    weight_hr: Float[Array, "H P"] | None


class Masks(NamedTuple):
    """What happens to a row at a step beside the equations; None where nothing does.

    Where `valid` is false the row's sequence has ended: its state stays as it is. Where
    `reset` is true the row's state is replaced before the step.
    """

    valid: Bool[Array, "T ..."] | None = None
    reset: Bool[Array, "T ..."] | None = None


class Gates(NamedTuple):
    """Gates of every step, `(T, *B, H)` each."""

    i: Array
    f: Array
    g: Array
    o: Array


@dataclass(frozen=True)
class Options:
    """Static options: direction of time, and the precision of the products."""

    reverse: bool = False
    precision: Precision = None


def accumulator(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """The type of sums, gates and cell for products of type `dtype`."""
    dtype = jnp.dtype(dtype)
    return dtype if dtype.itemsize >= 4 else jnp.dtype(jnp.float32)


def product(x: Array, weight: Array, precision: Precision) -> Array:
    """`x @ weight`, accumulated and returned in at least float32."""
    dtype = accumulator(weight.dtype)
    return jnp.matmul(x, weight, precision=precision, preferred_element_type=dtype)


def _split(gates: Array) -> list[Array]:
    return jnp.split(gates, 4, axis=-1)


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
    gates_x: GateSequences,
    weights: Weights,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[LSTMState, LSTMState, Gates]:
    """Scan over the steps: the final state, the state after each step, the gates."""

    def step(
        state: LSTMState, inputs: tuple[GateSequences, Masks]
    ) -> tuple[LSTMState, tuple[LSTMState, Gates]]:
        x, masks = inputs
        h, c = _before(masks, reset_state, state)
        r = _split(product(h, weights.weight_hh, options.precision))
        i, f, o = (jax.nn.sigmoid(x[k] + r[k]) for k in (0, 1, 3))
        g = jnp.tanh(x[2] + r[2])
        c = f * c + i * g
        new = LSTMState(_project(options, weights, o * jnp.tanh(c)), c)
        new = _after(masks, new, state)
        return new, (new, Gates(i, f, g, o))

    final, (states, gates) = lax.scan(
        step, state, (gates_x, masks), reverse=options.reverse
    )
    return final, states, gates


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def recurrence(
    options: Options,
    gates_x: GateSequences,
    weights: Weights,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[Float[Array, "T ... P"], LSTMState]:
    """Run one direction over time.

    Args:
        options: Static options.
        gates_x: Input's share of the gates, bias included: four `(T, *B, H)`.
        weights: Weights that multiply the state.
        state: State before the first step (the last, if reversed).
        masks: Ends and resets of the rows.
        reset_state: State after a reset, `(*B, P)` and `(*B, H)`; None means zeros.

    Returns:
        `h` after each step (a row that has ended keeps its last) and the final state.
    """
    final, states, _ = forward(options, gates_x, weights, state, masks, reset_state)
    return states.h, final


@recurrence.defjvp
def _recurrence_jvp(options: Options, primals: tuple, tangents: tuple) -> tuple:
    _, weights, state, masks, reset_state = primals
    d_gates, d_weights, d_state, _, d_reset_state = tangents
    final, states, (i, f, g, o) = forward(options, *primals)
    h_in, c_in = _incoming(options, state, states, masks, reset_state)
    tanh_c = jnp.tanh(states.c)
    # The only places where a weight's tangent enters: one product over all steps each.
    d_gates = _add_weight_tangent(options, d_gates, h_in, d_weights.weight_hh)
    d_outputs = None
    if d_weights.weight_hr is not None:
        m = (o * tanh_c).astype(h_in.dtype)
        d_outputs = product(m, d_weights.weight_hr, options.precision)
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
    d_final, d_hs = lax.scan(linear, d_state, inputs, reverse=options.reverse)
    return (states.h, final), (d_hs, d_final)


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
    inputs: tuple[GateSequences, Array | None, Slopes, Masks],
) -> tuple[LSTMState, Array]:
    """Tangent of one step: linear in every tangent, so that JAX can transpose it."""
    d_gates, d_output, slopes, masks = inputs
    d_h, d_c = _before(masks, d_reset_state, d_state)
    r = _split(product(d_h, weights.weight_hh, options.precision))
    i, f, g, o = (d + r for d, r in zip(d_gates, r, strict=True))
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


def _add_weight_tangent(
    options: Options, d_gates: GateSequences, h_in: Array, d_weight: Array
) -> GateSequences:
    added = _split(product(h_in, d_weight, options.precision))
    i, f, g, o = (d + a for d, a in zip(d_gates, added, strict=True))
    return i, f, g, o
