"""Windows against a loop that makes each by itself, and what they say of themselves."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset, Windows
from parity.judge import tolerance
from tests.given.tables import basins, one_series, windows

WINDOW = 4
COLUMNS = {"target": "flow", "inputs": ["rain"], "static": ["area"]}
COLUMNS |= {"time": "time", "group": "basin", "calendar": "none", "window": WINDOW}


def made_of(table: Any, **options) -> Dataset:
    return windows(table, **COLUMNS | options)


def by_a_loop(table: Any, made: Dataset, horizon: int, future: bool) -> dict:
    """The features `(rows, I)` and the targets of each window, by part and last row."""
    cuts = table.time.sort_values().iloc[
        [len(table) * 70 // 100, len(table) * 85 // 100]
    ]
    found = {}
    for g, (_, rows) in enumerate(table.groupby("basin")):
        places, hours = list(rows.index), rows.time.diff().dt.total_seconds() / 3600
        for k in range(len(places)):
            window = places[k - WINDOW + 1 : k + 1] if k >= WINDOW - 1 else []
            ahead = places[k + 1 : k + 1 + horizon] if horizon else places[k : k + 1]
            if not window or len(ahead) < max(horizon, 1):
                continue
            reached = [*window, *ahead]
            if any(hours[place] > 1 for place in reached[1:]):
                continue
            parts = [int((table.time[place] >= cuts).sum()) for place in ahead]
            truth = [table.flow[place] for place in ahead]
            if len(set(parts)) > 1 or all(np.isnan(truth)):
                continue
            start = next(
                p for p in reversed(places[: k + 1]) if p == places[0] or hours[p] > 1
            )
            xs = [
                _row(table, made, g, start, place, horizon, future) for place in window
            ]
            found[parts[0], places[k]] = (
                np.array(xs),
                truth,
                _last(table, start, place=ahead[0] - 1),
            )
    return found


def _last(table, start, place):
    known = [
        table.flow[p] for p in range(start, place + 1) if not np.isnan(table.flow[p])
    ]
    return known[-1] if known else np.nan


def _row(table, made, g, start, place, horizon, future):
    recipe, row = made.recipe, []
    scales = {"flow": (recipe.scales.mean[g, 0], recipe.scales.std[g, 0])}
    standard = recipe.standardizer
    pairs = zip(standard.mean, standard.std, strict=True)
    scales |= dict(zip(standard.names, pairs, strict=True))
    read = ["flow", "rain"] if horizon else ["rain"]
    for name in read:
        known = [table[name][p] for p in range(start, place + 1)]
        known = [value for value in known if not np.isnan(value)]
        mean, std = scales[name]
        row.append((known[-1] - mean) / std if known else 0.0)
    row += [float(np.isnan(table[name][place])) for name in read]
    if future:
        mean, std = scales["plan"]
        steps = range(1, horizon + 1) if horizon else (0,)
        row += [(table.plan[place + k] - mean) / std for k in steps]
    mean, std = scales["area"]
    return [*row, (table.area[place] - mean) / std]


@pytest.mark.parametrize("future", [False, True])
@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_windows_are_those_of_a_loop(horizon: int, future: bool) -> None:
    table = basins()
    more = {"future": ["plan"]} if future else {}
    made = made_of(table, horizon=horizon, fill="last", **more)
    expected = by_a_loop(table, made, horizon, future)
    for number, part in enumerate(made[:3]):
        mine = {place: held for (p, place), held in expected.items() if p == number}
        assert part.source.series.rows[part.ends].tolist() == list(mine)
        batch = part.take(np.arange(len(part)))
        for k, (xs, truth, last) in enumerate(mine.values()):
            np.testing.assert_array_equal(batch.xs[k], xs.astype(np.float32))
            np.testing.assert_array_equal(part.truth()[k, :, 0], truth)
            np.testing.assert_array_equal(part.last()[k], [last])
    assert len(expected) == sum(map(len, made[:3])) > 20


@pytest.mark.parametrize("predict", ["change", "level"])
@pytest.mark.parametrize("scale", ["group", "all"])
def test_targets_are_scaled_and_scaled_back(predict: str, scale: str) -> None:
    table = basins()
    made = made_of(table, horizon=3, fill="last", predict=predict, scale=scale)
    train, scales = made.train, made.recipe.scales
    batch = train.take(np.arange(len(train)))
    truth = train.truth()
    np.testing.assert_array_equal(batch.weights, ~np.isnan(truth[..., 0]))
    group = np.searchsorted(["elbe", "oder", "rhine"], train.groups.astype(str))
    group = group if scale == "group" else np.zeros_like(group)
    base, size = scales.mean[group], scales.std[group]
    if predict == "change":
        base = np.where(np.isnan(train.last()), base, train.last())
        size = scales.spread[group]
    expected = np.nan_to_num((truth - base[:, None]) / size[:, None])[..., 0]
    np.testing.assert_array_equal(batch.ys, expected.astype(np.float32))
    back = np.where(~np.isnan(truth), train.unscaled(batch.ys), np.nan)
    error = np.nanmax(np.abs(back - truth)) / np.nanmax(np.abs(truth))
    assert error < tolerance.budget("float32") * tolerance.eps_of("float32")


def test_scales_are_those_of_the_training_rows_of_each_group() -> None:
    table = basins()
    scales = made_of(table, horizon=2, fill="last").recipe.scales
    cut = table.time.sort_values().iloc[len(table) * 70 // 100]
    assert scales.groups == ("elbe", "oder", "rhine")
    for k, (_, rows) in enumerate(table[table.time < cut].groupby("basin")):
        known = rows.flow.dropna().to_numpy()
        np.testing.assert_array_equal(scales.mean[k], known.mean())
        np.testing.assert_array_equal(scales.std[k], known.std())
        holes = (rows.time.diff() > pd.Timedelta("1h")).cumsum()
        last = rows.flow.groupby(holes).ffill()
        changes = [rows.flow.groupby(holes).shift(-step) - last for step in (1, 2)]
        square = np.nanmean(np.square(changes))
        error = abs(scales.spread[k, 0] / np.sqrt(square) - 1)
        assert error < tolerance.budget("float64") * tolerance.eps_of("float64")


def test_a_prediction_of_0_is_persistence() -> None:
    table = basins()
    table.loc[:6, "flow"] = np.nan
    made = made_of(table, horizon=3, fill="last")
    zeros = made.train.unscaled(np.zeros((len(made.train), 3)))
    last = made.train.last()
    assert np.isnan(last).any()
    mean = made.recipe.scales.mean
    group = np.searchsorted(["elbe", "oder", "rhine"], made.train.groups.astype(str))
    expected = np.where(np.isnan(last), mean[group], last)
    np.testing.assert_array_equal(zeros, np.repeat(expected[:, None], 3, axis=1))


def test_outputs_of_quantiles_keep_their_last_axis() -> None:
    made = windows(
        one_series(), target=["flow", "rain"], time="day", horizon=2, window=3
    )
    outputs = np.random.default_rng(0).normal(size=(len(made.valid), 4, 5))
    back = made.valid.unscaled(outputs)
    assert back.shape == (len(made.valid), 2, 2, 5)
    for k in range(5):
        np.testing.assert_array_equal(
            back[..., k], made.valid.unscaled(outputs[..., k])
        )


def test_outputs_are_in_the_order_of_steps() -> None:
    made = windows(
        one_series(), target=["flow", "rain"], time="day", horizon=2, window=3
    )
    names = ("flow[+1]", "rain[+1]", "flow[+2]", "rain[+2]")
    assert made.recipe.output_names == names
    table, batch = one_series(), made.train.take(np.array([7]))
    held = made.train.unscaled(np.repeat(batch.ys, len(made.train), 0))[7]
    error = np.abs(held - table[["flow", "rain"]].to_numpy()[[10, 11]]).max()
    assert error < tolerance.budget("float32") * tolerance.eps_of("float32") * 3


def test_take_gives_the_windows_that_are_asked_for() -> None:
    train = made_of(basins(), fill="last").train
    whole = train.take(np.arange(len(train)))
    rows = np.array([5, 0, 5, len(train) - 1])
    for one, every in zip(train.take(rows)[:3], whole[:3], strict=True):
        assert isinstance(one, np.ndarray)
        assert isinstance(every, np.ndarray)
        np.testing.assert_array_equal(one, every[rows])
        assert one.dtype == np.float32
    empty = train.take(np.array([], np.int64))
    assert (empty.xs.shape, empty.ys.shape) == ((0, 4, 5), (0, 1))


def test_series_are_not_copied() -> None:
    made = made_of(basins(), fill="last")
    assert made.train.source is made.test.source
    assert np.shares_memory(made.train._views, made.train.source.features)


def test_past_is_whole_periods_back() -> None:
    table = one_series()
    made = windows(table, target="flow", inputs=[], time="day", window=3, horizon=4)
    part, flow = made.valid, table.flow.to_numpy()
    past = part.past(3)
    for k, end in enumerate(part.ends):
        places = [end + 1 - 3, end + 2 - 3, end + 3 - 3, end + 4 - 6]
        np.testing.assert_array_equal(past[k, :, 0], flow[places])
    first = made.train.past(5)[0, :, 0]  # ends at row 2: rows -2, -1, 0, 1
    np.testing.assert_array_equal(first, [np.nan, np.nan, flow[0], flow[1]])


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_by_row_every_row_of_training_comes_once(horizon: int) -> None:
    """Whatever the window and the horizon: also those before the first window's end."""
    table = one_series().drop(index=20)
    asked: Any = {"target": "flow", "inputs": ["rain"], "time": "day", "window": 5}
    made = windows(table, **asked, horizon=horizon)
    rows, first = made.train.by_row(), made.valid.times_ahead().min()
    training = table[table.day < first]
    np.testing.assert_array_equal(rows.times, training.day.to_numpy())
    np.testing.assert_array_equal(rows.truth()[:, 0, 0], training.flow)
    before = dict(zip(rows.times, rows.past(1)[:, 0, 0], strict=True))
    assert np.isnan(before[np.datetime64(table.day[21], "us")])  # behind the hole
    assert before[np.datetime64(table.day[3], "us")] == table.flow[2]


def test_past_does_not_cross_a_hole() -> None:
    table = one_series().drop(index=20)
    made = windows(table, target="flow", inputs=[], time="day", window=3)
    past = dict(zip(made.train.times, made.train.past(4)[:, 0, 0], strict=True))
    assert np.isnan(past[np.datetime64(table.day[23], "us")])  # 24 - 4 is the hole
    assert past[np.datetime64(table.day[24], "us")] == table.flow[21]


def test_at_horizon_0_nothing_is_read_at_the_predicted_row() -> None:
    table = one_series()
    made = windows(table, target="flow", time="day", window=3, horizon=0)
    part, flow = made.test, table.flow.to_numpy()
    np.testing.assert_array_equal(part.truth()[:, 0, 0], flow[part.ends])
    np.testing.assert_array_equal(part.last()[:, 0], flow[part.ends - 1])
    np.testing.assert_array_equal(part.past(7)[:, 0, 0], flow[part.ends - 7])
    np.testing.assert_array_equal(part.times_ahead()[:, 0], part.times)
    assert made.recipe.options.predict == "level"
    assert made.recipe.feature_names[:2] == ("rain", "promo")
    assert "flow" not in made.recipe.feature_names


def test_times_and_groups_are_those_of_the_last_input_row() -> None:
    table = basins()
    part = made_of(table, fill="last", horizon=2).train
    rows = part.source.series.rows[part.ends]
    np.testing.assert_array_equal(part.groups, table.basin[rows])
    np.testing.assert_array_equal(part.times, table.time[rows].astype("datetime64[us]"))
    ahead = table.time[rows].to_numpy()[:, None] + np.arange(1, 3) * np.timedelta64(
        1, "h"
    )
    np.testing.assert_array_equal(part.times_ahead(), ahead)


def times_ahead(times: list, horizon: int) -> list[str]:
    """The times predicted for from the last row of a table."""
    table = pd.DataFrame({"t": times, "y": np.arange(len(times)) % 5.0})
    made = windows(table, target="y", time="t", window=1, horizon=horizon)
    return made.recipe.windows(table).times_ahead()[-1].astype(str).tolist()


def test_times_past_the_end_go_on_in_steps() -> None:
    days = pd.date_range("2023-12-01", periods=60)
    assert times_ahead(list(days), 1) == ["2024-01-30T00:00:00.000000"]
    assert times_ahead(list(days), 2)[1] == "2024-01-31T00:00:00.000000"
    ends = pd.date_range("2020-01-31", periods=37, freq="ME")
    assert times_ahead(list(ends), 3)[0] == "2023-02-28T00:00:00.000000"
    assert times_ahead(list(ends), 3)[2] == "2023-04-30T00:00:00.000000"
    assert times_ahead([*range(1990, 2030)], 2) == ["2030.0", "2031.0"]


def test_a_series_without_times_counts_its_rows() -> None:
    made = windows(one_series().filter(["flow"]), target="flow", window=3, horizon=2)
    np.testing.assert_array_equal(made.train.times[:2], [2, 3])
    np.testing.assert_array_equal(made.train.times_ahead()[0], [3, 4])
    assert set(made.train.groups) == {""}


def test_rows_in_any_order_give_the_same_windows() -> None:
    table = basins()
    mixed = table.sample(frac=1.0, random_state=3)
    one, other = made_of(table, fill="last"), made_of(mixed, fill="last")
    assert other.said[0] == "The rows were not in the order of time, and are sorted."
    assert one.said == other.said[1:]
    same_windows(one.train, other.train)
    assert one.recipe.to_json() == other.recipe.to_json()


def same_windows(one: Windows, other: Windows) -> None:
    rows = np.arange(len(one))
    for a, b in zip(one.take(rows)[:3], other.take(rows)[:3], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.times, other.times)


def test_windows_of_other_numbers_have_another_fingerprint() -> None:
    table = one_series()
    first, same = (windows(table, target="flow", window=5).train for _ in range(2))
    table.loc[3, "rain"] += 1e-3
    other = windows(table, target="flow", window=5).train
    assert first.fingerprint == same.fingerprint != other.fingerprint
