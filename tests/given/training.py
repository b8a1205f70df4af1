"""Samples, models and runs that the tests of training share."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lstm_jax import LSTMModel
from lstm_jax.train import Arrays, Batch, Run, fit

T, I, H = 7, 3, 4  # noqa: E741


def samples(count: int = 23, seed: int = 0) -> Arrays:
    """Noisy inputs; the target is the mean of the first feature over the steps."""
    xs = np.random.default_rng(seed).normal(size=(count, T, I)).astype(np.float32)
    return Arrays(xs, xs[..., 0].mean(1, keepdims=True))


TRAIN, VALID = samples(), samples(11, seed=1)
RUN: Any = {"validation": VALID, "batch": 5, "epochs": 4, "rate": 0.03}


class Line(nnx.Module):
    """The least model: compiled at once, where an LSTM adds nothing."""

    def __init__(self, seed: int = 0, outputs: int = 1) -> None:
        self.head = nnx.Linear(I, outputs, rngs=nnx.Rngs(seed))

    def __call__(self, xs: Any) -> Any:
        return self.head(xs.mean(1))

    def params(self) -> dict[str, Any]:
        head: Any = self.head
        return {"bias": head.bias[...], "kernel": head.kernel[...]}


class Kept(Line):
    """One that can be kept in a folder, and whose key drops a part of its input."""

    def __call__(
        self, xs: Any, *, deterministic: bool = False, rngs: Any = None
    ) -> Any:
        xs = xs.mean(1)
        if not deterministic:
            xs = jnp.where(jax.random.bernoulli(rngs, 0.7, xs.shape), xs, 0)
        return self.head(xs)

    def save_pretrained(self, path: Path) -> None:
        path.mkdir(exist_ok=True)
        saved = {name: array.tolist() for name, array in self.params().items()}
        if not (path / "config.json").exists():
            _ = (path / "config.json").write_text("{}", encoding="utf-8")
        _ = (path / "weights.json").write_text(json.dumps(saved), encoding="utf-8")


def model(seed: int = 0, **options: Any) -> LSTMModel:
    return LSTMModel(I, H, 1, **options, rngs=nnx.Rngs(seed))


def trained(**options: Any) -> Run:
    """A short run of the least model."""
    return fit(Line(), TRAIN, **(RUN | options))


@dataclass
class Calling:
    """Rows that call `then` when a batch is taken for the n-th time."""

    rows: Arrays
    at: int
    then: Any
    taken: int = field(default=0)
    fingerprint: str = "a name"

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> Batch:
        self.taken += 1
        if self.taken == self.at:
            self.then()
        return self.rows.take(rows)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def signalling(at: int, number: int) -> Calling:
    """Samples whose n-th batch sends this process a signal."""
    return Calling(TRAIN, at, lambda: os.kill(os.getpid(), number))
