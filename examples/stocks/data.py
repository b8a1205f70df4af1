"""Four stocks, day by day: what is known at each close, and what comes next."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.packages import imported
from lstm_jax.train import Arrays

NAMES = ("AAPL", "GOOG", "IBM", "MSFT")
INPUTS = ("return", "return of the others", "range", "change of volume")
VALID, TEST = np.datetime64("2009-01-01"), np.datetime64("2011-01-01")


@dataclass(frozen=True)
class Stock:
    """A stock over T days, each with a next one.

    Attributes:
        days: The days that are predicted, `(T,)`: row t is known at the close before.
        xs: `INPUTS` at the close before, `(T, 4)`, standardized.
        ys: The log return of the day, `(T,)`, standardized.
        mean: Of the log returns of training.
        std: Of them, too.
        prices: The adjusted price at the close before, `(T,)`.
    """

    days: np.ndarray
    xs: np.ndarray
    ys: np.ndarray
    mean: float
    std: float
    prices: np.ndarray

    @property
    def training(self) -> np.ndarray:
        """Which days are before 2009, `(T,)`."""
        return self.days < VALID

    @property
    def validation(self) -> np.ndarray:
        """Which days are in 2009 and 2010, `(T,)`."""
        return (self.days >= VALID) & ~self.test

    @property
    def test(self) -> np.ndarray:
        """Which days are after 2010, `(T,)`."""
        return self.days >= TEST

    def returns(self, ys: np.ndarray) -> np.ndarray:
        """Standardized returns as log returns."""
        return ys * self.std + self.mean


# From a stock and a part's name to the log returns that it predicts, `(days,)`.
Predictor = Callable[[Stock, str], np.ndarray]


def tables() -> dict[str, dict[str, np.ndarray]]:
    """Columns of each stock: `date`, `high`, `low`, `volume`, `adj_close`.

    Raises:
        SystemExit: If bokeh-sampledata is not installed.
    """
    stocks, made = imported("bokeh_sampledata.stocks"), {}
    for name in NAMES:
        columns = dict(getattr(stocks, name))
        days = np.array(columns.pop("date"), "datetime64[D]")
        made[name] = {k: np.array(v, np.float64) for k, v in columns.items()}
        made[name]["date"] = days
    return made


def read(given: dict[str, dict[str, np.ndarray]] | None = None) -> list[Stock]:
    """The stocks, in the order of `NAMES`; their scales are those of training."""
    given = tables() if given is None else given
    changes = {name: np.diff(np.log(one["adj_close"])) for name, one in given.items()}
    return [_stock(name, given, changes) for name in given]


def _stock(name: str, given: dict[str, Any], changes: dict[str, np.ndarray]) -> Stock:
    one, change = given[name], changes[name]
    days = one["date"][1:]
    spread = np.log(one["high"] / one["low"])[1:]
    volume = np.diff(np.log(one["volume"]))
    others = _mean_of_others(name, given, changes)
    inputs = np.stack([change, others, spread, volume], axis=1)
    known, ahead = inputs[:-1], change[1:]  # the close of a day, and the day after
    training = days[1:] < VALID
    mean, std = float(ahead[training].mean()), float(ahead[training].std())
    xs = (known - known[training].mean(0)) / known[training].std(0)
    ys, prices = (ahead - mean) / std, one["adj_close"][1:-1]
    return Stock(days[1:], xs.astype(np.float32), ys, mean, std, prices)


def _mean_of_others(name: str, given: Any, changes: dict[str, np.ndarray]) -> Any:
    """The mean return of the other stocks that were traded on each day, `(T,)`."""
    days = given[name]["date"][1:]
    total, count = np.zeros(len(days)), np.zeros(len(days))
    for other in given.keys() - {name}:
        theirs = given[other]["date"][1:]
        _, mine, places = np.intersect1d(days, theirs, return_indices=True)
        total[mine] += changes[other][places]
        count[mine] += 1
    return total / np.maximum(count, 1)


def windows(stocks: Iterable[Stock], part: str, length: int) -> Arrays:
    """The last `length` days before each day of a part: `(N, length, 4)`, `(N, 1)`."""
    xs, ys = [], []
    for stock in stocks:
        ends = np.flatnonzero(getattr(stock, part))
        ends = ends[ends >= length - 1]
        xs.append(stock.xs[ends[:, None] + np.arange(1 - length, 1)])
        ys.append(stock.ys[ends, None])
    return Arrays(np.concatenate(xs), np.concatenate(ys))
