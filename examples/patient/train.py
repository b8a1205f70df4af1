"""Predict one person's glucose in 30 minutes, and warn of low glucose.

    python examples/patient/train.py                      seed 0
    python examples/patient/train.py --seeds 5 --record   what the README says

From two hours of readings, every five minutes, the LSTM predicts the next six. Where
its forecast for the last of them is low, an alarm rings. Both are judged beside cheap
forecasts: the error in mg/dL, and how many events each finds at as many false alarms.
This is no medical device.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from examples.form import MODEL, Example, Outcome, Size
from examples.patient import alarms
from examples.patient.alarms import Found
from examples.patient.data import read
from examples.patient.drawing import draw
from examples.patient.forecasts import (
    HORIZON,
    Forecast,
    at_readings,
    baselines,
    bias_where_low,
    of_model,
    rmse,
    watched,
)
from lstm_jax.train import Dataset, Windows, fit, model_for, windows

EPOCHS: dict[Size, int] = {"fast": 2, "usual": 15}
FALSE_A_DAY = 1.0  # how many false alarms the thresholds allow on the validation part


class Judged(NamedTuple):
    """What a forecast is worth on the test part.

    Attributes:
        rmse: mg/dL.
        bias: mg/dL, where the reading in 30 minutes is low.
        predicted: At each reading, `(N,)`.
        curve: What each threshold gives.
        chosen: The number of the threshold that the validation part chose.
    """

    rmse: float
    bias: float
    predicted: np.ndarray
    curve: list[Found]
    chosen: int


def cut(table: pd.DataFrame) -> Dataset:
    """Windows of two hours; none crosses a hole, or a gap between two parts."""
    options: dict[str, Any] = {"time": "time", "split": "part", "calendar": "none"}
    return windows(table, target="glucose", window=24, horizon=HORIZON, **options)


def judged(forecast: Forecast, valid: Windows, test: Windows) -> Judged:
    """Choose a threshold on the validation part, and judge on the test part."""
    chosen = alarms.curve(watched(valid), at_readings(forecast, valid))
    predicted = at_readings(forecast, test)
    found = alarms.curve(watched(test), predicted)
    errors = rmse(forecast, test), bias_where_low(forecast, test)
    return Judged(*errors, predicted, found, alarms.highest(chosen, FALSE_A_DAY))


def scores(one: Judged) -> dict[str, float]:
    """The numbers of the table."""
    found = one.curve[one.chosen]
    low, high = alarms.clopper_pearson(found.events, len(found.leads))
    same = one.curve[alarms.highest(one.curve, FALSE_A_DAY)]
    return {
        "RMSE, mg/dL": one.rmse,
        "bias where low, mg/dL": one.bias,
        "events found, %": 100 * found.sensitivity,
        "from, %": 100 * low,
        "to, %": 100 * high,
        "lead, min": found.median_lead,
        "false alarms a day": found.false_a_day,
        "found at 1 a day, %": 100 * same.sensitivity,
    }


def run(size: Size, seed: int) -> Outcome:
    """Train on one part, choose on the next, judge on the last."""
    table = read()
    made = cut(table)
    model = model_for(made, hidden_size=48, seed=seed)
    options: dict[str, Any] = {"rate": 5e-3, "batch": 128, "epochs": EPOCHS[size]}
    trained = fit(model, made.train, validation=made.valid, seed=seed, **options)
    parts: dict[Any, Any] = dict(list(table.groupby("part")))
    valid, test = (made.recipe.windows(parts[part]) for part in ("valid", "test"))
    forecasts = {MODEL: of_model(trained), **baselines(made)}
    found = {name: judged(one, valid, test) for name, one in forecasts.items()}
    losses = trained.history["loss"]
    rows = {name: scores(one) for name, one in found.items()}
    return Outcome(rows, (losses.iloc[0], losses.iloc[-1]), (test, found))


EXAMPLE = Example(
    Path(__file__).parent,
    about=__doc__ or "",
    score="RMSE, mg/dL",
    best="lowest",
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
