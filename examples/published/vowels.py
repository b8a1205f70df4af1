"""Japanese Vowels: which of nine speakers said /ae/, in 7 to 29 steps."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from flax import nnx

from examples.packages import file_of
from examples.published.task import Figure, Task, shuffled
from lstm_jax import LSTMModel
from lstm_jax.train import Batch

BLOG = "Sequence Classification Using LSTM and 1-D Convolutions in MATLAB, 2022: a run"
BLOG += " of MathWorks' example, 50 epochs of batches of 27"
FEATURES, SPEAKERS, HIDDEN, ROWS, RATE, STEPS = 12, 9, 100, 27, 1e-3, 500


def read_ts(text: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Utterances `(T, 12)` and their speakers 0 to 8, in aeon's format ts."""
    lines = text.partition("@data\n")[2].splitlines()
    rows = [line.split(":") for line in lines if line]
    held = [
        np.array([channel.split(",") for channel in row[:-1]], np.float32).T
        for row in rows
    ]
    return held, np.array([int(row[-1]) - 1 for row in rows], np.int32)


@cache
def part(name: str) -> Batch:
    """The package's part "TRAIN" or "TEST", filled up with zeros past the lengths."""
    folder = ("datasets", "data", "JapaneseVowels")
    path = file_of("aeon", *folder, f"JapaneseVowels_{name}.ts")
    held, ys = read_ts(path.read_text(encoding="utf-8"))
    lengths = np.array([len(one) for one in held], np.int32)
    xs = np.zeros((len(held), lengths.max(), FEATURES), np.float32)
    for row, one in zip(xs, held, strict=True):
        row[: len(one)] = one
    return Batch(xs, ys, lengths=lengths)


def batches(seed: int) -> Iterator[Batch]:
    """Batches of the training part."""
    return shuffled(part("TRAIN"), ROWS, seed)


def model(seed: int) -> LSTMModel:
    """One layer in both directions, and a linear layer on their final outputs."""
    sizes = FEATURES, HIDDEN, SPEAKERS
    options = {"bidirectional": True, "outputs": "final", "forget_bias": 1.0}
    return LSTMModel(*sizes, **options, rngs=nnx.Rngs(seed))


TASK = Task(
    "Japanese Vowels",
    "accuracy",
    model,
    batches,
    lambda: part("TEST"),
    RATE,
    STEPS,
    5,
    (Figure("bidirectional LSTM, 100 units", 0.9541, BLOG),),
)
