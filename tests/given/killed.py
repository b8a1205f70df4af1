"""A run to be killed: `python -m tests.given.killed FOLDER` begins it or goes on."""

import sys
from pathlib import Path

import numpy as np
from flax import nnx

from lstm_jax import LSTMModel
from lstm_jax.train import fit

EPOCHS = 12


def main(folder: str) -> None:
    drawn = np.random.default_rng(0)
    xs = drawn.normal(size=(300, 12, 3)).astype(np.float32)
    ys = xs.mean((1, 2))[:, None]
    model = LSTMModel(3, 8, 1, num_layers=2, dropout=0.2, rngs=nnx.Rngs(0))
    _ = fit(
        model,
        (xs[:200], ys[:200]),
        validation=(xs[200:], ys[200:]),
        folder=Path(folder),
        resume=True,
        epochs=EPOCHS,
        batch=5,
        rate=0.01,
        patience=None,
    )


if __name__ == "__main__":
    main(sys.argv[1])
