"""A whole model in NumPy: an embedding, the oracle's LSTM, and a head.

Like `oracle`, it imports only NumPy and shares no code with `lstm_jax`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from parity.judge import oracle
from parity.judge.oracle import Array, Rounding

PREDICTIONS = "predictions"


class Model(NamedTuple):
    """A model and what it is run on, in one type.

    `params` has the names of the torch twin of `lstm_jax.LSTMModel`. `xs` is
    `(B, T, I)`, or tokens `(B, T)` where there is an embedding; `lengths` `(B,)` or
    None. `cotangent` has the shape of the prediction, `(B, O)` or `(B, T, O)`.
    """

    params: Mapping[str, Array]
    xs: Array
    lengths: Array | None
    cotangent: Array
    outputs: str
    activation: str | None


def gradients(model: Model, rounding: Rounding, runs: int) -> dict[str, Array]:
    """The predictions, and the gradient of their weighted sum, of several runs.

    Args:
        model: In the type of the arithmetic.
        rounding: Applied to every intermediate, with an axis of runs.
        runs: How many runs there are.

    Returns:
        `predictions`, `d_xs` unless inputs are tokens, and `d_<parameter>`; each with
        an axis of runs in front.
    """
    params, weight = model.params, model.params["fc.weight"]
    lstm = {n.removeprefix("lstm."): a for n, a in params.items() if "lstm." in n}
    rows = params.get("embedding.weight")
    xs = model.xs if rows is None else rows[_tokens(model)]
    result = _run(lstm, np.moveaxis(xs, 1, 0), model.lengths, rounding, runs)
    read = _READERS[model.outputs](result, model, rounding)
    sums = rounding(oracle.product(rounding, read.given, weight.T) + params["fc.bias"])
    predictions, slope = _ACTIVATIONS[model.activation](sums, rounding)
    d_sums = rounding(slope(_as_read(model.cotangent, model)[..., None, :, :]))
    d_read = oracle.product(rounding, d_sums, weight)
    found = oracle.backward(result, *read.back(d_read), np.zeros_like(result.c))
    values = {PREDICTIONS: _with_runs(predictions, model)}
    values |= {f"d_lstm.{name}": a for name, a in found.params.items()}
    values["d_fc.weight"] = _summed("...bo,...bf->...of", d_sums, read.given)
    values["d_fc.bias"] = _summed("...bo->...o", d_sums)
    d_xs = np.moveaxis(found.xs, 0, 2)  # (N, B, T, I)
    if rows is None:
        values["d_xs"] = d_xs
    else:
        values["d_embedding.weight"] = d_rows = np.zeros((runs, *rows.shape), xs.dtype)
        for run in range(runs):
            np.add.at(d_rows[run], _tokens(model), d_xs[run])
    names = [PREDICTIONS, "d_xs", *(f"d_{name}" for name in params)]
    return {name: values[name] for name in names if name in values}


class _Read(NamedTuple):
    """What the head is given, `(*T, N, B, F)`, and its cotangent taken back."""

    given: Array
    back: Callable[[Array], tuple[Array, Array]]


def _tokens(model: Model) -> Array:
    """The tokens; past the lengths any row will do."""
    if model.lengths is None:
        return model.xs
    within = np.arange(model.xs.shape[1]) < model.lengths[:, None]
    return np.where(within, model.xs, 0)


def _run(
    lstm: Mapping[str, Array], xs: Array, lengths: Any, rounding: Rounding, runs: int
) -> oracle.Result:
    """The LSTM from a state of zeros, `xs` `(T, B, I)`."""
    xs = np.broadcast_to(xs[:, None], (len(xs), runs, *xs.shape[1:]))
    hidden = [a.shape[1] for n, a in lstm.items() if n.startswith("weight_hh")]
    cells = [len(a) // 4 for n, a in lstm.items() if n.startswith("weight_hh")]
    h, c = (np.zeros((len(s), *xs.shape[1:3], s[0]), xs.dtype) for s in (hidden, cells))
    return oracle.forward(lstm, xs, h, c, lengths=lengths, rounding=rounding)


def _last(result: oracle.Result, model: Model, rounding: Rounding) -> _Read:
    del rounding
    steps, rows = len(result.ys), np.arange(result.ys.shape[2])
    ends = np.full(len(rows), steps) if model.lengths is None else model.lengths
    at = np.maximum(ends - 1, 0)

    def back(d_read: Array) -> tuple[Array, Array]:
        d_ys = np.zeros_like(result.ys)
        d_ys[at, :, rows] = np.moveaxis(d_read, 1, 0)
        return d_ys, np.zeros_like(result.h)

    return _Read(np.moveaxis(result.ys[at, :, rows], 0, 1), back)


def _final(result: oracle.Result, model: Model, rounding: Rounding) -> _Read:
    del model, rounding
    directions = len(result.passes[-1])

    def back(d_read: Array) -> tuple[Array, Array]:
        d_h = np.zeros_like(result.h)
        d_h[-directions:] = np.stack(np.split(d_read, directions, axis=-1))
        return np.zeros_like(result.ys), d_h

    return _Read(np.concatenate([*result.h[-directions:]], axis=-1), back)


def _mean(result: oracle.Result, model: Model, rounding: Rounding) -> _Read:
    steps = len(result.ys)
    count = np.full(result.ys.shape[2], steps)
    if model.lengths is not None:
        count = np.maximum(model.lengths, 1)
    share = (1 / count.astype(result.ys.dtype))[:, None]

    def back(d_read: Array) -> tuple[Array, Array]:
        d_ys = np.broadcast_to(rounding(d_read * share), result.ys.shape)
        return d_ys, np.zeros_like(result.h)

    return _Read(rounding(result.ys.sum(axis=0) * share), back)


def _all(result: oracle.Result, model: Model, rounding: Rounding) -> _Read:
    del model, rounding
    return _Read(result.ys, lambda d_read: (d_read, np.zeros_like(result.h)))


_READERS = {"last": _last, "final": _final, "mean": _mean, "all": _all}


def _linear(sums: Array, rounding: Rounding) -> tuple[Array, Callable]:
    del rounding
    return sums, lambda d: np.broadcast_to(d, sums.shape)


def _relu(sums: Array, rounding: Rounding) -> tuple[Array, Callable]:
    del rounding
    return np.maximum(sums, 0), lambda d: np.where(sums > 0, d, 0)


def _sigmoid(sums: Array, rounding: Rounding) -> tuple[Array, Callable]:
    y = rounding(np.exp(-np.logaddexp(0, -sums)))
    return y, lambda d: d * rounding(y * (1 - y))


def _tanh(sums: Array, rounding: Rounding) -> tuple[Array, Callable]:
    y = rounding(np.tanh(sums))
    return y, lambda d: d * rounding(1 - y**2)


def _softmax(sums: Array, rounding: Rounding) -> tuple[Array, Callable]:
    shifted = np.exp(sums - sums.max(axis=-1, keepdims=True))
    y = rounding(shifted / shifted.sum(axis=-1, keepdims=True))
    return y, lambda d: y * (d - rounding((y * d).sum(axis=-1, keepdims=True)))


_ACTIVATIONS: dict[str | None, Any] = {
    None: _linear,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "tanh": _tanh,
}


def _as_read(array: Array, model: Model) -> Array:
    """`(B, T, O)` as `(T, B, O)`; `(B, O)` as it is."""
    return np.moveaxis(array, 1, 0) if model.outputs == "all" else array


def _with_runs(array: Array, model: Model) -> Array:
    """`(T, N, B, O)` as `(N, B, T, O)`; `(N, B, O)` as it is."""
    return np.moveaxis(array, 0, 2) if model.outputs == "all" else array


def _summed(formula: str, *arrays: Array) -> Array:
    """A gradient of the head, `(N, ...)`: summed over rows, and over time if any."""
    found = np.einsum(formula, *arrays)
    wanted = 1 + formula.partition("->")[2].count("o") + formula.endswith("f")
    return found.sum(axis=0) if found.ndim > wanted else found
