"""Keras: `keras.layers.LSTM` on its JAX backend, called without a state of its own."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from parity.bench.peers.harness import Cell, built_of
from parity.bench.runner import Array, Build, Unsupported
from parity.bench.works import Work
from parity.frameworks.apply import LAYOUT, stacked, unstacked

# By name, since type checkers take this file for the package if there is none.
keras: Any = import_module("keras")
KERAS = LAYOUT["Keras"]


def builder() -> Build:
    """Programs of Keras."""
    return built_of(_cell)


def _cell(work: Work) -> Cell:
    backend = keras.backend.backend()
    if backend != "jax":
        raise Unsupported(f"its backend is {backend}: set KERAS_BACKEND=jax")
    hidden, dtype = work.case.hidden_size, work.case.dtype
    layers: dict[tuple[int, bool], Any] = {}

    def weights(torch: dict[str, Array], inputs: int, _: int) -> list[Any]:
        # Its variables are made here, outside of the program that is compiled.
        for reverse in (False, True):
            layers[inputs, reverse] = _layer(inputs, hidden, reverse, dtype)
        return [*stacked(torch, KERAS).values()]

    def fields(params: Any) -> dict[str, Any]:
        names = ("weight_ih", "weight_hh", "bias")
        return unstacked(dict(zip(names, params, strict=True)), KERAS)

    def run(params: Any, xs: jax.Array, reverse: bool) -> Any:
        layer = layers[xs.shape[2], reverse]
        others = [variable.value for variable in layer.non_trainable_variables]
        # It has no option for time first: whoever has that turns the axes around.
        rows = jnp.swapaxes(xs, 0, 1)
        (ys, h, c), _ = layer.stateless_call(params, others, rows)
        ys = jnp.swapaxes(ys, 0, 1)
        return (ys[::-1] if reverse else ys), h, c

    return Cell(weights=weights, fields=fields, run=run)


def _layer(inputs: int, hidden: int, reverse: bool, dtype: str) -> Any:
    layer = keras.layers.LSTM(
        hidden,
        return_sequences=True,
        return_state=True,
        go_backwards=reverse,
        dtype=dtype,
    )
    layer.build((None, None, inputs))
    return layer
