"""A whole stack, for a framework that has only one direction of one layer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp

from lstm_jax import LayerParams, LSTMSpec
from parity.frameworks.framework import Framework, Library, Outputs, Stream
from parity.frameworks.layers import each_direction
from parity.frameworks.layouts import Layout


class Cell(NamedTuple):
    """One direction of one layer.

    `store` and `load` go from torch's arrays to the framework's weights and back;
    `run(weights, xs, reverse)` gives `ys, h, c`, in the order of the inputs;
    `step(weights, x, state)` gives `y, state`; `start(h, c)` pairs a state.
    """

    store: Callable[[LayerParams], Any]
    load: Callable[[Any], LayerParams]
    run: Callable[[Any, Any, bool], tuple[Any, Any, Any]]
    step: Callable[[Any, Any, Any], tuple[Any, Any]] | None = None
    start: Callable[[Any, Any], Any] = lambda h, c: (h, c)


def of_cell(name: str, layout: Layout, library: Library, cell: Cell) -> Framework:
    """A framework whose stack is made here of its cells."""
    return Framework(
        name=name,
        layout=layout,
        library=library,
        store=partial(each_direction, cell.store),
        load=partial(each_direction, cell.load),
        run=partial(_run_layers, cell),
        stream=cell.step
        and Stream(partial(_start_layers, cell), partial(_step_layers, cell.step)),
    )


def _run_layers(cell: Cell, layers: Any, xs: Any) -> Outputs:
    xs, states = jnp.asarray(xs), []
    for directions in layers:
        found = [cell.run(w, xs, d == 1) for d, w in enumerate(directions)]
        xs = jnp.concatenate([ys for ys, _, _ in found], axis=-1)
        states += [(h, c) for _, h, c in found]
    h, c = map(jnp.stack, zip(*states, strict=True))
    return Outputs(xs, h, c)


def _step_layers(step: Any, layers: Any, x: Any, states: Any) -> tuple[Any, Any]:
    """One time step of every layer; each has one direction."""
    x, after = jnp.asarray(x), []
    for (weights,), before in zip(layers, states, strict=True):
        x, state = step(weights, x, before)
        after.append(state)
    return x, after


def _start_layers(cell: Cell, spec: LSTMSpec, rows: int) -> list[Any]:
    zeros = jnp.zeros((rows, spec.hidden_size), spec.dtype)
    return [cell.start(zeros, zeros) for _ in range(spec.num_layers)]
