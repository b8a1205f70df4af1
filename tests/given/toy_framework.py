"""A framework that nobody has: what one more file and one more row must give."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.frameworks.cells import Cell, of_cell
from parity.frameworks.framework import Library
from parity.frameworks.layouts import Layout
from parity.frameworks.stacked import Stacked, from_layout, to_layout

LAYOUT = Layout(name="Toy", gates="gofi", transposed=True, biases=1, forget_bias=0.5)


def store(params: LayerParams) -> tuple[Any, Any, Any]:
    weight_ih, weight_hh, (bias,) = to_layout(params, LAYOUT)
    return weight_ih, weight_hh, bias


def load(weights: Any) -> LayerParams:
    weight_ih, weight_hh, bias = weights
    return from_layout(Stacked(weight_ih, weight_hh, (bias,)), LAYOUT)


def step(weights: Any, x: jax.Array, state: Any) -> tuple[jax.Array, Any]:
    h, c = state
    weight_ih, weight_hh, bias = weights
    g, o, f, i = jnp.split(x @ weight_ih + h @ weight_hh + bias, 4, axis=-1)
    c = jax.nn.sigmoid(f + 0.5) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return h, (h, c)


def run(weights: Any, xs: jax.Array, reverse: bool) -> Any:
    def scanned(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        y, state = step(weights, x, state)
        return state, y

    zeros = jnp.zeros((xs.shape[1], len(weights[1])), xs.dtype)
    (h, c), ys = jax.lax.scan(scanned, (zeros, zeros), xs, reverse=reverse)
    return ys, h, c


CELL = Cell(store=store, load=load, run=run, step=step)
TOY = of_cell("toy", LAYOUT, Library("jax"), CELL)


def _misread(params: LayerParams) -> tuple[Any, Any, Any]:
    weight_ih, weight_hh, (bias,) = to_layout(params, replace(LAYOUT, gates="gfoi"))
    return weight_ih, weight_hh, bias


# Its weights are stored in another order of the gates than the one it computes with.
WRONG_TOY = of_cell("wrong toy", LAYOUT, Library("jax"), CELL._replace(store=_misread))
