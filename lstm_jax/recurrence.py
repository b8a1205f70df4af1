"""The recurrence over time and its derivative rule.

Restates `lstm_step` for speed, twice. `forward` keeps every gate for the derivatives:
the input's share of the gates is one product for all steps, and reaches the loop as
four sequences, because XLA's CPU code for one stacked sequence, sliced in the loop, is
several times slower. `_features_first` gives outputs alone, with features before rows:
on a CPU the weights then need not be packed anew for the product of each step.

The rule is a custom JVP. It takes the tangents of the weights *out of* the scan over
steps (one product for all steps) and leaves a scan that is linear in the tangents.
JAX transposes it: the backward pass is one scan for the gates' gradients and one large
product for each weight, never a sum over steps. Forward mode, reverse mode and their
compositions all follow from it.
"""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from lstm_jax._types import LSTMState, Precision


class Weights(NamedTuple):
    """Weights of one direction in torch's shapes, in the type of the products.

    `bias` is the sum of the two, in the type of the gates; None where there is none.
    """

    weight_ih: Float[Array, "4H I"]
    weight_hh: Float[Array, "4H P"]
    bias: Float[Array, "4H"] | None
    weight_hr: Float[Array, "P H"] | None


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
    """Static options: direction of time, precision of the products, order of axes.

    With `features_first` outputs alone are computed with features before rows.
    """

    reverse: bool = False
    precision: Precision = None
    features_first: bool = False


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


def _times(x: Array, weight: Array, precision: Precision) -> Array:
    """`x @ weight`: the same product with a weight that was transposed beforehand."""
    dtype = accumulator(weight.dtype)
    return jnp.matmul(x, weight, precision=precision, preferred_element_type=dtype)


def _project(options: Options, weights: Weights, cell_output: Array) -> Array:
    h = cell_output.astype(weights.weight_hh.dtype)
    if weights.weight_hr is None:
        return h
    return product(h, weights.weight_hr, options.precision).astype(h.dtype)


def _cell(inputs: list[Array], c: Array) -> tuple[Array, Array, Gates]:
    """The gates of their inputs, and what they make of the cell: output and cell."""
    i, f, o = (jax.nn.sigmoid(inputs[k]) for k in (0, 1, 3))
    g = jnp.tanh(inputs[2])
    c = f * c + i * g
    return o * jnp.tanh(c), c, Gates(i, f, g, o)


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
    gates_x = _input_product(options, xs, weights)
    weight_hh = weights.weight_hh.T

    def step(
        state: LSTMState, inputs: tuple[list[Array], Masks]
    ) -> tuple[LSTMState, tuple[LSTMState, Gates]]:
        x, masks = inputs
        h, c = _before(masks, reset_state, state)
        r = jnp.split(_times(h, weight_hh, options.precision), 4, axis=-1)
        y, c, gates = _cell([a + b for a, b in zip(x, r, strict=True)], c)
        new = LSTMState(_project(options, weights, y), c)
        new = _after(masks, new, state)
        return new, (new, gates)

    final, (states, gates) = lax.scan(
        step, state, (gates_x, masks), reverse=options.reverse
    )
    return final, states, gates


def _input_product(options: Options, xs: Array, weights: Weights) -> list[Array]:
    """The input's share of the gates, bias included: four `(T, *B, H)`."""
    with jax.named_scope("input_product"):
        gates = _times(xs, weights.weight_ih.T, options.precision)
        gates = gates if weights.bias is None else gates + weights.bias
        return jnp.split(gates, 4, axis=-1)


def _features_first(
    options: Options, xs: Array, weights: Weights, state: LSTMState
) -> tuple[Array, LSTMState]:
    """Outputs and the final state alone, with features before rows.

    Inputs and state are multiplied by their weights together. What is computed element
    by element is flat: XLA's CPU code for a few rows at the end of a shape is slow.
    """
    (steps, *batch, inputs), (h, c) = xs.shape, state
    rows, outputs, hidden = prod(batch), h.shape[-1], c.shape[-1]
    multiply = partial(_times, precision=options.precision)
    weight = jnp.concatenate([weights.weight_ih, weights.weight_hh], axis=1)
    bias = jnp.zeros(4 * hidden, c.dtype) if weights.bias is None else weights.bias
    bias = jnp.broadcast_to(bias[:, None], (4 * hidden, rows)).reshape(4 * c.size)

    def step(state: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], Array]:
        h, c = state
        factor = jnp.concatenate([x, h.reshape(outputs, rows)])
        gates = multiply(weight, factor).reshape(bias.size) + bias
        y, c, _ = _cell(jnp.split(gates, 4), c)
        h = y.astype(h.dtype)
        if weights.weight_hr is not None:
            m = h.reshape(hidden, rows)
            h = multiply(weights.weight_hr, m).astype(h.dtype).reshape(outputs * rows)
        return (h, c), h

    xs = jnp.swapaxes(xs.reshape(steps, rows, inputs), 1, 2)
    h, c = (a.reshape(rows, a.shape[-1]).T.reshape(a.size) for a in state)
    after, hs = lax.scan(step, (h, c), xs, reverse=options.reverse)
    sizes = zip(after, (outputs, hidden), strict=True)
    h, c = (a.reshape(size, rows).T.reshape(*batch, size) for a, size in sizes)
    hs = jnp.swapaxes(hs.reshape(steps, outputs, rows), 1, 2)
    return hs.reshape(steps, *batch, outputs), LSTMState(h, c)


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
    plain = masks.valid is None and masks.reset is None
    if options.features_first and plain:
        return _features_first(options, xs, weights, state)
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
    d_final, d_hs = lax.scan(linear, d_state, inputs, reverse=options.reverse)
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
