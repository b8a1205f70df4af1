"""The adding problem: two numbers of a long sequence are marked, give their sum.

Each step has a number, uniform in [0, 1), and a mark, which is 1 at two steps and 0 at
the others. Saying 1 whatever is read has a mean squared error of 1/6.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
from flax import nnx

from examples.published.task import Figure, Task
from lstm_jax import LSTMModel
from lstm_jax.train import Batch

TCN = "Bai, Kolter and Koltun, arXiv:1803.01271, Table 1: T = 600, 70 K weights"
HIDDEN, ROWS, RATE = 64, 32, 1e-2
TEST = 2**33  # its seed: none of training is as large


def draw(rng: np.random.Generator, count: int, steps: int) -> Batch:
    """So many sequences: `xs (count, steps, 2)` and `ys (count, 1)`."""
    xs = np.zeros((count, steps, 2), np.float32)
    xs[..., 0] = rng.random((count, steps), np.float32)
    places = rng.random((count, steps)).argpartition(2, axis=1)[:, :2]
    np.put_along_axis(xs[..., 1], places, 1, axis=1)
    ys = (xs[..., 0] * xs[..., 1]).sum(axis=1, keepdims=True)
    return Batch(xs, ys)


def batches(seed: int, steps: int) -> Iterator[Batch]:
    """New sequences for every step of training."""
    rng = np.random.default_rng(seed)
    while True:
        yield draw(rng, ROWS, steps)


def test(steps: int) -> Batch:
    """A thousand sequences that training does not see."""
    return draw(np.random.default_rng(TEST), 1000, steps)


def model(seed: int, steps: int) -> LSTMModel:
    """One layer, whose gates are open for as long as the sequences are.

    The biases of the forget gates are the logarithms of numbers drawn from 1 to T - 1,
    those of the input gates minus these (Tallec and Ollivier, arXiv:1804.11188).
    """
    made = LSTMModel(2, HIDDEN, 1, rngs=nnx.Rngs(seed))
    forget = np.log(np.random.default_rng(seed).uniform(1, steps - 1, HIDDEN))
    biases = np.concatenate([-forget, forget, np.zeros(2 * HIDDEN)]).astype(np.float32)
    own = {"lstm.bias_ih_l0": biases, "lstm.bias_hh_l0": np.zeros_like(biases)}
    made.load_params({**made.params(), **own})
    return made


def of(steps: int, updates: int, seeds: int, published: tuple[Figure, ...]) -> Task:
    """The task with sequences of so many steps."""
    return Task(
        f"adding problem, T = {steps}",
        "mean squared error",
        partial(model, steps=steps),
        partial(batches, steps=steps),
        partial(test, steps),
        RATE,
        updates,
        seeds,
        published,
    )


SHORT = of(200, 1500, 5, ())
LONG = of(
    600,
    1200,
    1,
    (
        Figure("LSTM", 0.164, TCN),
        Figure("GRU", 5.3e-5, TCN),
        Figure("TCN", 5.8e-5, TCN),
    ),
)
