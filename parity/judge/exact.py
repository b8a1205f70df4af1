"""The exact values of a problem, from the oracle, and the noise of rounding in them."""

import time
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from parity.judge import oracle, tolerance
from parity.judge.cases import SETS, Case, Problem
from parity.judge.tensors import OUTPUTS, Array, Key, flatten_batch
from parity.judge.watch import Tell, silent
from parity.judge.whole import PREDICTIONS, Model, gradients

_RUNS = 1 + tolerance.NOISE_RUNS
_BACKWARD = 4  # steps of the forward pass that one of the backward pass is as long as


def seconds_needed(case: Case, params: Mapping[str, Array] | None = None) -> float:
    """About how long `of_oracle` takes on this machine: one step of it is timed."""
    problem = replace(case, steps=1, lengths=False, resets=False).draw(params)
    start = time.perf_counter()
    _ = of_oracle(problem, runs=1)
    return (time.perf_counter() - start) * case.steps * _RUNS


def of_oracle(
    problem: Problem, tell: Tell = silent, runs: int = _RUNS
) -> dict[Key, tolerance.Exact]:
    """The exact values and their noise, from one exact and some noisy runs."""
    axes = _Axes(problem, runs)
    lengths, resets = problem.lengths, problem.resets
    steps, *batch = problem.xs.shape[:-1]
    result = oracle.forward(
        {name: a.astype(axes.wide) for name, a in problem.params.items()},
        axes.repeat(problem.xs),
        *map(axes.repeat, problem.state or _zero_state(problem)),
        lengths=None if lengths is None else lengths.reshape(-1),
        resets=None if resets is None else resets.reshape(steps, prod(batch)),
        reset_state=axes.repeat_pair(problem.reset_state),
        rounding=_Noise(problem.xs.dtype.name, axes.runs),
        stepped=_Steps(problem, tell).count,
    )
    found = oracle.backward(result, *map(axes.repeat_sets, problem.cotangents))
    outputs = zip(OUTPUTS, (result.ys, result.h, result.c), strict=True)
    values = {(name, ""): axes.exact(a, name == "ys") for name, a in outputs}
    states = {"d_h0": found.h, "d_c0": found.c} if problem.state is not None else {}
    if problem.reset_state is not None:
        states |= {"d_reset_h": found.reset_h, "d_reset_c": found.reset_c}
    sets = len(problem.cotangents.ys)
    for k, label in enumerate(SETS[:sets]):
        values["d_xs", label] = axes.exact(found.xs[:, k], steps=True)
        for name, a in states.items():
            values[name, label] = axes.exact(a[:, k], steps=False)
        for name in problem.params:
            gradient = found.params[name][k]
            values[f"d_{name}", label] = tolerance.from_runs(gradient, steps=False)
    return values


def of_model(model: Model, dtype: str, runs: int = _RUNS) -> dict[Key, tolerance.Exact]:
    """The same for a whole model whose arrays are of `dtype`."""
    wide = np.longdouble if dtype == "float64" else np.float64
    params = {name: a.astype(wide) for name, a in model.params.items()}
    tokens = "embedding.weight" in params
    xs = model.xs if tokens else model.xs.astype(wide)
    cotangent = model.cotangent.astype(wide)
    exact = model._replace(params=params, xs=xs, cotangent=cotangent)
    found = gradients(exact, _Noise(dtype, runs), runs)
    return {
        (name, "" if name == PREDICTIONS else SETS[0]): tolerance.from_runs(a, False)
        for name, a in found.items()
    }


class _Axes:
    """Between the axes of a problem, `(X, *B, F)`, and those of the oracle."""

    def __init__(self, problem: Problem, runs: int) -> None:
        self.runs = runs
        self.batch = problem.xs.shape[1:-1]
        self.wide = np.longdouble if problem.xs.dtype == np.float64 else np.float64

    def repeat(self, array: Array) -> Array:
        """`(X, *B, F)` as `(X, N, B, F)`, a copy for each run."""
        flat = flatten_batch(array.astype(self.wide), len(self.batch))[:, None]
        return np.broadcast_to(flat, (flat.shape[0], self.runs, *flat.shape[2:]))

    def repeat_pair(self, state: Any) -> tuple[Array, Array] | None:
        """The same for a state, if there is one."""
        return None if state is None else (self.repeat(state[0]), self.repeat(state[1]))

    def repeat_sets(self, array: Array) -> Array:
        """`(sets, X, *B, F)` as `(X, sets, N, B, F)`."""
        return np.stack([self.repeat(one) for one in array], axis=1)

    def exact(self, array: Array, steps: bool) -> tolerance.Exact:
        """`(X, N, B, F)` as the exact value `(X, *B, F)` and its noise."""
        shaped = array.reshape(*array.shape[:2], *self.batch, array.shape[-1])
        return tolerance.from_runs(shaped if steps else shaped.swapaxes(0, 1), steps)


def _zero_state(problem: Problem) -> tuple[Array, Array]:
    """A state of zeros; the cotangents of the state after have its shape."""
    _, h, c = problem.cotangents
    return np.zeros_like(h[0]), np.zeros_like(c[0])


class _Steps:
    """Counts the steps of the oracle, forward and back, and tells the share."""

    def __init__(self, problem: Problem, tell: Tell) -> None:
        passes = sum(name.startswith("weight_ih") for name in problem.params)
        self.half, self.done, self.tell = passes * len(problem.xs), 0, tell

    def count(self) -> None:
        """One more step is done."""
        self.done += 1
        back = max(0, self.done - self.half)
        share = (self.done - back + _BACKWARD * back) / (1 + _BACKWARD) / self.half
        self.tell("the oracle", share)


class _Noise:
    """Rounding for `oracle.forward`: the first run is exact, the others are noisy."""

    def __init__(self, dtype: str, runs: int) -> None:
        self.rng = np.random.default_rng(0)
        self.eps = np.full((runs, 1, 1), tolerance.eps_of(dtype))
        self.eps[0] = 0
        self.tiny = tolerance.tiny_of(dtype) * (self.eps > 0)
        # Sums of a half type are made in float32.
        wide = "float32" if dtype in ("bfloat16", "float16") else dtype
        self.sums = tolerance.eps_of(wide) * (self.eps > 0)

    def __call__(self, array: Array, spread: Array | None = None) -> Array:
        if array.ndim < 3:  # a bias has no axis of runs yet
            array = np.broadcast_to(array, (len(self.eps), 1, array.size))
        u = self.rng.random(array.shape, dtype=np.float32) * 2 - 1
        eps, tiny = (a.astype(array.dtype) for a in (self.eps, self.tiny))
        if spread is None:
            return array + u * (eps * array + tiny)
        return array + u * (np.maximum(eps * np.abs(array), self.sums * spread) + tiny)
