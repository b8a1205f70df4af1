"""Haiku: `hk.LSTM` under `hk.dynamic_unroll`, time first."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from parity.bench.peers.harness import Cell, built_of
from parity.bench.runner import Array, Build
from parity.bench.works import Work
from parity.frameworks.apply import LAYOUT, stacked, unstacked

# By name, since type checkers take this file for the package if there is none.
hk: Any = import_module("haiku")
HAIKU = LAYOUT["Haiku"]
# Where `hk.LSTM` keeps its one kernel of inputs and state, and its bias.
NAME = "lstm/linear"


def builder() -> Build:
    """Programs of Haiku."""
    return built_of(_cell)


def _cell(work: Work) -> Cell:
    hidden = work.case.hidden_size

    def unroll(xs: jax.Array, reverse: bool) -> Any:
        zeros = jnp.zeros((xs.shape[1], hidden), xs.dtype)
        state = hk.LSTMState(zeros, zeros)
        ys, state = hk.dynamic_unroll(hk.LSTM(hidden), xs, state, reverse=reverse)
        return ys, *state

    def once(x: jax.Array, state: Any) -> Any:
        return hk.LSTM(hidden)(x, state)

    sequence, single = (hk.without_apply_rng(hk.transform(f)) for f in (unroll, once))
    return Cell(
        weights=lambda torch, *_: _joined(torch),
        fields=_parted(hidden),
        run=sequence.apply,
        step=single.apply,
        carry=lambda rows, _: hk.LSTMState(*(jnp.zeros((rows, hidden)),) * 2),
    )


def _joined(torch: dict[str, Array]) -> dict[str, Any]:
    weight_ih, weight_hh, bias = stacked(torch, HAIKU).values()
    return {NAME: {"w": jnp.concatenate([weight_ih, weight_hh]), "b": bias}}


def _parted(hidden: int) -> Any:
    def fields(params: Any) -> dict[str, Any]:
        kernel, bias = params[NAME]["w"], params[NAME]["b"]
        arrays = {
            "weight_ih": kernel[:-hidden],
            "weight_hh": kernel[-hidden:],
            "bias": bias,
        }
        return unstacked(arrays, HAIKU)

    return fields
