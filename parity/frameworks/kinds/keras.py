"""Keras: `keras.layers.LSTM` on its JAX backend, called without a state of its own."""

from functools import cache
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.frameworks.cells import Cell
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

KERAS = LAYOUTS["Keras"]


def _store(params: LayerParams) -> list[Any]:
    """What `layer.get_weights()` lists: the kernel, the recurrent kernel, the bias."""
    weight_ih, weight_hh, biases = to_layout(params, KERAS)
    return [weight_ih, weight_hh, *biases]


def _load(weights: Any) -> LayerParams:
    weight_ih, weight_hh, *biases = weights
    return from_layout(Stacked(weight_ih, weight_hh, tuple(biases)), KERAS)


def _call_layer(weights: Any, xs: jax.Array, reverse: bool) -> Any:
    hidden, bias = len(weights[1]), len(weights) == 3
    layer = _layer(xs.shape[2], hidden, bias, reverse, xs.dtype.name)
    others = [variable.value for variable in layer.non_trainable_variables]
    # It has no option for time first: whoever has that turns the axes around.
    rows = jnp.swapaxes(xs, 0, 1)
    (ys, h, c), _ = layer.stateless_call(weights, others, rows)
    ys = jnp.swapaxes(ys, 0, 1)
    return (ys[::-1] if reverse else ys), h, c


@cache
def _layer(inputs: int, hidden: int, bias: bool, reverse: bool, dtype: str) -> Any:
    # By name: where it is not installed, type checkers take this file for it.
    keras: Any = import_module("keras")
    if keras.backend.backend() != "jax":
        raise NotImplementedError(
            f"keras: its backend must be jax, not {keras.backend.backend()}: JAX runs "
            "its LSTM here. Set KERAS_BACKEND=jax before keras is imported."
        )
    layer = keras.layers.LSTM(
        hidden,
        use_bias=bias,
        return_sequences=True,
        return_state=True,
        go_backwards=reverse,
        dtype=dtype,
    )
    with jax.ensure_compile_time_eval():  # its variables outlive a trace
        layer.build((None, None, inputs))
    return layer


CELL = Cell(store=_store, load=_load, run=_call_layer)
