"""The two laws of no leak: nothing reads the future, and training reads no test."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset, Windows
from tests.given.tables import basins, windows

VALUES = ["flow", "rain", "plan"]
CASES = {
    "plain": {"fill": "last"},
    "change, future": {"fill": "last", "future": ["plan"], "horizon": 3},
    "level": {"fill": "last", "predict": "level", "horizon": 2, "scale": "all"},
    "horizon 0": {"fill": "last", "horizon": 0, "future": ["plan"]},
    "gaps crossed": {"fill": "last", "max_gap": 9},
    "nothing missing": {"share": 0.0},
    "missing later only": {"share": 0.0, "fill": "last"},
    "its window": {"fill": "last", "window": None},
}
PARTS = {"part": "part", "time": "time"}


def long_table(share: float = 0.3) -> pd.DataFrame:
    """Four days of hours, and a column of parts that go back and forth."""
    table = basins(rows=96, share=share)
    hours = table.groupby("basin").cumcount()
    words = np.array(
        ["train", "train", "test", "train", "valid", "train", "test", "train"]
    )
    return table.assign(part=words[hours // 12])


def made_of(table: Any, options: dict, split: str = "time") -> Dataset:
    given = {"target": "flow", "static": ["area"], "time": "time", "group": "basin"}
    given |= {"window": 5, "split": split} | options
    if split == "time":
        table = table.drop(columns="part")
    return windows(table, **{k: v for k, v in given.items() if k != "share"})


def with_garbage(table: Any, rows: np.ndarray, holes: bool) -> pd.DataFrame:
    """Other numbers in these rows, and other holes where holes are allowed."""
    rng, table = np.random.default_rng(7), table.copy()
    for name in VALUES:
        garbage = 1e6 * rng.normal(size=len(table))
        if holes and name != "plan":
            garbage[rng.random(len(table)) < 0.5] = np.nan
        table[name] = np.where(rows, garbage, table[name])
    return table


def everything(part: Windows) -> list[np.ndarray]:
    batch = part.take(np.arange(len(part)))
    held = [batch.xs, batch.ys, batch.weights, part.truth(), part.last(), part.past(7)]
    zeros = part.unscaled(np.zeros(batch.ys.shape))
    return [*held, zeros, part.times, part.groups]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("hours", [20, 41, 70])
def test_no_feature_reads_a_later_row(name: str, hours: int) -> None:
    options = CASES[name]
    table = long_table(options.get("share", 0.3))
    recipe = made_of(table, options).recipe
    now = table.time.min() + pd.Timedelta(hours=hours)
    later = (table.time > now).to_numpy()
    broken = with_garbage(table, later, holes="fill" in options)
    for column in options.get("future", []):  # known for the predicted steps, too
        known = now + pd.Timedelta(hours=recipe.horizon)
        broken[column] = table[column].where(table.time <= known, broken[column])
    before, after = (recipe.windows(held, every=True) for held in (table, broken))
    np.testing.assert_array_equal(before.times, after.times)
    rows = np.flatnonzero(before.times <= np.datetime64(now))
    assert 10 < len(rows) < len(before)
    one, other = before.take(rows), after.take(rows)
    np.testing.assert_array_equal(one.xs, other.xs)
    np.testing.assert_array_equal(before.last()[rows], after.last()[rows])
    zeros = np.zeros((len(before), one.ys.shape[1]))
    np.testing.assert_array_equal(
        before.unscaled(zeros)[rows], after.unscaled(zeros)[rows]
    )
    assert not np.array_equal(everything(before)[0], everything(after)[0])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("split", PARTS)
def test_training_and_validation_do_not_read_the_test_part(
    name: str, split: str
) -> None:
    options = CASES[name]
    table = long_table(options.get("share", 0.3))
    made = made_of(table, options, split)
    test = (table.part == "test").to_numpy()
    if split == "time":
        test = (table.time >= made.test.times_ahead().min()).to_numpy()
    broken = with_garbage(table, test, holes="fill" in options)
    other = made_of(broken, options, split)
    assert made.recipe.to_json() == other.recipe.to_json()
    for one, two in ((made.train, other.train), (made.valid, other.valid)):
        assert len(one) > 5
        for a, b in zip(everything(one), everything(two), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(everything(made.test)[0], everything(other.test)[0])


@pytest.mark.parametrize("split", PARTS)
def test_training_does_not_read_the_validation_part(split: str) -> None:
    options = CASES["change, future"]
    table = long_table()
    made = made_of(table, options, split)
    held = (table.part != "train").to_numpy()
    if split == "time":
        held = (table.time >= made.valid.times_ahead().min()).to_numpy()
    other = made_of(with_garbage(table, held, holes=True), options, split)
    assert made.recipe.to_json() == other.recipe.to_json()
    for a, b in zip(everything(made.train), everything(other.train), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("horizon", [0, 1, 3])
@pytest.mark.parametrize("split", PARTS)
def test_targets_lie_in_one_part_and_inputs_in_none_after_it(
    split: str, horizon: int
) -> None:
    table = long_table()
    made = made_of(table, {"fill": "last", "horizon": horizon}, split)
    cuts = [held.times_ahead().min() for held in (made.valid, made.test)]
    words = ["train", "valid", "test"]
    by_time = np.searchsorted(cuts, table.time.to_numpy(), side="right")
    by_word = table.part.map(words.index).to_numpy()
    part = by_time if split == "time" else by_word
    for number, held in enumerate(made[:3]):
        series = held.source.series
        mine = part[series.rows]
        for end in held.ends:
            ahead = range(end + 1, end + horizon + 1) if horizon else [end]
            assert set(mine[list(ahead)]) == {number}
            assert mine[end - made.recipe.window + 1 : end + 1].max() <= number


def test_what_lies_behind_a_later_part_is_not_filled_in() -> None:
    """Rows of the test part before those of training are not their past."""
    table = long_table(0.0)
    start = (table.part == "train") & (table.part.shift() == "test")
    table.loc[start, "flow"] = np.nan
    made = made_of(table, {"fill": "last", "window": 1}, "part")
    rows = np.flatnonzero(
        start.to_numpy()[made.train.source.series.rows[made.train.ends]]
    )
    assert len(rows) >= 6
    assert np.isnan(made.train.last()[rows]).all()
    np.testing.assert_array_equal(made.train.take(rows).xs[:, 0, 0], 0.0)


def test_what_is_chosen_depends_on_the_times_of_training_only() -> None:
    """Step, window, calendar: not on how many test rows there are, or when."""
    table = long_table().assign(part="train")
    table.loc[table.groupby("basin").cumcount() >= 60, "part"] = "valid"
    test = table[table.part == "valid"].assign(part="test")
    few = test.assign(time=test.time + pd.Timedelta("40D"))
    minutes = pd.to_timedelta(45 * np.arange(2000), unit="min")
    oder = few[few.basin == "oder"]
    many = pd.concat([oder] * 60, ignore_index=True).head(2000)
    many = many.assign(time=test.time.max() + pd.Timedelta("40D") + minutes, flow=1.0)
    options = {"fill": "last", "window": None}
    one = made_of(pd.concat([table, few]), options, "part")
    other = made_of(pd.concat([table, many]), options, "part")
    assert one.recipe.calendar == ("hour",)
    assert one.recipe.to_json() == other.recipe.to_json()
    for a, b in zip(everything(one.train), everything(other.train), strict=True):
        np.testing.assert_array_equal(a, b)
