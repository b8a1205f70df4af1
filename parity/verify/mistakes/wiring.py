"""Mistakes around the equations: the state, the order of time."""

from typing import Any

import jax
import jax.numpy as jnp

import lstm_jax
from parity.verify.mistakes.changes import Params
from parity.verify.mistakes.mistake import Mistake


def _state_ignored(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    zeros = None if state is None else jax.tree.map(jnp.zeros_like, state)
    return lstm_jax.lstm(params, xs, zeros, **masks)


def _swap(state: Any) -> Any:
    return None if state is None else (state[1], state[0])


def _swapped_in(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    return lstm_jax.lstm(params, xs, _swap(state), **masks)


def _swapped_out(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs, state, **masks)
    return ys, _swap(after)


def _swapped_in_and_out(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    return _swapped_out(params, xs, _swap(state), **masks)


def _backwards(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs[::-1], state, **masks)
    return ys[::-1], after


def _not_turned_back(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    ys, after = lstm_jax.lstm(params, xs, state, **masks)
    forward, reverse = jnp.split(ys, 2, axis=-1)
    return jnp.concatenate([forward, reverse[::-1]], axis=-1), after


def _zeros_in_reverse(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    zeroed = None if state is None else tuple(a.at[1::2].set(0) for a in state)
    return lstm_jax.lstm(params, xs, zeroed, **masks)


def _forward_in_both(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    both = None if state is None else tuple(a.at[1::2].set(a[::2]) for a in state)
    return lstm_jax.lstm(params, xs, both, **masks)


def _first_row_for_all(params: Params, xs: Any, state: Any, **masks: Any) -> Any:
    def first(array: Any) -> Any:
        rows = array[:, :1] if array.ndim > 2 else array
        return jnp.broadcast_to(rows, array.shape)

    return lstm_jax.lstm(params, first(xs), jax.tree.map(first, state), **masks)


WIRING = (
    Mistake(
        name="state ignored",
        says="The state before is ignored: hand it to the first step.",
        run=_state_ignored,
        needs={"given_state": True},
    ),
    Mistake(
        name="state of the reverse direction ignored",
        says="The reverse direction starts from zeros: the odd rows of the state "
        "before are its own.",
        run=_zeros_in_reverse,
        needs={"bidirectional": True, "given_state": True},
    ),
    Mistake(
        name="state of the forward direction for both",
        says="The reverse direction starts from the state of the forward one: the odd "
        "rows of the state before are its own.",
        run=_forward_in_both,
        needs={"bidirectional": True, "given_state": True},
    ),
    Mistake(
        name="the first row for all",
        says="Every row has the numbers of the first: a batch of 1 is baked in.",
        run=_first_row_for_all,
    ),
    Mistake(
        name="h and c exchanged",
        says="h and c are exchanged, in and out: Flax orders (c, h), torch (h, c).",
        run=_swapped_in_and_out,
        needs={"proj_size": 0, "given_state": True},
    ),
    Mistake(
        name="h and c exchanged going in",
        says="h and c of the state before are exchanged: Flax orders (c, h), torch "
        "(h, c).",
        run=_swapped_in,
        needs={"proj_size": 0, "given_state": True},
    ),
    Mistake(
        name="h and c exchanged coming out",
        says="h and c of the state after are exchanged: Flax orders (c, h), torch "
        "(h, c).",
        run=_swapped_out,
        needs={"proj_size": 0},
    ),
    Mistake(
        name="time reversed",
        says="The sequence is read from its end: time is reversed.",
        run=_backwards,
    ),
    Mistake(
        name="reverse outputs not turned back",
        says="The reverse direction's outputs are in reversed order of time: turn them "
        "back.",
        run=_not_turned_back,
        needs={"bidirectional": True},
    ),
)
