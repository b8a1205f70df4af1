"""Forecasts of glucose in 30 minutes, of the model and of its baselines."""

from collections.abc import Callable

import numpy as np

from examples.patient.alarms import LOW, Watch, watch
from lstm_jax.train import Dataset, Run, Windows
from lstm_jax.train.predicting import predict
from lstm_jax.train.scores import fit_baselines

HORIZON = 6  # steps of 5 minutes
READINGS = (2, 3, 4, 6, 12)  # those that a line may be drawn through
# From windows to mg/dL 30 minutes after the last reading of each, `(n,)`.
Forecast = Callable[[Windows], np.ndarray]


def of_model(run: Run) -> Forecast:
    """The model's forecast for the last of its six steps."""
    return lambda windows: predict(run.model, windows)[:, -1, 0]


def baselines(made: Dataset) -> dict[str, Forecast]:
    """Persistence, a line, ridge: what is chosen is chosen on the validation part."""
    fitted = {one.name: one.predict for one in fit_baselines(made)}
    count = min(READINGS, key=lambda count: rmse(line(count), made.valid))
    return {
        "persistence": _last_step(fitted["persistence"]),
        "line": line(count),
        "ridge": _last_step(fitted["ridge"]),
    }


def _last_step(forecast: Callable[[Windows], np.ndarray] | None) -> Forecast:
    if forecast is None:
        raise ValueError(
            "A baseline was not run: its note in `fit_baselines` says why."
        )
    return lambda windows: forecast(windows)[:, -1, 0]


def line(count: int) -> Forecast:
    """The least-squares line through the last readings, 30 minutes further on.

    Args:
        count: How many readings, 2 or more.
    """

    def forecast(windows: Windows) -> np.ndarray:
        steps = np.arange(1.0 - count, 1.0)
        rows = windows.ends[:, None] + steps.astype(int)
        readings = windows.source.targets[rows, 0]
        weights = (steps - steps.mean()) / ((steps - steps.mean()) ** 2).sum()
        return readings.mean(1) + readings @ weights * (HORIZON - steps.mean())

    return forecast


def rmse(forecast: Forecast, windows: Windows) -> float:
    """Root mean squared error in mg/dL, where the reading in 30 minutes is there."""
    errors = forecast(windows) - windows.truth()[:, -1, 0]
    return float(np.sqrt(np.nanmean(errors**2)))


def bias_where_low(forecast: Forecast, windows: Windows) -> float:
    """How much too high the forecast is, in mg/dL, where the reading comes out low."""
    truth = windows.truth()[:, -1, 0]
    return float((forecast(windows) - truth)[truth < LOW].mean())


def at_readings(forecast: Forecast, windows: Windows) -> np.ndarray:
    """The forecast at each reading, `(N,)`; NaN where less than two hours are read."""
    made = np.full(len(windows.source.targets), np.nan)
    made[windows.ends] = forecast(windows)
    return made


def watched(windows: Windows) -> Watch:
    """What alarms on these windows are judged by."""
    series, readings = windows.source.series, windows.source.targets[:, 0]
    rows = np.arange(len(readings))
    return watch(
        series.times.astype("datetime64[m]").astype(int),
        readings,
        windows.source.segments.first == rows,
        np.isin(rows, windows.ends),
    )
