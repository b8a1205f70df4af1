"""The two laws of no leak for a whole run: its weights, and its predictions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Run, fit, model_for
from tests.given.tables import basins, windows
from tests.lstm_jax.train.test_no_leak import with_garbage

OPTIONS: Any = {"static": ["area"], "time": "time", "group": "basin", "fill": "last"}
OPTIONS |= {"window": 5, "horizon": 2}


def table() -> Any:
    return basins(rows=96)


def trained(held: Any, **options: Any) -> Run:
    dataset = windows(held, target="flow", **OPTIONS)
    model = model_for(dataset, hidden_size=4)
    return fit(model, dataset, epochs=3, batch=32, **options)


@pytest.fixture(scope="module")
def run() -> Run:
    return trained(table())


def test_another_test_part_gives_the_same_weights(run: Run) -> None:
    whole = table()
    first = windows(whole, target="flow", **OPTIONS).test.times_ahead().min()
    changed = trained(with_garbage(whole, (whole.time >= first).to_numpy(), holes=True))
    for name, array in run.model.params().items():
        np.testing.assert_array_equal(array, changed.model.params()[name])
    assert run.history.drop(columns="seconds").equals(
        changed.history.drop(columns="seconds")
    )
    assert run.scores.to_json() != changed.scores.to_json()


@pytest.mark.parametrize("hours", [20, 41, 70])
def test_what_comes_later_changes_no_prediction(run: Run, hours: int) -> None:
    whole = table()
    now = whole.time.min() + pd.Timedelta(hours=hours)
    broken = with_garbage(whole, (whole.time > now).to_numpy(), holes=True)
    made: Any = [run.predict(held) for held in (whole, broken)]
    steps = pd.to_timedelta(made[0]["step"], unit="h")
    known = (made[0]["time"] - steps <= now).to_numpy()
    assert 10 < known.sum() < len(known)
    one, other = (held["flow_predicted"].to_numpy() for held in made)
    np.testing.assert_array_equal(one[known], other[known])
    assert (one[~known] != other[~known]).any()
