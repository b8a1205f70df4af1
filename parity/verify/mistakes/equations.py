"""Mistakes in the equations, in their derivatives and in the bits of the products."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import lstm_jax
from lstm_jax import LayerParams, LSTMState
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake
from parity.verify.mistakes.plain import plain_lstm, step


def _hard_sigmoid(x: Any) -> Any:
    return jnp.clip(0.2 * x + 0.5, 0.0, 1.0)


def _hard_sigmoid_of_keras_3(x: Any) -> Any:
    return jnp.clip(x / 6 + 0.5, 0.0, 1.0)


def _rounded(exponent_bits: int, mantissa_bits: int) -> Callable[[Any], Any]:
    return partial(
        lax.reduce_precision, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits
    )


def _cut_in_the_middle(t: Any, steps: int, state: LSTMState) -> LSTMState:
    middle = t == steps // 2
    return jax.tree.map(lambda a: jnp.where(middle, lax.stop_gradient(a), a), state)


def _cut(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return lax.stop_gradient(state)


def _cut_h(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state._replace(h=lax.stop_gradient(state.h))


def _cut_c(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state._replace(c=lax.stop_gradient(state.c))


def _round_state(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return jax.tree.map(_BF16, state)


def _stopped_at_the_state(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    return lstm_jax.lstm(params, xs, lax.stop_gradient(state), **masks)


def _stopped_at_xs(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    return lstm_jax.lstm(params, lax.stop_gradient(xs), state, **masks)


def _step_with_late_h(params: LayerParams, x: Any, state: LSTMState) -> LSTMState:
    """A step whose `weight_hh` has the gradient of the next step's input."""
    late = lax.stop_gradient(step(params, x, state).h)

    def product(a: Any, weight: Any) -> Any:
        if a is not state.h:
            return a @ weight
        wrong = late @ weight
        return a @ lax.stop_gradient(weight) + wrong - lax.stop_gradient(wrong)

    return step(params, x, state, product=product)


_TF32, _BF16 = _rounded(8, 10), _rounded(8, 7)

EQUATIONS = (
    Mistake(
        name="missing tanh on c",
        says="The tanh on the cell is missing: h is o * tanh(c), not o * c.",
        run=plain_lstm(step=partial(step, out=lambda c: c)),
    ),
    Mistake(
        name="sigmoid on g",
        says="The gate g goes through a sigmoid: it must go through tanh.",
        run=plain_lstm(step=partial(step, squash=jax.nn.sigmoid)),
    ),
    Mistake(
        name="hard sigmoid",
        says="The gates go through the hard sigmoid of Keras 1 and 2, "
        "clip(0.2 x + 0.5, 0, 1): torch's sigmoid is 1 / (1 + exp(-x)).",
        run=plain_lstm(step=partial(step, gate=_hard_sigmoid)),
    ),
    Mistake(
        name="hard sigmoid of Keras 3",
        says="The gates go through the hard sigmoid of Keras 3, clip(x / 6 + 0.5, 0, "
        "1): torch's sigmoid is 1 / (1 + exp(-x)).",
        run=plain_lstm(step=partial(step, gate=_hard_sigmoid_of_keras_3)),
    ),
)

GRADIENTS = (
    Mistake(
        name="gradient of the state before stopped",
        says="The gradient stops at the state before: it must flow on into h0 and c0.",
        run=_stopped_at_the_state,
        gradients=True,
        needs={"given_state": True},
    ),
    Mistake(
        name="truncated to one step",
        says="Back-propagation is cut at every step: no gradient flows through the "
        "state.",
        run=plain_lstm(before=_cut),
        gradients=True,
    ),
    Mistake(
        name="truncated in the middle",
        says="Back-propagation is cut in the middle of the sequence: it is truncated.",
        run=plain_lstm(before=_cut_in_the_middle),
        gradients=True,
    ),
    Mistake(
        name="gradient through h stopped",
        says="From step to step the gradient flows only through c: it must flow "
        "through h too.",
        run=plain_lstm(before=_cut_h),
        gradients=True,
    ),
    Mistake(
        name="gradient through c stopped",
        says="From step to step the gradient flows only through h: it must flow "
        "through c too.",
        run=plain_lstm(before=_cut_c),
        gradients=True,
    ),
    Mistake(
        name="dW_hh with h_t",
        says="The gradient of weight_hh takes h after each step: it must take h before "
        "it.",
        run=plain_lstm(step=_step_with_late_h),
        gradients=True,
    ),
    Mistake(
        name="gradient of the input stopped",
        says="No gradient flows into xs.",
        run=_stopped_at_xs,
        gradients=True,
    ),
)

PRECISION = (
    Mistake(
        name="TF32 products",
        says="The products have TF32's 11 bits: run them with precision='highest'.",
        run=plain_lstm(step=partial(step, product=lambda a, b: _TF32(a) @ _TF32(b))),
    ),
    Mistake(
        name="bf16 products",
        says="The products have bf16's 8 bits: run them with precision='highest'.",
        run=plain_lstm(step=partial(step, product=lambda a, b: _BF16(a) @ _BF16(b))),
    ),
    Mistake(
        name="bf16 state",
        says="The state has bf16's 8 bits: keep h and c in float32.",
        run=plain_lstm(before=_round_state),
    ),
)
