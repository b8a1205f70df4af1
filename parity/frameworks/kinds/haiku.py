"""Haiku: `hk.LSTM` under `hk.dynamic_unroll`, time first."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.frameworks.cells import Cell
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

HAIKU = LAYOUTS["Haiku"]
# Where `hk.LSTM` keeps its one kernel, of inputs and then state, and its bias.
_NAME = "lstm/linear"


def _store(params: LayerParams) -> dict[str, Any]:
    weight_ih, weight_hh, (bias,) = to_layout(params, HAIKU)
    return {_NAME: {"w": jnp.concatenate([weight_ih, weight_hh]), "b": bias}}


def _load(params: Any) -> LayerParams:
    kernel, bias = params[_NAME]["w"], params[_NAME]["b"]
    hidden = _hidden(params)
    stacked = Stacked(kernel[:-hidden], kernel[-hidden:], (bias,))
    return from_layout(stacked, HAIKU)


def _haiku() -> Any:
    # By name: where it is not installed, type checkers take this file for it.
    return import_module("haiku")


def _applied(function: Any, params: Any, *inputs: Any) -> Any:
    """A function that calls Haiku's modules, with these parameters."""
    hk = _haiku()
    return hk.without_apply_rng(hk.transform(function)).apply(params, *inputs)


def _unroll(params: Any, xs: jax.Array, reverse: bool) -> Any:
    hk, hidden = _haiku(), _hidden(params)

    def unroll(xs: jax.Array) -> Any:
        zeros = jnp.zeros((xs.shape[1], hidden), xs.dtype)
        state = hk.LSTMState(zeros, zeros)
        ys, state = hk.dynamic_unroll(hk.LSTM(hidden), xs, state, reverse=reverse)
        return ys, *state

    return _applied(unroll, params, xs)


def _step_once(params: Any, x: jax.Array, state: Any) -> Any:
    def step(x: jax.Array, state: Any) -> Any:
        return _haiku().LSTM(_hidden(params))(x, state)

    return _applied(step, params, x, state)


def _hidden(params: Any) -> int:
    return len(params[_NAME]["b"]) // 4


CELL = Cell(
    store=_store,
    load=_load,
    run=_unroll,
    step=_step_once,
    start=lambda h, c: _haiku().LSTMState(h, c),
)
