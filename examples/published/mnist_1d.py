"""MNIST-1D: which digit a line of 40 numbers was drawn of."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from flax import nnx

from examples.packages import imported
from examples.published.task import Figure, Task, shuffled
from lstm_jax import LSTMModel
from lstm_jax.train import Batch

PAPER = "Greydanus and Kobak, arXiv:2011.14439, and the README of github.com/greydanus"
PAPER += "/mnist1d"
HIDDEN, ROWS, RATE, STEPS = 64, 100, 1e-2, 800


@cache
def parts() -> tuple[Batch, Batch]:
    """4000 lines to train on and 1000 to test: the package's defaults, its own split.

    The package generates them, from a seed that it gives to NumPy's own generator.
    """
    data = imported("mnist1d.data")
    made = data.make_dataset(data.get_dataset_args())
    return _batch(made["x"], made["y"]), _batch(made["x_test"], made["y_test"])


def _batch(xs: np.ndarray, ys: np.ndarray) -> Batch:
    return Batch(xs[..., None].astype(np.float32), ys.astype(np.int32))


def batches(seed: int) -> Iterator[Batch]:
    """Batches of the training part."""
    return shuffled(parts()[0], ROWS, seed)


def model(seed: int) -> LSTMModel:
    """One layer in both directions, and a linear layer on their final outputs."""
    sizes = 1, HIDDEN, 10
    options = {"bidirectional": True, "outputs": "final", "forget_bias": 1.0}
    return LSTMModel(*sizes, **options, rngs=nnx.Rngs(seed))


TASK = Task(
    "MNIST-1D",
    "accuracy",
    model,
    batches,
    lambda: parts()[1],
    RATE,
    STEPS,
    5,
    (
        Figure("MLP", 0.68, PAPER),
        Figure("GRU", 0.91, PAPER),
        Figure("CNN", 0.94, PAPER),
    ),
)
