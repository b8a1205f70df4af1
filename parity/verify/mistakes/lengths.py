"""Mistakes with lengths: off by one, half done, or reading what lies past them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LSTMState, lstm
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake
from parity.verify.mistakes.plain import plain_lstm, replaced

_LENGTHS = {"lengths": True}


def _longer(steps: int, params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    """Each length longer by so many steps, within 0 and T."""
    lengths = jnp.clip(masks.pop("lengths") + steps, 0, xs.shape[0])
    return lstm(params, xs, state, lengths=lengths, **masks)


def _ignored(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    del masks["lengths"]
    return lstm(params, xs, state, **masks)


def _state_after_padding(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, _ = lstm(params, xs, state, **masks)
    _, after = _ignored(params, xs, state, **masks)
    return ys, after


def _outputs_kept(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, _ = _ignored(params, xs, state, **masks)
    return ys, lstm(params, xs, state, **masks)[1]


def _at_least_one(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    lengths = jnp.maximum(masks.pop("lengths"), 1)
    return lstm(params, xs, state, lengths=lengths, **masks)


def _zeros_for_empty(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm(params, xs, state, **masks)
    empty = masks["lengths"] == 0
    return ys, replaced(empty, jax.tree.map(jnp.zeros_like, after), after)


def _left_sorted(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm(params, xs, state, **masks)
    lengths = masks["lengths"]
    if not lengths.ndim:
        return ys, after
    order = jnp.argsort(-lengths, axis=-1)
    ys, *after = (
        jnp.take_along_axis(a, order[None, ..., None], axis=-2) for a in (ys, *after)
    )
    return ys, LSTMState(*after)


def _only_forward(valid: Any, direction: int) -> Any:
    return jnp.ones_like(valid) if direction else valid


# Said also before any mistake is tried: where JAX's numbers are right once the NaN past
# the lengths are replaced by ones.
PADDING = (
    "What lies past the lengths reaches the result, as 0 times NaN is NaN: zero xs "
    "there with where, before anything else."
)

LENGTHS = (
    Mistake(
        name="lengths one too long",
        says="Each row runs one step too long: a length counts the steps, 0 to T.",
        run=partial(_longer, 1),
        needs=_LENGTHS,
    ),
    Mistake(
        name="lengths one too short",
        says="Each row stops one step early: a length counts the steps, 0 to T.",
        run=partial(_longer, -1),
        needs=_LENGTHS,
    ),
    Mistake(
        name="lengths ignored",
        says="The lengths are ignored: every row runs to T.",
        run=_ignored,
        needs=_LENGTHS,
    ),
    Mistake(
        name="state after the padding",
        says="The state after is the one at step T: it must be the one at each row's "
        "last step.",
        run=_state_after_padding,
        needs=_LENGTHS,
    ),
    Mistake(
        name="outputs past the lengths",
        says="Outputs past the lengths are not zero: zero them.",
        run=_outputs_kept,
        needs=_LENGTHS,
    ),
    Mistake(
        name="reverse from the padded end",
        says="The reverse direction starts at step T: it must start at each row's last "
        "step.",
        run=plain_lstm(running=_only_forward),
        needs=_LENGTHS | {"bidirectional": True},
    ),
    Mistake(
        name="length 0 as 1",
        says="Rows of length 0 run one step: they must keep the state before.",
        run=_at_least_one,
        needs=_LENGTHS,
    ),
    Mistake(
        name="length 0 gives zeros",
        says="Rows of length 0 give a state of zeros: they must keep the state before.",
        run=_zeros_for_empty,
        needs=_LENGTHS | {"given_state": True},
    ),
    Mistake(
        name="rows left sorted",
        says="The rows are left in the order of their lengths: sort them back.",
        run=_left_sorted,
        needs=_LENGTHS,
    ),
    Mistake(
        name="padding times 0",
        says=PADDING,
        run=plain_lstm(clean=lambda valid, xs: xs * valid[..., None].astype(xs.dtype)),
        needs=_LENGTHS,
    ),
    Mistake(
        name="only outputs masked",
        says=PADDING,
        run=plain_lstm(clean=lambda valid, xs: xs),  # noqa: ARG005
        gradients=True,
        needs=_LENGTHS,
    ),
)
