"""Times of a table: dates as people write them, the step, holes, seasons, calendar."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train import Dataset
from lstm_jax.train.table.notes import Notes
from lstm_jax.train.table.times.dates import read_instants
from lstm_jax.train.table.times.season import season_of
from lstm_jax.train.table.times.steps import name_step
from parity.judge import tolerance
from tests.given.tables import one_series, refused, windows

DAY = 86_400_000_000


def read(times, form: str | None = None) -> tuple[list[str], list[str]]:
    """The times as text, and what was said."""
    notes = Notes("windows")
    instants = read_instants(notes, pd.DataFrame({"t": times}), "t", form)
    return [str(value) for value in instants.values], notes.said


def span(step: str) -> Any:
    return pd.Timedelta(step).to_numpy()


def micros(*texts: str) -> list[str]:
    return np.array(texts, "datetime64[us]").astype(str).tolist()


ZONED = "The times of 't' have a zone and are read as UTC, hours and days of the "
ZONED += "calendar too."
DATES = {
    "days": (["2020-01-31", "2020-02-01"], ""),
    "minutes": (["2020-01-31 00:00", "2020-02-01 00:00"], ""),
    "compact text": (["20200131", "20200201"], "'t' is read as dates, 20240331 as 31 "),
    "numbers": (
        [20200131, 20200201],
        "'t' is read as dates, 20240331 as 31 March 2024.",
    ),
    "points": (
        ["31.01.2020", "01.02.2020"],
        "Dates of 't' are read with the day first.",
    ),
    "slashes": (
        ["1/31/2020", "2/1/2020"],
        "Dates of 't' are read with the month first.",
    ),
    "clock": (["1/31/2020 12:00 AM", "2/1/2020 12:00 AM"], "with the month first."),
    "names": (["Jan 31 2020", "Feb 1 2020"], ""),
    "name that is long and short": (["31 January 2020", "01 February 2020"], ""),
    "offset": (["2020-01-31T01:00:00+01:00", "2020-02-01T00:00:00Z"], ZONED),
    "a zone": (pd.to_datetime(["2020-01-31", "2020-02-01"]).tz_localize("UTC"), ZONED),
    "dates of Python": (list(pd.to_datetime(["2020-01-31", "2020-02-01"]).date), ""),
    "categories": (pd.Categorical(["2020-01-31", "2020-02-01"]), ""),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_read(name: str) -> None:
    times, said = DATES[name]
    found, told = read(times)
    assert found == micros("2020-01-31", "2020-02-01")
    assert len(told) == bool(said)
    assert all(said in sentence for sentence in told)


@pytest.mark.parametrize("times", [[1999, 2000], ["1999", "2000"], [0.25, 0.5]])
def test_plain_numbers_stay_numbers(times: list) -> None:
    assert read(times) == ([str(float(time)) for time in times], [])


WRONG = {
    "t='2020-13-01' in row 2 must be a date or a number: the rows before it are read "
    "as dates. Write dates as 2024-03-31 or 2024-03-31 12:00.": [
        "2020-01-01",
        "2020-13-01",
    ],
    "t='soon' in row 1 must be a date or a number: rows are sorted by it. Write dates "
    "as 2024-03-31 or 2024-03-31 12:00.": ["soon", "2020-01-01"],
    "t='01/02/2020' in row 1 must be one date: no row has a day over 12, so the day "
    "may come first or the month. Write dates as 2024-03-31.": [
        "01/02/2020",
        "03/02/2020",
    ],
    "t='2020-01-01T01:00:00' in row 2 must have a time zone: other rows have one. "
    "Write all with one, or all without.": [
        "2020-01-01T00:00:00Z",
        "2020-01-01T01:00:00",
    ],
    "time='t' must be known in every row: it is missing in row 2. Fill it in, or drop "
    "the row.": ["2020-01-01", None],
    "t=inf in row 2 must be finite: rows are sorted by it. Correct it, or drop the "
    "row.": [1.0, np.inf],
}


@pytest.mark.parametrize("text", WRONG)
def test_a_time_that_cannot_be_read_is_named(text: str) -> None:
    with refused(f"windows: {text}"):
        _ = read(WRONG[text])


def test_what_training_decided_counts_for_a_short_table() -> None:
    table = one_series().assign(day=lambda t: t.day.dt.strftime("%d/%m/%Y"))
    made = windows(table, target="flow", time="day", window=2)
    assert "Dates of 'day' are read with the day first." in made.said
    april = table[2:8]  # 1 to 6 April: no day is over 12
    held = made.recipe.windows(april)
    assert held.times.astype("datetime64[D]").astype(str)[0] == "2021-04-02"


def cut(table: Any, **options) -> Dataset:
    given = {"target": "flow", "inputs": [], "time": "day", "window": 2}
    return windows(table, **given | options)


def test_windows_do_not_cross_a_hole() -> None:
    table = one_series().drop(index=[20, 30, 31])
    rows = set(cut(table).train.times.astype("datetime64[D]").astype(str))
    crossing = {str(day.date()) for day in one_series().day[[19, 21, 29, 32]]}
    assert not rows & crossing
    assert str(one_series().day[22].date()) in rows
    said = "Holes of more than 1 step, which no window crosses: 2. A larger max_gap= "
    assert said + "crosses more." in cut(table).said
    crossed = cut(table, max_gap=2)
    assert str(one_series().day[21].date()) in set(
        crossed.train.times.astype("datetime64[D]").astype(str)
    )
    assert len(cut(table, max_gap=3).train) == len(cut(one_series()[:57]).train)


def test_the_step_is_the_most_frequent_difference() -> None:
    hours = np.cumsum([1] + [2] * 30 + [1] * 20 + [8] * 10)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h")
    table = pd.DataFrame({"day": times, "flow": np.sin(hours)})
    made = cut(table, max_gap=5)
    assert made.recipe.step == DAY // 12
    assert "The step is 2 hours." in made.said


def test_numbers_have_a_step_in_spite_of_their_rounding() -> None:
    times = np.arange(60) * 0.1
    times[30:] += 0.5
    made = cut(pd.DataFrame({"day": times, "flow": np.sin(times)}))
    step: Any = made.recipe.step
    error = abs(step - 0.1) / 0.1 / tolerance.eps_of("float64")
    assert error < tolerance.budget("float64")
    assert "The step is 0.1." in made.said
    assert "Holes of more than 1 step" in made.said[-1]


@pytest.mark.parametrize("freq", ["MS", "ME", "QS", "YS"])
def test_months_and_years_of_any_length_are_one_step(freq: str) -> None:
    times = pd.date_range("1950-01-01", periods=60, freq=freq)
    made = cut(pd.DataFrame({"day": times, "flow": np.arange(60) % 7}))
    assert not any("Holes" in sentence for sentence in made.said)
    assert (
        sum(map(len, made[:3])) == 60 - 2
    )  # the first ends at row 1, the last at row 58
    if freq.startswith("M"):
        assert "The step is a month." in made.said


def test_a_row_that_is_no_step_after_the_last_is_not_counted_as_one() -> None:
    minutes = np.sort(np.append(np.arange(0, 300, 5), 61))
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(minutes, "min")
    made = cut(pd.DataFrame({"day": times, "flow": np.arange(61.0)}))
    ends = made.train.ends
    for apart in (minutes[ends + 1] - minutes[ends], minutes[ends] - minutes[ends - 1]):
        assert set(apart) <= {4, 5}  # 61 to 65 is a step, 60 to 61 is none
    said = "Rows less than half a step after the last one, where every window ends: 1. "
    assert said + "Without these rows there are more windows." in made.said
    assert not any("Holes" in sentence for sentence in made.said)


def test_a_year_without_a_month_is_a_hole() -> None:
    times = pd.date_range("1990-01-01", periods=60, freq="MS").delete(13)
    made = cut(pd.DataFrame({"day": times, "flow": np.arange(59) % 7}))
    assert any("Holes" in sentence for sentence in made.said)


def test_a_repeated_time_is_refused_and_both_cures_work() -> None:
    table = one_series()
    twice = pd.concat([table, table[7:9].assign(flow=5.0)], ignore_index=True)
    with refused(
        "windows: time='2021-04-06' must be in one row of the table: it is in row 8 "
        "and row 61, the first of 2 repeats. Use group= if rows of several groups "
        "are mixed, or duplicates='first' to keep the first row of each time."
    ):
        _ = cut(twice)
    made = cut(twice, duplicates="first")
    assert "Rows left out, for they repeat a time of their group: 2." in made.said
    np.testing.assert_array_equal(made.train.truth(), cut(table).train.truth())
    many = pd.concat([table.assign(g="a"), table.assign(g="b")])
    with pytest.raises(ValueError, match="Use group= if rows"):
        _ = cut(many)
    assert len(cut(many, group="g").train) == 2 * len(cut(table).train)
    more = pd.concat([many, table[:1].assign(g="b")], ignore_index=True)
    with pytest.raises(
        ValueError, match="in one row of a group, here 'b': it is in row"
    ):
        _ = cut(more, group="g")


SEASONS = {
    "1s": ("minute", 60),
    "10s": ("hour", 360),
    "1min": ("hour", 60),
    "5min": ("day", 288),
    "15min": ("day", 96),
    "30min": ("week", 336),
    "1h": ("week", 168),
    "6h": ("week", 28),
    "1D": ("year", 365),
    "7D": ("year", 52),
    "30D": ("year", 12),
    "91D": ("year", 4),
    "365D": None,
}


@pytest.mark.parametrize("freq", SEASONS)
def test_the_longest_season_of_at_most_365_rows(freq: str) -> None:
    step = int(span(freq).astype("timedelta64[us]").astype(int))
    assert season_of("dates", step) == SEASONS[freq]
    assert season_of("numbers", step) is None


WINDOWS = {
    "A window has 24 rows: a tenth of the training rows of a group.": (345, "1h", 0),
    "A window has 168 rows: a week.": (2500, "1h", 0),
    "A window has 50 rows: half of the typical stretch without a hole.": (
        2500,
        "1h",
        100,
    ),
    "A window has 365 rows: at most 365.": (5300, "365D", 0),
    "A window has 1 row: a tenth of the training rows of a group.": (12, "1D", 0),
}


@pytest.mark.parametrize("said", WINDOWS)
def test_the_window_is_chosen_and_its_reason_said(said: str) -> None:
    rows, step, stretch = WINDOWS[said]
    count = np.arange(rows) + (np.arange(rows) // stretch if stretch else 0)
    days = np.datetime64("1000-01-01", "us") + count * span(step)
    table = pd.DataFrame({"day": days, "flow": np.arange(rows) % 11})
    made = cut(table, window=None)
    assert said in made.said
    assert f"has {made.recipe.window} row" in said


def test_without_times_a_tenth_of_the_training_rows() -> None:
    made = windows(one_series().filter(["flow"]), target="flow")
    assert made.recipe.window == 60 * 70 // 100 // 10


CALENDARS = {
    ("1h", 60): (),
    ("1h", 70): ("hour",),
    ("1h", 480): ("hour", "weekday"),
    ("12h", 24): (),
    ("12h", 60): ("weekday",),
    ("1D", 60): ("weekday",),
    ("1D", 1050): ("weekday", "day of year"),
    ("7D", 160): ("day of year",),
    ("30D", 40): ("day of year",),
    ("365D", 40): (),
}


@pytest.mark.parametrize(("step", "rows"), CALENDARS)
def test_the_calendar_has_what_training_covers_twice(step: str, rows: int) -> None:
    days = np.datetime64("1990-01-01", "us") + np.arange(rows) * span(step)
    table = pd.DataFrame({"day": days, "flow": np.arange(rows) % 11})
    made = cut(table, window=1)
    assert made.recipe.calendar == CALENDARS[step, rows]
    names = [f"{w}({n})" for n in made.recipe.calendar for w in ("sin", "cos")]
    assert made.recipe.feature_names == ("flow", *names)
    assert cut(table, window=1, calendar="none").recipe.calendar == ()


def test_the_calendar_is_that_of_each_row() -> None:
    table = pd.DataFrame({"day": pd.date_range("2019-01-01", periods=25100, freq="h")})
    made = cut(table.assign(flow=np.arange(25100) % 11), window=1)
    assert made.recipe.calendar == ("hour", "weekday", "day of year")
    xs = made.train.take(np.arange(len(made.train))).xs[:, 0, 1:]
    row = xs[31 * 24 + 6]  # 1 February 2019 at 6, a Friday
    parts = [6 / 24, (4 * 24 + 6) / 168, (31 * 24 + 6) / (365.25 * 24)]
    expected = [wave(2 * np.pi * p) for p in parts for wave in (np.sin, np.cos)]
    np.testing.assert_array_equal(row, np.array(expected, np.float32))


def test_numbers_have_no_calendar() -> None:
    table = pd.DataFrame({"day": np.arange(900), "flow": np.arange(900) % 11})
    assert cut(table).recipe.calendar == ()


def test_a_step_has_a_name() -> None:
    names = ["1 week", "2 days", "1 hour", "5 minutes", "1.5 seconds", "a month"]
    steps = [7 * DAY, 2 * DAY, DAY // 24, DAY // 288, 1_500_000, 30 * DAY]
    assert [name_step("dates", step) for step in steps] == names
    assert name_step("numbers", 0.25) == "0.25"
    assert name_step("rows", 1) == "a row"
