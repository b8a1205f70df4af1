"""A patient: no window over a hole, what an event is, and alarms counted by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from examples.patient import alarms, data, forecasts, train
from lstm_jax.train import Windows


def table(minutes: list[int] | np.ndarray, glucose: Any = 100.0) -> pd.DataFrame:
    """Readings so many minutes after the beginning of March 2010."""
    times = np.datetime64("2010-03-01") + np.array(minutes, "timedelta64[m]")
    return pd.DataFrame({"time": times, "glucose": glucose})


def seen(readings: list[float], holes: tuple[int, ...] = ()) -> alarms.Watch:
    """A watch over readings every five minutes, each with a forecast."""
    rows = np.arange(len(readings))
    before = np.isin(rows, (0, *holes))
    every = np.ones(len(rows), bool)
    return alarms.watch(5 * rows, np.array(readings), before, every)


def test_the_package_holds_what_the_readme_says() -> None:
    held = data.readings()
    assert len(held) == 52_281
    assert held["glucose"].between(40, 400).all()
    tidy = data.without_repeats(held)
    assert len(tidy) == 52_084
    apart = np.diff(tidy["time"].to_numpy()) / np.timedelta64(1, "m")
    assert apart.min() == 3
    assert (apart > 7.5).sum() == 187
    counts = data.read()["part"].value_counts().to_dict()
    assert counts == {"train": 33_049, "test": 10_557, "valid": 7_929}


def test_two_of_three_readings_from_70_to_80_are_higher_later() -> None:
    windows = train.cut(data.read()).train
    now, later = windows.last()[:, 0], windows.truth()[:, -1, 0]
    near = (now >= 70) & (now < 80)
    assert 0.64 < np.mean(later[near] > now[near]) < 0.69


def test_a_second_receiver_and_repeats_are_left_out() -> None:
    kept = data.without_repeats(table([0, 5, 5, 6, 10, 11, 13, 16, 30]))
    assert_array_equal(kept["time"], table([0, 5, 10, 13, 16, 30])["time"])


def test_parts_are_in_order_with_a_day_between() -> None:
    held = data.read()
    times: Any = {part: rows["time"] for part, rows in held.groupby("part")}
    assert times["train"].max() < data.VALID
    assert times["valid"].min() >= times["train"].max() + data.GAP
    assert times["valid"].max() < data.TEST
    assert times["test"].min() >= times["valid"].max() + data.GAP


def made_up(days: int = 220, hole: int | None = None) -> pd.DataFrame:
    """A wave of glucose over the three parts, with a hole of an hour at a row."""
    rows = np.arange(0, days * 288, 6)[:, None] + np.arange(6)
    rows = rows.ravel()
    if hole is not None:
        rows = np.delete(rows, slice(hole, hole + 12))
    start = np.datetime64("2010-03-24")
    wave = 120 + 40 * np.sin(rows / 20.0)
    times = start + 5 * rows * np.timedelta64(1, "m")
    return data.with_parts(pd.DataFrame({"time": times, "glucose": wave}))


def test_no_window_crosses_a_hole_or_a_gap() -> None:
    made = train.cut(made_up(hole=1000))
    for part in (made.train, made.valid, made.test):
        times = part.source.series.times
        first, last = part.ends - 23, part.ends + 6
        assert np.all(times[last] - times[first] == np.timedelta64(29 * 5, "m"))
    without = len(train.cut(made_up()).train)
    assert len(made.train) == without - 12 - 29


def test_later_readings_change_no_forecast() -> None:
    held = made_up(days=200)
    made = train.cut(held)
    found = forecasts.baselines(made)
    changed = held.copy()
    changed.loc[len(changed) - 300 :, "glucose"] += 50.0
    both = [made.recipe.windows(one) for one in (held, changed)]
    upto = both[0].ends < len(held) - 300
    for name, forecast in found.items():
        before, after = (forecast(windows) for windows in both)
        assert_array_equal(before[upto], after[upto], err_msg=name)
        assert not np.array_equal(before, after)


def windows_of(readings: np.ndarray) -> Windows:
    """Windows of two hours, by the recipe of a wave."""
    rows = 5 * np.arange(len(readings))
    return train.cut(made_up(200)).recipe.windows(table(rows, readings))


@pytest.mark.parametrize("count", forecasts.READINGS)
def test_a_line_is_right_where_glucose_is_one(count: int) -> None:
    windows = windows_of(80 + 1.5 * np.arange(40))
    assert_allclose(forecasts.line(count)(windows), windows.last()[:, 0] + 9)
    assert_allclose(forecasts.rmse(forecasts.line(count), windows), 0, atol=1e-9)


def test_the_error_is_that_of_the_reading_in_30_minutes() -> None:
    windows = windows_of(80 + 1.5 * np.arange(40))
    assert_allclose(forecasts.rmse(lambda w: w.last()[:, 0], windows), 6 * 1.5)


def test_the_bias_is_that_of_the_readings_that_come_out_low() -> None:
    windows = windows_of(100 - 1.0 * np.arange(50))  # 66, at row 34, is 6 below 72
    assert forecasts.bias_where_low(lambda w: w.last()[:, 0], windows) == 6
    five = forecasts.bias_where_low(lambda w: np.full(len(w), 65.0), windows)
    assert_allclose(five, 65 - np.arange(51, 70).mean())


def test_a_forecast_stands_at_the_last_reading_that_it_knows() -> None:
    windows = windows_of(80 + 1.5 * np.arange(40))
    found = forecasts.at_readings(lambda w: w.last()[:, 0], windows)
    assert_array_equal(np.isnan(found), np.arange(40) < 23)
    assert_allclose(found[23:], 80 + 1.5 * np.arange(23, 40))
    known = forecasts.watched(windows).open  # nine readings follow, and a forecast
    assert np.flatnonzero(known).tolist() == list(range(23, 31))


def states(readings: list[float], holes: tuple[int, ...] = ()) -> list[int]:
    before = np.isin(np.arange(len(readings)), holes)
    return alarms.event_states(np.array(readings), before).astype(int).tolist()


def test_an_event_is_three_low_readings_and_ends_with_three_others() -> None:
    assert states([90, 69, 69, 90, 69, 69, 69, 90]) == [0, 0, 0, 0, 1, 1, 1, 1]
    ended = states([69, 69, 69, 90, 90, 69, 90, 90, 90, 90])
    assert ended == [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert states([70, 70, 70]) == [0, 0, 0]


def test_a_hole_ends_an_event_and_a_count() -> None:
    assert states([69, 69, 69, 90, 90], holes=(3,)) == [1, 1, 1, 0, 0]
    assert states([90, 69, 69, 69, 90], holes=(3,)) == [0, 0, 0, 0, 0]


QUIET, EVENT = [100.0] * 12, [60.0] * 4


def test_alarms_may_ring_where_it_is_known_what_follows() -> None:
    found = seen([*QUIET, *EVENT, *QUIET])
    assert found.starts.tolist() == [12]
    open_rows = [*range(12), 16, 17, 18]  # nine readings follow the last of these
    assert np.flatnonzero(found.open).tolist() == open_rows
    assert found.wait[:12].tolist() == list(range(12, 0, -1))


def test_an_event_too_soon_after_a_hole_is_not_counted() -> None:
    assert seen([*QUIET[:9], *EVENT]).starts.tolist() == [9]
    assert seen([*QUIET[:8], *EVENT]).starts.tolist() == []
    assert seen([*QUIET, *EVENT], holes=(4,)).starts.tolist() == []


def test_right_and_false_alarms_and_the_lead() -> None:
    watched = seen([*QUIET * 3, *EVENT, *QUIET * 2])
    forecast = np.full(len(watched.wait), 100.0)
    forecast[[10, 12, 15, 16, 30, 33, 36]] = 65  # at 12, 15 and 33 it is silent
    rung = alarms.raise_alarms(watched, forecast, 70)
    assert rung.tolist() == [10, 16, 30]
    found = alarms.judge(watched, forecast, 70)
    assert found.leads.tolist() == [30]
    assert_allclose(found.false_a_day, 2 * 288 / watched.open.sum())
    assert found.sensitivity == found.events == 1
    missed = alarms.judge(watched, forecast, 60)
    assert (missed.events, missed.median_lead, missed.false_a_day) == (0, 0, 0)


def test_an_alarm_is_right_up_to_45_minutes_before() -> None:
    watched = seen([*QUIET * 3, *EVENT])
    for row, lead, false in ((27, 45, 0), (26, np.nan, 1), (35, 5, 0)):
        forecast = np.full(len(watched.wait), 100.0)
        forecast[row] = 65
        found = alarms.judge(watched, forecast, 70)
        assert_array_equal(found.leads, [lead])
        assert round(found.false_a_day * watched.days) == false


def test_the_threshold_is_the_highest_with_few_false_alarms() -> None:
    found = [alarms.Found(np.zeros(1), rate) for rate in (0.0, 0.5, 1.0, 1.5)]
    assert alarms.highest(found, 1.0) == 2
    assert alarms.highest(found, 0.7) == 1


def test_the_median_lead_counts_missed_events() -> None:
    found = alarms.Found(np.array([np.nan, 10, np.nan, 30, 20]), 0)
    assert found.median_lead == 10
    assert found.sensitivity == 0.6


def test_clopper_and_pearson_by_known_values() -> None:
    assert_allclose(alarms.clopper_pearson(5, 10), (0.1870860, 0.8129140), atol=1e-6)
    assert_allclose(alarms.clopper_pearson(0, 10), (0, 0.3084971), atol=1e-6)
    assert_allclose(alarms.clopper_pearson(10, 10), (0.6915029, 1), atol=1e-6)


def test_the_threshold_is_chosen_on_the_validation_part() -> None:
    readings = np.array([*QUIET * 6, *EVENT, *QUIET * 2])
    calm, wild = windows_of(readings), windows_of(readings - 20)
    chosen = {
        name: train.judged(lambda w: w.last()[:, 0], valid, calm).chosen
        for name, valid in (("calm", calm), ("wild", wild))
    }
    assert chosen["calm"] == 100
    assert chosen["wild"] == 80
