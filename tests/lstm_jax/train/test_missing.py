"""Missing values: masked in targets, refused or filled forward in inputs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset
from tests.given.tables import basins, one_series, refused, windows

GIVEN = {"target": "flow", "time": "day", "window": 2, "calendar": "none"}


def cut(table: Any, **options) -> Dataset:
    return windows(table, **GIVEN | options)


def holed(name: str, *rows: int) -> pd.DataFrame:
    table = one_series()
    table.loc[list(rows), name] = np.nan
    return table


def test_a_missing_target_has_weight_0_and_its_window_stays() -> None:
    table = holed("flow", 10)
    made = cut(table, past=False, horizon=2)
    rows = np.flatnonzero((made.train.ends >= 8) & (made.train.ends <= 9))
    batch = made.train.take(rows)
    np.testing.assert_array_equal(batch.weights, [[1, 0], [0, 1]])
    assert np.isfinite(batch.ys).all()
    assert np.isnan(made.train.truth()[rows[0], 1, 0])


def test_a_window_without_a_known_target_is_left_out() -> None:
    ends = cut(holed("flow", 10, 11), past=False, horizon=2).train.ends
    assert 9 not in ends
    assert {8, 10} <= set(ends)


def test_one_of_several_targets_may_be_missing() -> None:
    made = cut(holed("rain", 10), target=["flow", "rain"], past=False)
    batch = made.train.take(np.flatnonzero(made.train.ends == 9))
    np.testing.assert_array_equal(batch.weights, [[1, 0]])


def test_a_group_without_a_known_target_is_left_out_and_named() -> None:
    table = basins()
    later = table.groupby("basin").cumcount() > 35  # known in the test part only
    table.loc[(table.basin == "oder") & ~later, "flow"] = np.nan
    options = {"time": "time", "group": "basin", "fill": "last", "window": 2}
    made = windows(table, target="flow", **options)
    said = "Groups left out, for no target is known in training: 'oder'."
    assert said in made.said
    assert made.recipe.scales.groups == ("elbe", "rhine")
    assert not any("oder" in part.groups for part in made[:3])
    with refused(
        "recipe.windows: group='oder' must be in the training part: each group has a "
        "scale of its own. Train with scale='all' to predict other groups."
    ):
        _ = made.recipe.windows(table)


PAST = "'flow' must be known in every row, for the model reads it as an input: it is "
PAST += "missing in 2 rows, first in row 11. Use fill='last' for the last known value "
PAST += "and a column that tells of it, or past=False, which leaves the past of the "
PAST += "target out."
INPUT = "'rain' must be known in every row, for the model reads it as an input: it is "
INPUT += "missing in 1 row, first in row 51. Use fill='last' for the last known value "
INPUT += "and a column that tells of it, or leave it out by inputs=['promo']."


def test_a_missing_input_is_refused_and_each_cure_works() -> None:
    with refused(f"windows: {PAST}"):
        _ = cut(holed("flow", 10, 20))
    for cure in ({"fill": "last"}, {"past": False}):
        assert len(cut(holed("flow", 10, 20), **cure).train) > 30
    with refused(f"windows: {INPUT}"):
        _ = cut(holed("rain", 50))
    for cure in ({"fill": "last"}, {"inputs": ["promo"]}):
        assert len(cut(holed("rain", 50), **cure).train) > 30


def test_a_missing_future_column_is_refused() -> None:
    text = (
        "future='promo' must be known in every row: it is missing in 1 row, first in "
    )
    text += (
        "row 6. Fill it in, or drop the rows that lie ahead of what is known, or name "
    )
    text += "it in inputs with fill='last'."
    for fill in (None, "last"):
        with refused(f"windows: {text}"):
            _ = cut(holed("promo", 5), future="promo", fill=fill)
    assert len(cut(holed("promo", 5), fill="last").train) > 30


def test_the_last_known_value_takes_the_place_and_a_column_tells_of_it() -> None:
    table = holed("rain", 0, 1, 10, 11)
    made = cut(table, fill="last", inputs=["rain"], window=1)
    names = ("flow", "rain", "rain was missing")
    assert made.recipe.feature_names == names
    xs = made.train.take(np.arange(len(made.train))).xs[:, 0]
    mean, std = made.recipe.standardizer.mean[0], made.recipe.standardizer.std[0]
    known = table.rain.ffill().to_numpy()[: len(xs)]
    expected = np.nan_to_num((known - mean) / std).astype(np.float32)
    np.testing.assert_array_equal(xs[:, 1], expected)
    np.testing.assert_array_equal(xs[:, 2], table.rain.isna()[: len(xs)])
    assert xs[0, 1] == xs[1, 1] == 0.0


def test_a_value_is_not_carried_over_a_hole() -> None:
    table = holed("rain", 21, 22).drop(index=20)
    made = cut(table, fill="last", inputs=["rain"], window=1)
    xs = made.train.take(np.arange(len(made.train))).xs[:, 0]
    days = pd.DatetimeIndex(made.train.times)
    np.testing.assert_array_equal(xs[days == table.day[21], 1:], [[0.0, 1.0]])


def test_a_column_missing_later_only_is_filled_and_said() -> None:
    said = "Missing in no training row, but in others: 'rain'. The last known value "
    said += "takes the place, and no column tells the model."
    made = cut(holed("rain", 50), fill="last")
    assert said in made.said
    assert made.recipe.flagged == ()
    table = holed("promo", 50).assign(rain=holed("rain", 3).rain)
    held = cut(holed("rain", 3), fill="last").recipe.windows(table)
    assert held.said == (said.replace("'rain'", "'promo'"),)
    place = int(np.flatnonzero(held.ends == 50)[0])
    xs = held.take(np.array([place])).xs[0]
    assert xs[1, 2] == xs[0, 2]


def test_a_missing_input_of_a_prediction_is_refused() -> None:
    recipe = cut(one_series()).recipe
    with refused(
        "recipe.windows: 'rain' must be known in every row, for the model reads it as "
        "an input: it is missing in 1 row, first in row 51. Fill it in, or train with "
        "fill='last', which takes the last known value."
    ):
        _ = recipe.windows(holed("rain", 50))
    assert len(recipe.windows(holed("rain", 59).drop(index=59))) == 58


@pytest.mark.parametrize("fill", [None, "last"])
def test_rows_that_only_know_what_lies_ahead_are_predicted_not_read(fill) -> None:
    table = one_series()
    table.loc[57:, ["flow", "rain"]] = np.nan
    options = {"future": "promo", "horizon": 3, "fill": fill}
    made = cut(table, **options)
    held = made.recipe.windows(table)
    assert held.ends[-1] == 56
    assert np.isnan(held.truth()[-1]).all()
    np.testing.assert_array_equal(held.last()[-1], table.flow[56])
    np.testing.assert_array_equal(held.times_ahead()[-1], table.day[57:])
