"""What a prediction needs of the training: another table as windows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset, Recipe
from tests.given.tables import basins, one_series, refused, windows

STATIC = pd.DataFrame({"basin": ["elbe", "oder", "rhine"], "height": [4.0, 3.0, 5.0]})


def made_of(table: Any, **options) -> Dataset:
    given = {"target": "flow", "inputs": ["rain"], "future": ["plan"], "time": "time"}
    given |= {"group": "basin", "static": STATIC, "horizon": 2, "window": 3}
    return windows(table, **given | {"fill": "last"} | options)


def test_json_keeps_every_bit() -> None:
    recipe = made_of(basins()).recipe
    text = json.dumps(recipe.to_json(), allow_nan=False)
    back = Recipe.from_json(json.loads(text))
    assert json.dumps(back.to_json()) == text
    assert back.roles == recipe.roles
    assert back.options == recipe.options
    one, other = recipe.windows(basins()), back.windows(basins())
    rows = np.arange(len(one))
    np.testing.assert_array_equal(one.take(rows).xs, other.take(rows).xs)
    np.testing.assert_array_equal(one.take(rows).ys, other.take(rows).ys)
    assert back.feature_names == recipe.feature_names


def test_json_of_another_format_is_refused() -> None:
    held = made_of(basins()).recipe.to_json()
    names = (
        "calendar, flagged, form, format, kind, options, roles, scales, standardizer, "
    )
    names += "static, step"
    for wrong in (held | {"format": 2}, held | {"more": 1}):
        with refused(
            f"Recipe.from_json: format={wrong['format']} must be 1 with {names}: "
            "Recipe.to_json writes these. Use the version of lstm_jax that wrote it."
        ):
            _ = Recipe.from_json(wrong)


def test_the_same_table_gives_the_windows_of_training() -> None:
    table = basins()
    made = made_of(table)
    held = made.recipe.windows(table, every=False)
    places = {end: k for k, end in enumerate(held.ends)}
    for part in made[:3]:
        rows = np.array([places[end] for end in part.ends])
        for a, b in zip(
            held.take(rows)[:3], part.take(np.arange(len(part)))[:3], strict=True
        ):
            np.testing.assert_array_equal(a, b)
    # The others have targets in two parts.
    assert len(held) > sum(map(len, made[:3]))


def test_every_row_with_enough_before_it_is_predicted() -> None:
    table = one_series()
    recipe = windows(table, target="flow", time="day", window=4, horizon=3).recipe
    held = recipe.windows(table[-6:])
    assert held.ends.tolist() == [3, 4, 5]
    np.testing.assert_array_equal(
        held.times_ahead()[0],
        [*table.day[-2:], table.day[59] + pd.Timedelta("1D")],
    )
    np.testing.assert_array_equal(
        np.isnan(held.truth()[:, :, 0]),
        [[False, False, True], [False, True, True], [True, True, True]],
    )
    assert len(recipe.windows(table[-3:])) == 0
    assert recipe.windows(table[-3:]).take(np.array([], int)).xs.shape[0] == 0
    assert recipe.windows(table[-6:], every=False).ends.tolist() == []


def test_with_future_columns_the_predicted_rows_must_be_there() -> None:
    table = one_series()
    options = {"target": "flow", "future": "promo", "window": 4, "horizon": 2}
    recipe = windows(table, time="day", **options).recipe
    assert recipe.windows(table).ends[-1] == 57


def test_a_row_at_a_time_gives_what_all_at_once_give() -> None:
    table = basins()
    recipe = made_of(table, future=()).recipe
    rows = table[table.basin == "oder"].reset_index(drop=True)
    whole = recipe.windows(rows)
    xs = whole.take(np.arange(len(whole))).xs
    for k in (5, 13, 39):
        held = recipe.windows(rows[: k + 1])
        last = held.take(np.array([len(held) - 1])).xs[0]
        np.testing.assert_array_equal(last, xs[whole.ends == held.ends[-1]][0])


def test_the_target_may_be_absent_where_its_past_is_not_read() -> None:
    table = one_series()
    recipe = windows(table, target="flow", time="day", window=2, horizon=0).recipe
    held = recipe.windows(table.drop(columns="flow"))
    assert len(held) == 59
    assert np.isnan(held.truth()).all()
    other = windows(table, target="flow", time="day", window=2).recipe
    with refused(
        "recipe.windows: target='flow' must be a column of the table: it has 'day', "
        "'rain', 'promo'."
    ):
        _ = other.windows(table.drop(columns="flow"))


def test_static_numbers_of_training_are_remembered() -> None:
    table = basins()
    recipe = made_of(table, scale="all").recipe
    mine = recipe.windows(table[table.basin == "oder"])
    mean, std = recipe.standardizer.mean[-1], recipe.standardizer.std[-1]
    assert recipe.feature_names[-1] == "height"
    column = mine.take(np.arange(3)).xs[..., -1]
    np.testing.assert_array_equal(column, np.float32((3.0 - mean) / std))
    new = table[table.basin == "oder"].assign(basin="weser")
    with pytest.raises(
        ValueError, match=r"^recipe.windows: static='height' must be known"
    ):
        _ = recipe.windows(new)
    more = pd.DataFrame({"basin": ["weser"], "height": [6.0]})
    column = recipe.windows(new, static=more).take(np.arange(3)).xs[..., -1]
    np.testing.assert_array_equal(column, np.float32((6.0 - mean) / std))


def test_a_group_without_a_scale_is_refused_and_the_cure_works() -> None:
    table = basins()
    new = table[table.basin == "oder"].assign(basin="weser")
    with refused(
        "recipe.windows: group='weser' must be in the training part: each group has a "
        "scale of its own. Train with scale='all' to predict other groups."
    ):
        _ = made_of(table, static="area").recipe.windows(new)
    assert len(made_of(table, static="area", scale="all").recipe.windows(new))


def test_times_of_another_kind_are_refused() -> None:
    table = one_series()
    recipe = windows(table, target="flow", time="day", window=2).recipe
    with refused(
        "recipe.windows: time='day' must hold dates: training had them, and here are "
        "numbers. Write the times as there."
    ):
        _ = recipe.windows(table.assign(day=np.arange(60)))


def test_a_hole_in_another_table_is_not_crossed() -> None:
    table = one_series()
    recipe = windows(table, target="flow", time="day", window=3).recipe
    held = recipe.windows(table.drop(index=30))
    assert len(held) == 59 - 2 * 2
    said = "Holes of more than 1 step, which no window crosses: 1. A larger max_gap= "
    assert held.said == (said + "crosses more.",)
