"""Mistakes with lengths and resets: off by one, half done, or leaking."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import lstm_jax
from lstm_jax import LSTMState
from parity.judge.cases import Case
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake
from parity.verify.mistakes.plain import plain_lstm, replaced

_lstm = lstm_jax.lstm


def _lengths(case: Case) -> bool:
    return case.lengths


def _resets(case: Case) -> bool:
    return case.resets


def _within(add: int, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    """Each length so much longer, within 0 and T."""
    lengths = jnp.clip(masks.pop("lengths") + add, 0, xs.shape[0])
    return _lstm(params, xs, state, lengths=lengths, **masks)


def _ignored(names: str, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    rest = {name: mask for name, mask in masks.items() if name not in names.split()}
    return _lstm(params, xs, state, **rest)


def _state_after_padding(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, _ = _lstm(params, xs, state, **masks)
    _, after = _ignored("lengths", params, xs, state, **masks)
    return ys, after


def _outputs_kept(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, _ = _ignored("lengths", params, xs, state, **masks)
    return ys, _lstm(params, xs, state, **masks)[1]


def _at_least_one(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    lengths = jnp.maximum(masks.pop("lengths"), 1)
    return _lstm(params, xs, state, lengths=lengths, **masks)


def _zeros_for_empty(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = _lstm(params, xs, state, **masks)
    empty = masks["lengths"] == 0
    return ys, replaced(empty, jax.tree.map(jnp.zeros_like, after), after)


def _left_sorted(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = _lstm(params, xs, state, **masks)
    lengths = masks["lengths"]
    if not lengths.ndim:
        return ys, after
    order = jnp.argsort(-lengths, axis=-1)
    ys, *after = (
        jnp.take_along_axis(a, order[None, ..., None], axis=-2) for a in (ys, *after)
    )
    return ys, LSTMState(*after)


def _forward_alone(valid: Any, direction: int) -> Any:
    return jnp.ones_like(valid) if direction else valid


# What lies past the lengths is not zeroed but multiplied by 0, or left for the masks.
PADDING = (
    "What lies past the lengths reaches the result, as 0 times NaN is NaN: zero xs "
    "there with where, before anything else."
)

LENGTHS = (
    Mistake(
        "lengths one too long",
        "Each row runs one step too long: a length counts the steps, 0 to T.",
        run=partial(_within, 1),
        applies=_lengths,
    ),
    Mistake(
        "lengths one too short",
        "Each row stops one step early: a length counts the steps, 0 to T.",
        run=partial(_within, -1),
        applies=_lengths,
    ),
    Mistake(
        "lengths ignored",
        "The lengths are ignored: every row runs to T.",
        run=partial(_ignored, "lengths"),
        applies=_lengths,
    ),
    Mistake(
        "state after the padding",
        "The state after is that of step T: it is that of each row's last step.",
        run=_state_after_padding,
        applies=_lengths,
    ),
    Mistake(
        "outputs past the lengths",
        "Outputs past the lengths are not zeroed.",
        run=_outputs_kept,
        applies=_lengths,
    ),
    Mistake(
        "reverse from the padded end",
        "The reverse direction starts at step T: it starts at each row's last step.",
        run=plain_lstm(running=_forward_alone),
        applies=lambda case: case.lengths and case.bidirectional,
    ),
    Mistake(
        "length 0 as 1",
        "Rows of length 0 run one step: they keep the state before.",
        run=_at_least_one,
        applies=_lengths,
    ),
    Mistake(
        "length 0 gives zeros",
        "Rows of length 0 give a state of zeros: they keep the state before.",
        run=_zeros_for_empty,
        applies=lambda case: case.lengths and case.given_state,
    ),
    Mistake(
        "rows left sorted",
        "The rows are left in the order of their lengths: sort them back.",
        run=_left_sorted,
        applies=_lengths,
    ),
    Mistake(
        "padding times 0",
        PADDING,
        run=plain_lstm(clean=lambda valid, xs: xs * valid[..., None].astype(xs.dtype)),
        applies=_lengths,
    ),
    Mistake(
        "outputs alone masked",
        PADDING,
        run=plain_lstm(clean=lambda valid, xs: xs),  # noqa: ARG005
        gradients=True,
        applies=_lengths,
    ),
)


def _shifted(steps: int, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    """The resets so many steps later."""
    resets = masks.pop("resets")
    times = jnp.arange(xs.shape[0]).reshape(-1, *(1,) * (resets.ndim - 1))
    inside = (times >= steps) & (times < xs.shape[0] + steps)
    resets = jnp.roll(resets, steps, axis=0) & inside
    return _lstm(params, xs, state, resets=resets, **masks)


def _after_the_step(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    resets, fresh = masks["resets"], masks.get("reset_state")
    ys, after = _shifted(1, params, xs, state, **masks)
    fresh = LSTMState(*(fresh or jax.tree.map(jnp.zeros_like, after)))
    return ys, replaced(jnp.any(resets[-1:], axis=0), fresh, after)


def _not_the_first(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    resets = masks.pop("resets").at[:1].set(False)
    return _lstm(params, xs, state, resets=resets, **masks)


def _h_alone(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return old._replace(h=replaced(mask, new, old).h)


def _c_alone(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return old._replace(c=replaced(mask, new, old).c)


def _leaking(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    """The right values, and the gradient of the state before."""
    right = lax.stop_gradient(replaced(mask, new, old))
    return jax.tree.map(lambda a, b: b + (a - lax.stop_gradient(b)), right, old)


def _held(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    return replaced(mask, lax.stop_gradient(new), old)


RESETS = (
    Mistake(
        "resets a step late",
        "The resets come a step late: a reset at t replaces the state before step t.",
        run=partial(_shifted, 1),
        applies=_resets,
    ),
    Mistake(
        "resets a step early",
        "The resets come a step early: a reset at t replaces the state before step t.",
        run=partial(_shifted, -1),
        applies=_resets,
    ),
    Mistake(
        "resets after the step",
        "The state is reset after the step: a reset at t replaces it before step t.",
        run=_after_the_step,
        applies=_resets,
    ),
    Mistake(
        "resets ignored",
        "The resets are ignored: the state runs on.",
        run=partial(_ignored, "resets reset_state"),
        applies=_resets,
    ),
    Mistake(
        "first reset ignored",
        "A reset at the first step is ignored: the state before is replaced there too.",
        run=_not_the_first,
        applies=lambda case: case.resets and case.given_state,
    ),
    Mistake(
        "h alone reset",
        "A reset replaces h alone: it replaces c too.",
        run=plain_lstm(reset=_h_alone),
        applies=_resets,
    ),
    Mistake(
        "c alone reset",
        "A reset replaces c alone: it replaces h too.",
        run=plain_lstm(reset=_c_alone),
        applies=_resets,
    ),
    Mistake(
        "reset state ignored",
        "The reset state is ignored: zeros take its place.",
        run=partial(_ignored, "reset_state"),
        applies=lambda case: case.reset_state,
    ),
    Mistake(
        "gradient through a reset",
        "A gradient leaks through the resets: replace the state with where.",
        run=plain_lstm(reset=_leaking),
        gradients=True,
        applies=_resets,
    ),
    Mistake(
        "gradient of the reset state stopped",
        "No gradient reaches the reset state.",
        run=plain_lstm(reset=_held),
        gradients=True,
        applies=lambda case: case.reset_state,
    ),
)
