"""Equinox: `eqx.nn.LSTMCell`, which takes one row; mapped over rows, scanned over time.

Its documentation scans it so. The axis of time stays the first.
"""

from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.arrays import array_of
from parity.frameworks.cells import Cell
from parity.frameworks.exchange import flattened, need, nested, no_lstm, read, written
from parity.frameworks.framework import Library
from parity.frameworks.layers import each_direction
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

EQUINOX = LAYOUTS["Equinox"]
LIBRARY = Library("equinox")
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


def from_equinox(source: Any) -> Any:
    """The LSTM of Equinox's cells, by torch's names: the inverse of `to_equinox`.

    Args:
        source: `eqx.nn.LSTMCell`; a pair of them, `(forward, reverse)`; or a list of
            either as a stack.

    Returns:
        `lstm_jax.LSTMCell` for a cell, else `lstm_jax.LSTM`, time first.

    Raises:
        TypeError: If the source is something else.
        ValueError: If layers do not fit each other, or JAX would round a value.

    References:
        `equinox.nn.LSTMCell`, which is scanned over time by hand, a row at a time.
    """
    layers = each_direction(_read_cell, flattened("from_equinox", source))
    kind = "LSTM" if isinstance(source, (list, tuple)) else "LSTMCell"
    return read("from_equinox", layers, kind)


def _read_cell(cell: Any) -> LayerParams:
    """Torch's arrays of a cell; Equinox is not imported for it."""
    place = type(cell).__module__.partition(".")[0], type(cell).__name__
    if place != ("equinox", "LSTMCell"):
        expected = "eqx.nn.LSTMCell, a pair or a list of them"
        raise no_lstm("from_equinox", expected, cell)
    arrays = {name: getattr(cell, name) for name in _ARRAYS}
    kept = {
        n: array_of(n, a, "from_equinox") for n, a in arrays.items() if a is not None
    }
    return _load(kept)


def to_equinox(source: Any, *, allow: str | Iterable[str] = ()) -> Any:
    """An LSTM as Equinox's cells: the inverse of `from_equinox`.

    Equinox has one bias: it is the sum of the two.

    Args:
        source: `lstm_jax.LSTM` or `LSTMCell`, or a flat mapping of torch's names.
        allow: Losses that are wanted all the same: those of `parity.losses`,
            "dropout" and "dtype".

    Returns:
        `eqx.nn.LSTMCell`; a pair of them, `(forward, reverse)`, where there are two
        directions; a list of either where there are several layers.

    Raises:
        TypeError: If the source is none of these.
        ModuleNotFoundError: If Equinox is not installed.
        NotImplementedError: If something would be lost: a projection, dropout, a type.
    """
    need("to_equinox", LIBRARY)
    layers = written("to_equinox", source, "equinox", allow).layers
    return nested(each_direction(lambda one: _module(_store(one)), layers))
