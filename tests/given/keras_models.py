"""Whole models of Keras, small, with random weights: in memory, and as files."""

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tests.given.inputs import H as H, I as I

TOKENS, TARGETS = 9, 3


def layers_of() -> Any:
    """`keras.layers`, whose backend is chosen before."""
    return import_module("keras").layers


def _lstm(units: int = H, **options: Any) -> Any:
    return layers_of().LSTM(units, **options)


def _both(**options: Any) -> Any:
    return layers_of().Bidirectional(_lstm(**options))


def _sequential(*layers: Any, tokens: bool = False) -> Any:
    keras: Any = import_module("keras")
    shape = (None,) if tokens else (None, I)
    return keras.Sequential([keras.Input(shape), *layers])


def _classifier() -> Any:
    la = layers_of()
    head = la.Dense(TARGETS, activation="softmax")
    return _sequential(la.Embedding(TOKENS, I), _lstm(), head, tokens=True)


def _both_ways() -> Any:
    keras, la = import_module("keras"), layers_of()
    xs = keras.Input((None,), dtype="int32")
    ys = la.Embedding(TOKENS, I, name="words")(xs)
    ys = _both(return_sequences=True)(ys)
    ys = la.Bidirectional(_lstm(), name="second")(ys)
    return keras.Model(xs, la.Dense(TARGETS, activation="sigmoid", name="head")(ys))


def _tagger() -> Any:
    la = layers_of()
    first, last = (_lstm(return_sequences=True, name=n) for n in ("zz", "aa"))
    return _sequential(first, last, la.TimeDistributed(la.Dense(TARGETS)))


def _mean() -> Any:
    la = layers_of()
    ys = _lstm(return_sequences=True, use_bias=False)
    head = la.Dense(TARGETS, activation="relu")
    return _sequential(ys, la.GlobalAveragePooling1D(), head)


def _last_step() -> Any:
    keras, la = import_module("keras"), layers_of()
    xs = keras.Input((None, I))
    ys = _both(return_sequences=True)(xs)
    return keras.Model(xs, la.Activation("tanh")(la.Dense(TARGETS)(ys[:, -1])))


def _cells() -> Any:
    la = layers_of()
    cells = la.RNN([la.LSTMCell(H), la.LSTMCell(H)])
    return _sequential(cells, la.Dense(TARGETS))


MODELS: dict[str, Callable[[], Any]] = {
    "classifier": _classifier,
    "both ways": _both_ways,
    "tagger": _tagger,
    "mean": _mean,
    "last step": _last_step,
    "cells": _cells,
}
# What the outputs of each are, and the function of its head.
OPTIONS = {
    "classifier": ("last", "softmax"),
    "both ways": ("final", "sigmoid"),
    "tagger": ("all", None),
    "mean": ("mean", "relu"),
    "last step": ("last", "tanh"),
    "cells": ("last", None),
}


def weights_of(source: Any) -> list[np.ndarray]:
    """What `get_weights()` would give: it warns, and a warning is an error here."""
    return [np.asarray(variable.value) for variable in source.weights]


def made(name: str, seed: int = 0) -> Any:
    """A model with random weights everywhere, biases too."""
    model, rng = MODELS[name](), np.random.default_rng(seed)
    shapes = [variable.shape for variable in model.weights]
    model.set_weights([rng.uniform(-0.7, 0.7, s).astype(np.float32) for s in shapes])
    return model


def with_weights(model: Any, arrays: Any) -> Any:
    """The same model with other weights."""
    clone: Any = import_module("keras").models.clone_model(model)
    clone.set_weights([np.asarray(array) for array in arrays])
    return clone


def inputs(name: str, rows: int = 3, steps: int = 6) -> np.ndarray:
    """Tokens `(B, T)`, or features `(B, T, I)`."""
    rng = np.random.default_rng(7)
    if name in ("classifier", "both ways"):
        return rng.integers(0, TOKENS, (rows, steps))
    return rng.standard_normal((rows, steps, I)).astype(np.float32)


def saved(model: Any, path: Path) -> Path:
    """The model as a file: its weights, where the name says so, or all of it."""
    save = model.save_weights if ".weights." in path.name else model.save
    with warnings.catch_warnings():
        # Keras has a word on .h5, and its arrays are older than NumPy's rule of copies.
        warnings.simplefilter("ignore")
        save(path)
    return path
