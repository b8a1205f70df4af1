"""Equinox: `eqx.nn.LSTMCell`, which takes one row; mapped over rows, scanned over time.

Its documentation scans it so. The axis of time stays the first.
"""

from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.frameworks.cells import Cell
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

EQUINOX = LAYOUTS["Equinox"]
_ARRAYS = ("weight_ih", "weight_hh", "bias")


def _store(params: LayerParams) -> dict[str, Any]:
    """The fields of the cell that are arrays."""
    weight_ih, weight_hh, biases = to_layout(params, EQUINOX)
    return dict(zip(_ARRAYS, (weight_ih, weight_hh, *biases), strict=False))


def _load(fields: Any) -> LayerParams:
    biases = (fields["bias"],) if "bias" in fields else ()
    stacked = Stacked(fields["weight_ih"], fields["weight_hh"], biases)
    return from_layout(stacked, EQUINOX)


def _module(fields: Any) -> Any:
    """The cell that has these arrays."""
    # By name: where it is not installed, type checkers take this file for it.
    eqx: Any = import_module("equinox")
    hidden, inputs = fields["weight_ih"].shape
    make = partial(eqx.nn.LSTMCell, inputs, hidden // 4, use_bias="bias" in fields)
    skeleton = eqx.filter_eval_shape(make, key=jax.random.key(0))
    return eqx.tree_at(_arrays_of(fields), skeleton, [*fields.values()])


def _arrays_of(fields: Any) -> Any:
    return lambda cell: [getattr(cell, name) for name in fields]


def _run_rows(fields: Any, xs: jax.Array, reverse: bool) -> Any:
    cell = _module(fields)

    @partial(jax.vmap, in_axes=1, out_axes=(1, 0, 0))
    def row(xs: jax.Array) -> Any:
        def step(state: Any, x: jax.Array) -> Any:
            state = cell(x, state)
            return state, state[0]

        zeros = jnp.zeros(cell.hidden_size, xs.dtype)
        (h, c), ys = jax.lax.scan(step, (zeros, zeros), xs, reverse=reverse)
        return ys, h, c

    return row(xs)


def _step_rows(fields: Any, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
    state = jax.vmap(_module(fields))(x, state)
    return state[0], state


CELL = Cell(store=_store, load=_load, run=_run_rows, step=_step_rows)
