"""Made-up tables: one series, and several with holes, gaps and static columns."""

import re
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax import train


def refused(text: str, error: type[Exception] = ValueError) -> AbstractContextManager:
    """Expect an error that says exactly this."""
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def windows(table: Any, **options: Any) -> train.Dataset:
    """`train.windows` for what a test makes up: types are not checked beforehand."""
    return train.windows(table, **options)


def one_series(rows: int = 60, seed: int = 0) -> Any:
    """Daily rows: `day`, `flow`, `rain` and `promo`, all known."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2021-03-30", periods=rows)
    names = ("flow", "rain", "promo")
    return pd.DataFrame({"day": days} | {n: rng.normal(size=rows) for n in names})


def basins(rows: int = 40, seed: int = 0, share: float = 0.3) -> Any:
    """Three groups of hourly rows with a hole each, a share of values missing.

    Columns: `basin`, `time`, `flow` and `rain` (missing at times), `plan` (known),
    `area` (constant within each basin).
    """
    rng, held = np.random.default_rng(seed), []
    for k, name in enumerate(("elbe", "oder", "rhine")):
        hours = np.arange(rows) + 5 * (np.arange(rows) >= 11 + k)
        times = pd.Timestamp("2021-03-30") + pd.to_timedelta(hours, unit="h")
        columns = {n: rng.normal(size=rows) for n in ("flow", "rain", "plan")}
        frame = pd.DataFrame({"basin": name, "time": times, **columns})
        held.append(frame.assign(area=rng.gamma(2.0)))
    table = pd.concat(held, ignore_index=True)
    for name in ("flow", "rain"):
        table.loc[rng.random(len(table)) < share, name] = np.nan
    return table
