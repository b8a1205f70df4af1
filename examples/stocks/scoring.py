"""The scores of predictions over all stocks."""

from typing import Any

import numpy as np

from examples.stocks.data import Predictor, Stock
from examples.stocks.measures import hit_rate, lag_correlations, r_squared


def errors(stocks: list[Stock], predict: Predictor, part: str) -> tuple[float, float]:
    """RMSE of the log returns and skill over persistence, both in percent."""
    true = np.concatenate([s.returns(s.ys[getattr(s, part)]) for s in stocks])
    guess = np.concatenate([predict(stock, part) for stock in stocks])
    error, still = ((guess - true) ** 2).mean(), (true**2).mean()
    return 100 * error**0.5, 100 * (1 - error / still)


def scores(stocks: list[Stock], predict: Predictor) -> dict[str, float]:
    """Scores over all stocks and test days; the curve's are means over the stocks."""
    rmse, skill = errors(stocks, predict, "test")
    promised = errors(stocks, predict, "validation")[1]
    found: dict[str, Any] = {
        "RMSE, %": rmse,
        "skill, %": skill,
        "skill on validation, %": promised,
    }
    guess = np.concatenate([predict(stock, "test") for stock in stocks])
    if guess.any():
        true = np.concatenate([stock.returns(stock.ys[stock.test]) for stock in stocks])
        days = np.concatenate([stock.days[stock.test] for stock in stocks])
        rate, low, high = hit_rate(guess, true, days)
        found |= {"hit rate, %": 100 * rate, "from, %": 100 * low, "to, %": 100 * high}
    pairs = [prices(stock, predict(stock, "test")) for stock in stocks]
    found["R² of the price"] = np.mean([r_squared(*pair) for pair in pairs])
    lags = np.mean([lag_correlations(*pair) for pair in pairs], axis=0)
    found["lag, days"] = lags.argmax()
    return {name: float(score) for name, score in found.items()}


def prices(stock: Stock, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The predicted and the true price of each test day."""
    before, truth = stock.prices[stock.test], stock.returns(stock.ys[stock.test])
    return before * np.exp(predicted), before * np.exp(truth)
