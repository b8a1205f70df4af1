"""Equinox: `eqx.nn.LSTMCell` of one row, scanned over time, vmapped over the batch.

Its documentation shows it so; the axis of time stays the first.
"""

from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from parity.bench.peers.harness import Cell, built_of
from parity.bench.runner import Array, Build
from parity.bench.works import Work

# By name, since type checkers take this file for the package if there is none.
eqx: Any = import_module("equinox")


def builder() -> Build:
    """Programs of Equinox."""
    return built_of(_cell)


def _cell(work: Work) -> Cell:
    hidden = work.case.hidden_size
    return Cell(
        weights=_weights,
        fields=lambda cell: dict(zip(FIELDS, _arrays(cell), strict=True)),
        run=_run,
        step=_step,
        carry=lambda rows, _: (jnp.zeros((rows, hidden)),) * 2,
    )


# Torch's layout, but for the one bias: nothing is to be turned or put in order.
FIELDS = ("weight_ih", "weight_hh", "bias")


def _arrays(cell: Any) -> tuple[Any, ...]:
    return tuple(getattr(cell, name) for name in FIELDS)


def _weights(torch: dict[str, Array], inputs: int, hidden: int) -> Any:
    """A cell with torch's arrays; its sizes are no leaves, so gradients have none."""
    cell = eqx.nn.LSTMCell(inputs, hidden, key=jax.random.key(0))
    return eqx.tree_at(_arrays, cell, tuple(map(jnp.asarray, torch.values())))


def _run(cell: Any, xs: jax.Array, reverse: bool) -> Any:
    @partial(jax.vmap, in_axes=1, out_axes=(1, 0, 0))
    def row(xs: jax.Array) -> Any:
        def step(state: Any, x: jax.Array) -> Any:
            state = cell(x, state)
            return state, state[0]

        zeros = jnp.zeros(cell.hidden_size, xs.dtype)
        (h, c), ys = jax.lax.scan(step, (zeros, zeros), xs, reverse=reverse)
        return ys, h, c

    return row(xs)


def _step(cell: Any, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
    state = jax.vmap(cell)(x, state)
    return state[0], state
