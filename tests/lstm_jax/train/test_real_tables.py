"""Tables of the world: weather, a patient's glucose, stocks; and basins made up."""

import numpy as np
import pandas as pd
import pytest
import vega_datasets
from bokeh_sampledata import glucose, stocks

from lstm_jax.train import Dataset
from tests.given.tables import refused, windows


def sizes(made: Dataset) -> list[int]:
    return [len(part) for part in made[:3]]


def test_seattle_weather() -> None:
    table = vega_datasets.local_data.seattle_weather()
    made = windows(table, target="temp_max", time="date")
    assert made.said == (
        "Left out, for they hold no numbers: 'weather'.",
        "The validation part begins at 2014-10-19 and the test part at 2015-05-26.",
        "The step is 1 day.",
        "A window has 102 rows: a tenth of the training rows of a group.",
    )
    assert sizes(made) == [920, 219, 220]
    # A step of the model's output is about as large as a change of the target.
    ys = made.train.take(np.arange(len(made.train))).ys
    assert 0.9 < np.square(ys).mean() < 1.1


def test_temperatures_of_san_francisco() -> None:
    table = vega_datasets.local_data.sf_temps()
    made = windows(table, target="temp", time="date", horizon=24)
    assert made.recipe.window == 168
    assert made.recipe.calendar == ("hour", "weekday")
    assert "A window has 168 rows: a week." in made.said


def test_the_cures_of_the_glucose_table_lead_through() -> None:
    table, given = glucose.data, {"target": "glucose", "time": "datetime"}
    with refused(
        "windows: isig='nil' in row 39459 must be a number: 51220 of the 52281 values "
        "of 'isig' are. Leave it empty where it means a missing value, or leave the "
        "column out: inputs=[] reads no other column, inputs=['a', 'b'] these."
    ):
        _ = windows(table, **given)
    with refused(
        "windows: time='2010-05-20 03:21:00' must be in one row of the table: it is in "
        "row 14275 and row 14276, the first of 3 repeats. Use group= if rows of "
        "several groups are mixed, or duplicates='first' to keep the first row of each "
        "time."
    ):
        _ = windows(table, **given, inputs=[])
    made = windows(table, **given, inputs=[], duplicates="first")
    assert "The step is 5 minutes." in made.said
    assert min(sizes(made)) > 1000
    empty = table.assign(isig=table.isig.replace("nil", ""))
    with pytest.raises(
        ValueError, match=r"^windows: 'isig' must be known in every row"
    ):
        _ = windows(empty, **given, duplicates="first")
    filled = windows(empty, **given, duplicates="first", fill="last")
    assert filled.recipe.feature_names[:2] == ("glucose", "isig")


def test_stocks_cross_weekends_where_they_may() -> None:
    names = ("AAPL", "IBM", "MSFT")
    held = [pd.DataFrame(getattr(stocks, name)).assign(name=name) for name in names]
    given = {"target": "close", "time": "date", "group": "name"}
    table = pd.concat(held)
    assert windows(table, **given).recipe.window == 2
    made = windows(table, **given, max_gap=4)
    assert made.recipe.window > 200
    assert made.recipe.scales.groups == names


def test_basins_with_half_their_discharge_missing() -> None:
    rng, held = np.random.default_rng(0), []
    for k in range(20):
        rain = rng.gamma(1.0, 1.0, 700)
        days = pd.date_range("2000-01-01", periods=700)
        flow = rng.gamma(2.0) * pd.Series(rain).ewm(alpha=0.2).mean()
        flow[rng.random(700) < 0.5] = np.nan
        columns = {"basin": f"b{k}", "date": days, "rain": rain, "flow": flow}
        held.append(pd.DataFrame(columns).assign(area=rng.gamma(2.0)))
    given = {"target": "flow", "time": "date", "group": "basin", "static": "area"}
    made = windows(pd.concat(held, ignore_index=True), **given, horizon=0)
    assert len(made.recipe.scales.groups) == 20
    names = ("rain", "area", "sin(weekday)", "cos(weekday)")
    assert made.recipe.feature_names == names
    batch = made.train.take(np.arange(len(made.train)))
    np.testing.assert_array_equal(batch.weights, 1.0)
    assert 0.45 < len(made.train) / (20 * (490 - made.recipe.window + 1)) < 0.55
