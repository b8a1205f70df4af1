"""Columns of the calendar: sine and cosine of hour, weekday and day of year."""

import numpy as np

from lstm_jax.train.table.times.dates import DATES
from lstm_jax.train.table.times.steps import Series, Step

DAY = 86_400_000_000  # microseconds
PERIODS = {"hour": DAY, "weekday": 7 * DAY, "day of year": 365.25 * DAY}
MONDAY = np.datetime64("1970-01-05", "us")


def choose_calendar(
    series: Series, step: Step, training: np.ndarray
) -> tuple[str, ...]:
    """The columns whose period the training part covers twice, in steps below half.

    A model can learn a period that it sees twice; and two rows a period tell sine and
    cosine apart.
    """
    if series.kind != DATES or step is None or not training.any():
        return ()
    times = series.times[training].astype(np.int64)
    span = times.max() - times.min() + step
    return tuple(n for n, size in PERIODS.items() if step < size / 2 <= span / 4)


def calendar_names(chosen: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the columns, such as `sin(hour)`."""
    return tuple(f"{wave}({name})" for name in chosen for wave in ("sin", "cos"))


def calendar_columns(times: np.ndarray, chosen: tuple[str, ...]) -> list[np.ndarray]:
    """Sine and cosine of each chosen period, float64, at these times (UTC as given)."""
    phases = [2 * np.pi * _part_of(times, name) for name in chosen]
    return [wave(phase) for phase in phases for wave in (np.sin, np.cos)]


def _part_of(times: np.ndarray, name: str) -> np.ndarray:
    """How much of the period has gone by, 0 to 1."""
    if name == "day of year":
        since = times - times.astype("datetime64[Y]").astype("datetime64[us]")
    else:
        since = times - MONDAY
    micros = since.astype("timedelta64[us]").astype(np.int64)
    return (micros % PERIODS[name]) / PERIODS[name]
