"""What a published task is: its batches, its model, its score, its figures."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lstm_jax import LSTMModel
from lstm_jax.train import Batch
from lstm_jax.train.order import rows_of_step


@dataclass(frozen=True)
class Figure:
    """A published number.

    Attributes:
        model: Whose it is, such as "GRU".
        number: As the task's score counts.
        source: Where it is published.
    """

    model: str
    number: float
    source: str


@dataclass(frozen=True)
class Task:
    """A task, the same for every framework.

    Attributes:
        name: As the table has it.
        score: "mean squared error" of a number, or "accuracy" of a class.
        model: The model of a seed: its weights are what every framework starts from.
        batches: What the steps read, in order, of a seed: never the test part.
        test: What is scored.
        rate: Of Adam at the first step; it falls to 0 along a cosine.
        steps: Of training.
        seeds: How many.
        published: The figures to compare with.
        clip: The largest global norm of the gradients.
    """

    name: str
    score: Literal["mean squared error", "accuracy"]
    model: Callable[[int], LSTMModel]
    batches: Callable[[int], Iterator[Batch]]
    test: Callable[[], Batch]
    rate: float
    steps: int
    seeds: int
    published: tuple[Figure, ...]
    clip: float = 1.0

    def rate_at(self, step: int) -> float:
        """The rate of a step, 0 for the first."""
        return self.rate * (1 + math.cos(math.pi * step / self.steps)) / 2

    def scored(self, outputs: np.ndarray, ys: np.ndarray) -> float:
        """The score of a model's outputs."""
        if self.score == "accuracy":
            return float((outputs.argmax(axis=-1) == ys).mean())
        return float(((outputs - ys) ** 2).mean())


def shuffled(whole: Batch, size: int, seed: int) -> Iterator[Batch]:
    """Batches of all samples, in an order of the seed and the epoch, without end."""
    count, step = len(whole.xs), 0
    while True:
        rows = rows_of_step(seed, step, count, size)
        lengths = None if whole.lengths is None else whole.lengths[rows]
        yield Batch(whole.xs[rows], whole.ys[rows], lengths=lengths)
        step += 1
