"""Predict each next day's return of four stocks, with the state carried through time.

    python examples/stocks/train.py                      seed 0
    python examples/stocks/train.py --seeds 5 --record   what the README says

The LSTM reads the stocks day by day and never forgets its state: it is trained on
consecutive chunks and predicts one day at a time. The picture shows why the curve of
the predicted price, drawn on the true one, looks perfect and says nothing.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from examples.form import MODEL, Example, Outcome, Size
from examples.stocks.baselines import by_ridge, persistence, training_mean
from examples.stocks.data import INPUTS, NAMES, Predictor, Stock, read
from examples.stocks.drawing import draw
from examples.stocks.scoring import prices, scores
from lstm_jax import LSTMModel
from lstm_jax.train import Streams, fit, streams

EPOCHS: dict[Size, int] = {"fast": 10, "usual": 60}


def chunks(stocks: list[Stock], part: str) -> Streams:
    """Every day up to the end of a part; those of the part alone count in the loss."""
    ends = [int(np.flatnonzero(getattr(stock, part))[-1]) + 1 for stock in stocks]
    pairs = list(zip(stocks, ends, strict=True))
    return streams(
        [stock.xs[:end] for stock, end in pairs],
        [stock.ys[:end, None].astype(np.float32) for stock, end in pairs],
        weights=[getattr(stock, part)[:end, None] for stock, end in pairs],
        chunk=50,
    )


def new_model(seed: int) -> LSTMModel:
    """A model that predicts the mean return before it is trained."""
    sizes = len(INPUTS), 32, 1
    model = LSTMModel(*sizes, outputs="all", forget_bias=1.0, rngs=nnx.Rngs(seed))
    params = model.params()
    model.load_params(params | {"fc.weight": params["fc.weight"] * 0})
    return model


@nnx.jit
def day_by_day(model: LSTMModel, xs: Any) -> jax.Array:
    """Predictions `(T, 1)` for rows `(T, I)`: each day one step, the state is kept."""

    def day(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        prediction, state = model.step(x, state)
        return state, prediction

    return jax.lax.scan(day, model.initial_state(), xs)[1]


def by_model(model: LSTMModel) -> Predictor:
    """The model has read every day since the first when a part begins."""

    def predict(stock: Stock, part: str) -> np.ndarray:
        ys = np.asarray(day_by_day(model, stock.xs), np.float64)
        return stock.returns(ys[getattr(stock, part), 0])

    return predict


def run(size: Size, seed: int) -> Outcome:
    """Train, predict the test days, score."""
    stocks = read()
    train, valid = chunks(stocks, "training"), chunks(stocks, "validation")
    options: dict[str, Any] = {"rate": 1e-3, "epochs": EPOCHS[size], "seed": seed}
    made = fit(new_model(seed), train, validation=valid, **options)
    predictors: dict[str, Predictor] = {
        MODEL: by_model(made.model),
        "persistence": persistence,
        "training mean": training_mean,
        "ridge": by_ridge(stocks),
    }
    rows = {name: scores(stocks, one) for name, one in predictors.items()}
    drawn = {
        n: prices(stocks[0], one(stocks[0], "test")) for n, one in predictors.items()
    }
    losses = made.history["loss"]
    kept = NAMES[0], stocks[0].days[stocks[0].test], drawn
    return Outcome(rows, (losses.iloc[0], losses.iloc[-1]), kept)


EXAMPLE = Example(
    Path(__file__).parent,
    about=__doc__ or "",
    score="RMSE, %",
    best="lowest",
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
