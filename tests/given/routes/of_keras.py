"""Keras, on its JAX backend."""

from importlib import import_module
from typing import Any

import jax.numpy as jnp
import numpy as np

import parity
from parity.frameworks.framework import Derived, Outputs
from parity.frameworks.registry import FRAMEWORKS
from tests.given.routes.route import Route, derived, listed, one_or_list, sizes


def _own_keras(seed: int, case: Any) -> Any:
    layers, rng = import_module("keras").layers, np.random.default_rng(seed)
    found = []
    for inputs in sizes(case):
        layer = layers.LSTM(case.hidden_size, use_bias=case.bias, return_sequences=True)
        layer = layers.Bidirectional(layer) if case.bidirectional else layer
        layer.build((None, None, inputs))
        layer.set_weights([rng.uniform(-0.5, 0.5, w.shape) for w in layer.weights])
        found.append(layer)
    return one_or_list(found)


def weights_of(layer: Any) -> list[Any]:
    """What `get_weights()` would give: it warns, and a warning is an error here."""
    return [np.asarray(variable.value) for variable in layer.weights]


def _like(layer: Any, arrays: Any, **options: Any) -> Any:
    """The same layer with other weights, and with other options."""
    config = layer.get_config()
    for inner in ("layer", "backward_layer"):
        if inner in config:
            config[inner]["config"] |= options
    both = "layer" in config
    made = type(layer).from_config(config if both else config | options)
    made.build((None, None, arrays[0].shape[0]))
    made.set_weights([np.asarray(a) for a in arrays])
    return made


def _derive_keras(found: Any, xs: Any, cotangents: Outputs) -> Derived:
    layers = listed(found)
    runs = [_like(one, weights_of(one), return_state=True) for one in layers]
    weights = [[v.value for v in run.trainable_variables] for run in runs]

    def run(weights: Any, xs: Any) -> Outputs:
        rows, states = jnp.swapaxes(xs, 0, 1), []
        for layer, arrays in zip(runs, weights, strict=True):
            others = [v.value for v in layer.non_trainable_variables]
            (rows, *held), _ = layer.stateless_call(arrays, others, rows)
            states += zip(held[::2], held[1::2], strict=True)
        h, c = map(jnp.stack, zip(*states, strict=True))
        return Outputs(jnp.swapaxes(rows, 0, 1), h, c)

    outputs, gradients, d_xs = derived(run, weights, xs, cotangents)
    gradients = [gradients] if len(layers) == 1 else gradients
    pairs = zip(layers, gradients, strict=True)
    return Derived(outputs, one_or_list([_like(*pair) for pair in pairs]), d_xs)


KERAS = Route(
    name="keras",
    target="keras",
    library=FRAMEWORKS["keras"].library,
    write=parity.to_keras,
    read=parity.from_keras,
    own=_own_keras,
    derive=_derive_keras,
)
