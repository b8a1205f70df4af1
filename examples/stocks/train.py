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

from examples.form import Example, Outcome, Size
from examples.stocks.data import INPUTS, NAMES, Stock, read, windows
from examples.stocks.drawing import draw
from examples.stocks.measures import hit_rate, lag_correlations, r_squared
from lstm_jax import LSTMModel
from lstm_jax.train import Streams, fit, streams
from lstm_jax.train.scores.ridge import Ridge, fit_ridge

EPOCHS: dict[Size, int] = {"fast": 10, "usual": 60}
LENGTHS = (1, 2, 5, 10, 20)  # days that the ridge regression may read
Predicted = list[np.ndarray]  # of each stock, the log returns of the test days


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
def day_by_day(model: LSTMModel, xs: jax.Array) -> jax.Array:
    """Predictions `(T, 1)` for rows `(T, I)`: each day one step, the state is kept."""

    def day(state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        prediction, state = model.step(x, state)
        return state, prediction

    return jax.lax.scan(day, model.initial_state(), xs)[1]


def by_model(model: LSTMModel, stocks: list[Stock]) -> Predicted:
    """The model has read every day since the first when the test part begins."""
    held = [np.asarray(day_by_day(model, stock.xs), np.float64) for stock in stocks]
    return [s.returns(ys[s.test, 0]) for s, ys in zip(stocks, held, strict=True)]


def by_ridge(stocks: list[Stock]) -> Predicted:
    """Days and penalty are those with the least error on the validation part."""
    fitted: list[tuple[float, int, Ridge]] = []
    for length in LENGTHS:
        train, valid = (windows(stocks, p, length) for p in ("training", "validation"))
        ridge = fit_ridge(train, valid)
        error = float(((ridge.predict(valid) - valid.ys) ** 2).mean())
        fitted.append((error, length, ridge))
    _, length, ridge = min(fitted, key=lambda one: one[0])
    tests = [windows([stock], "test", length) for stock in stocks]
    return [
        s.returns(ridge.predict(w)[:, 0]) for s, w in zip(stocks, tests, strict=True)
    ]


def baselines(stocks: list[Stock]) -> dict[str, Predicted]:
    """Each baseline's predictions."""
    zeros = [np.zeros(stock.test.sum()) for stock in stocks]
    means = [z + stock.mean for z, stock in zip(zeros, stocks, strict=True)]
    return {"persistence": zeros, "training mean": means, "ridge": by_ridge(stocks)}


def scores(stocks: list[Stock], predicted: Predicted) -> dict[str, float]:
    """Scores over all stocks and test days; the curve's are means over the stocks."""
    truth = [stock.returns(stock.ys[stock.test]) for stock in stocks]
    days = np.concatenate([stock.days[stock.test] for stock in stocks])
    guess, true = np.concatenate(predicted), np.concatenate(truth)
    error, least = ((guess - true) ** 2).mean(), (true**2).mean()
    found = {"RMSE, %": 100 * error**0.5, "skill, %": 100 * (1 - error / least)}
    if guess.any():
        rate, low, high = hit_rate(guess, true, days)
        found |= {"hit rate, %": 100 * rate, "from, %": 100 * low, "to, %": 100 * high}
    pairs = [prices(s, p) for s, p in zip(stocks, predicted, strict=True)]
    found["R² of the price"] = float(np.mean([r_squared(*pair) for pair in pairs]))
    lags = np.mean([lag_correlations(*pair) for pair in pairs], axis=0)
    found["lag, days"] = int(lags.argmax())
    return {name: float(score) for name, score in found.items()}


def prices(stock: Stock, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predicted and the true price of each test day."""
    before, truth = stock.prices[stock.test], stock.returns(stock.ys[stock.test])
    return before * np.exp(predicted), before * np.exp(truth)


def run(size: Size, seed: int) -> Outcome:
    """Train, predict the test days, score."""
    stocks = read()
    train, valid = chunks(stocks, "training"), chunks(stocks, "validation")
    options: dict[str, Any] = {"rate": 1e-3, "epochs": EPOCHS[size], "seed": seed}
    made = fit(new_model(seed), train, validation=valid, **options)
    found = {"model": by_model(made.model, stocks), **baselines(stocks)}
    rows = {name: scores(stocks, predicted) for name, predicted in found.items()}
    losses = made.history["loss"]
    curves = {name: prices(stocks[0], held[0]) for name, held in found.items()}
    kept = NAMES[0], stocks[0].days[stocks[0].test], curves
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
