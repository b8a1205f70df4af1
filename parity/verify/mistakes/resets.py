"""Mistakes with resets: off by one, half done, or with gradients that leak."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax import LSTMState, lstm
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake
from parity.verify.mistakes.plain import plain_lstm, replaced

_RESETS = {"resets": True}
_TO_A_STATE = {"resets": True, "reset_state": True}


def _shifted(steps: int, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    """The resets so many steps later."""
    resets = masks.pop("resets")
    times = jnp.arange(xs.shape[0]).reshape(-1, *(1,) * (resets.ndim - 1))
    inside = (times >= steps) & (times < xs.shape[0] + steps)
    resets = jnp.roll(resets, steps, axis=0) & inside
    return lstm(params, xs, state, resets=resets, **masks)


def _after_the_step(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    resets, fresh = masks["resets"], masks.get("reset_state")
    ys, after = _shifted(1, params, xs, state, **masks)
    fresh = LSTMState(*(fresh or jax.tree.map(jnp.zeros_like, after)))
    return ys, replaced(jnp.any(resets[-1:], axis=0), fresh, after)


def _without(names: str, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    rest = {name: mask for name, mask in masks.items() if name not in names.split()}
    return lstm(params, xs, state, **rest)


def _not_the_first(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    resets = masks.pop("resets").at[:1].set(False)
    return lstm(params, xs, state, resets=resets, **masks)


def _only_h(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return old._replace(h=replaced(mask, new, old).h)


def _only_c(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return old._replace(c=replaced(mask, new, old).c)


def _leaking(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    """The right values, with the gradient of the state before."""
    right = lax.stop_gradient(replaced(mask, new, old))
    return jax.tree.map(lambda a, b: b + (a - lax.stop_gradient(b)), right, old)


def _stopped(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return replaced(mask, lax.stop_gradient(new), old)


RESETS = (
    Mistake(
        name="resets a step late",
        says="The resets come a step late: a reset at t must replace the state before "
        "step t.",
        run=partial(_shifted, 1),
        needs=_RESETS,
    ),
    Mistake(
        name="resets a step early",
        says="The resets come a step early: a reset at t must replace the state before "
        "step t.",
        run=partial(_shifted, -1),
        needs=_RESETS,
    ),
    Mistake(
        name="resets after the step",
        says="The state is reset after the step: a reset at t must replace it before "
        "step t.",
        run=_after_the_step,
        needs=_RESETS,
    ),
    Mistake(
        name="resets ignored",
        says="The resets are ignored: the state runs on.",
        run=partial(_without, "resets reset_state"),
        needs=_RESETS,
    ),
    Mistake(
        name="first reset ignored",
        says="A reset at the first step is ignored: it must replace the state before.",
        run=_not_the_first,
        needs=_RESETS | {"given_state": True},
    ),
    Mistake(
        name="only h reset",
        says="A reset replaces only h: it must replace c too.",
        run=plain_lstm(reset=_only_h),
        needs=_RESETS,
    ),
    Mistake(
        name="only c reset",
        says="A reset replaces only c: it must replace h too.",
        run=plain_lstm(reset=_only_c),
        needs=_RESETS,
    ),
    Mistake(
        name="reset state ignored",
        says="The reset state is ignored: zeros take its place.",
        run=partial(_without, "reset_state"),
        needs=_TO_A_STATE,
    ),
    Mistake(
        name="gradient through a reset",
        says="A gradient leaks through the resets: replace the state with where.",
        run=plain_lstm(reset=_leaking),
        gradients=True,
        needs=_RESETS,
    ),
    Mistake(
        name="gradient of the reset state stopped",
        says="No gradient reaches the reset state.",
        run=plain_lstm(reset=_stopped),
        gradients=True,
        needs=_TO_A_STATE,
    ),
)
