"""Mistakes around the equations: the state, the order of time."""

from typing import Any

import jax
import jax.numpy as jnp

import lstm_jax
from parity.judge.cases import Case
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake


def _zero_state(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    zeros = None if state is None else jax.tree.map(jnp.zeros_like, state)
    return lstm_jax.lstm(params, xs, zeros, **masks)


def _same_size(case: Case) -> bool:
    return not case.proj_size


def _swap(state: Any) -> Any:
    return None if state is None else (state[1], state[0])


def _swapped_in(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    return lstm_jax.lstm(params, xs, _swap(state), **masks)


def _swapped_out(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs, state, **masks)
    return ys, _swap(after)


def _swapped(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs, _swap(state), **masks)
    return ys, _swap(after)


def _backwards(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs[::-1], state, **masks)
    return ys[::-1], after


def _not_turned_back(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs, state, **masks)
    if not lstm_jax.spec_of(params).bidirectional:
        return ys, after
    forward, reverse = jnp.split(ys, 2, axis=-1)
    return jnp.concatenate([forward, reverse[::-1]], axis=-1), after


WIRING = (
    Mistake(
        "state ignored",
        "The state before is ignored: hand it to the first step.",
        run=_zero_state,
    ),
    Mistake(
        "h and c exchanged",
        "h and c are exchanged, in and out: Flax orders (c, h), torch (h, c).",
        run=_swapped,
        applies=_same_size,
    ),
    Mistake(
        "h and c exchanged going in",
        "h and c of the state before are exchanged: Flax orders (c, h), torch (h, c).",
        run=_swapped_in,
        applies=_same_size,
    ),
    Mistake(
        "h and c exchanged coming out",
        "h and c of the state after are exchanged: Flax orders (c, h), torch (h, c).",
        run=_swapped_out,
        applies=_same_size,
    ),
    Mistake(
        "time reversed",
        "The sequence is read from its end: time is reversed.",
        run=_backwards,
    ),
    Mistake(
        "reverse outputs not turned back",
        "The reverse direction's outputs are in its own order of time: turn them back.",
        run=_not_turned_back,
    ),
)
