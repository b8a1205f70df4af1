"""What the LSTM must beat: no change, the mean return, a linear model."""

import numpy as np

from examples.stocks.data import Predictor, Stock, windows
from lstm_jax.train.scores.ridge import Ridge, fit_ridge

LENGTHS = (1, 2, 5, 10, 20)  # days that the ridge regression may read


def by_ridge(stocks: list[Stock]) -> Predictor:
    """Days and penalty are those with the least error on the validation part."""
    fitted: list[tuple[float, int, Ridge]] = []
    for length in LENGTHS:
        train, valid = (windows(stocks, p, length) for p in ("training", "validation"))
        ridge = fit_ridge(train, valid)
        error = float(((ridge.predict(valid) - valid.ys) ** 2).mean())
        fitted.append((error, length, ridge))
    _, length, ridge = min(fitted, key=lambda one: one[0])

    def predict(stock: Stock, part: str) -> np.ndarray:
        return stock.returns(ridge.predict(windows([stock], part, length))[:, 0])

    return predict


def persistence(stock: Stock, part: str) -> np.ndarray:
    """The price stays as it is."""
    return np.zeros(getattr(stock, part).sum())


def training_mean(stock: Stock, part: str) -> np.ndarray:
    """The mean return of the stock."""
    return persistence(stock, part) + stock.mean
