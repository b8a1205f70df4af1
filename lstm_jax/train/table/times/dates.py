"""The column of times: dates, read strictly, or plain numbers."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from lstm_jax.train.table.notes import Notes

DATES, NUMBERS, COUNTED = "dates", "numbers", "rows"

DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")
MONTH_FIRST = ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y")
NAMED = ("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%d %B %Y")
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
ISO = "ISO8601"
FORMATS = [
    ISO,
    *(day + clock for day in (*DAY_FIRST, *MONTH_FIRST, *NAMED) for clock in CLOCKS),
]
ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")


class Instants(NamedTuple):
    """The time of each row of a table.

    Attributes:
        values: `datetime64[us]` for dates, else float64 numbers or int64 row numbers.
        kind: "dates", "numbers", or "rows" where the table has no column of times.
        form: How dates in text are written, as `strptime` has it or "ISO8601".
    """

    values: np.ndarray
    kind: str
    form: str | None = None


def read_instants(
    notes: Notes, frame: pd.DataFrame, time: str | None, form: str | None = None
) -> Instants:
    """The times of a table; without a column of times, the numbers of its rows.

    Args:
        notes: Where sentences go.
        frame: The table.
        time: The column of times.
        form: How dates were written in training, which is tried first.

    Raises:
        ValueError: If a time is missing, is no date or number, or days and months
            cannot be told apart.
    """
    if time is None:
        return Instants(np.arange(len(frame)), COUNTED)
    column: Any = frame[time]
    _refuse_missing(notes, column)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return Instants(_in_utc(notes, column), DATES)
    if types.is_datetime64_any_dtype(column):
        return Instants(column.to_numpy("datetime64[us]"), DATES)
    if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        return _of_numbers(notes, column.to_numpy(np.float64), time)
    texts = column.astype(str).str.strip()
    read: Any = pd.to_numeric(texts, errors="coerce")
    numbers = read.to_numpy(np.float64)
    if not np.isnan(numbers).any():
        return _of_numbers(notes, numbers, time)
    return _of_text(notes, texts, time, form)


def _refuse_missing(notes: Notes, column: pd.Series) -> None:
    missing = column.isna().to_numpy(bool)
    if missing.any():
        place = int(np.argmax(missing))
        raise notes.wrong(
            f"time={str(column.name)!r} must be known in every row: it is missing in "
            f"{notes.row(place)}. Fill it in, or drop the row."
        )


def _in_utc(notes: Notes, column: pd.Series) -> np.ndarray:
    notes.say(
        f"The times of {str(column.name)!r} have a zone and are read as UTC, hours and "
        "days of the calendar too."
    )
    return column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")


def _of_numbers(notes: Notes, numbers: np.ndarray, time: str) -> Instants:
    """Plain numbers, such as years or seconds; 20240331 is a date."""
    if np.isinf(numbers).any():
        place = int(np.argmax(np.isinf(numbers)))
        raise notes.wrong(
            f"{time}={numbers[place]} in {notes.row(place)} must be finite: rows are "
            "sorted by it. Correct it, or drop the row."
        )
    within = (numbers >= 1000_01_01) & (numbers <= 2999_12_31)
    if within.all() and (numbers == np.rint(numbers)).all():
        texts = pd.Series(numbers.astype(np.int64)).astype(str)
        dates = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
        if dates.notna().all():
            notes.say(f"{time!r} is read as dates, 20240331 as 31 March 2024.")
            return Instants(dates.to_numpy("datetime64[us]"), DATES)
    return Instants(numbers, NUMBERS)


def _of_text(notes: Notes, texts: pd.Series, time: str, form: str | None) -> Instants:
    texts = _without_zone(notes, texts, time)
    if form is not None and (dates := _parse(texts, form)).notna().all():
        return Instants(dates.to_numpy("datetime64[us]"), DATES, form)
    first = texts.iloc[:1]
    tried = [form for form in FORMATS if _parse(first, form).notna().all()]
    read = {form: _parse(texts, form) for form in tried}
    whole = {form: dates for form, dates in read.items() if dates.notna().all()}
    if not whole:
        furthest = max((_readable(dates) for dates in read.values()), default=0)
        raise notes.wrong(
            f"{time}={texts.iloc[furthest]!r} in {notes.row(furthest)} must be a date "
            "or a number: the rows before it are read as dates. Write dates as "
            "2024-03-31 or 2024-03-31 12:00."
            if furthest
            else f"{time}={texts.iloc[0]!r} in {notes.row(0)} must be a date or a "
            "number: rows are sorted by it. Write dates as 2024-03-31 or 2024-03-31 "
            "12:00."
        )
    return _only_one(notes, texts, whole)


def _only_one(notes: Notes, texts: pd.Series, whole: dict[str, pd.Series]) -> Instants:
    """The dates, where all formats that read the whole column agree."""
    form, dates = next(iter(whole.items()))
    for other in whole.values():
        differ = (other != dates).to_numpy(bool)
        if differ.any():
            place = int(np.argmax(differ))
            raise notes.wrong(
                f"{texts.name}={texts.iloc[place]!r} in {notes.row(place)} must be one "
                "date: no row has a day over 12, so the day may come first or the "
                "month. Write dates as 2024-03-31."
            )
    if form != ISO and not form.startswith(NAMED):
        order = "day" if form.startswith(DAY_FIRST) else "month"
        notes.say(f"Dates of {str(texts.name)!r} are read with the {order} first.")
    return Instants(dates.to_numpy("datetime64[us]"), DATES, form)


def _without_zone(notes: Notes, texts: pd.Series, time: str) -> pd.Series:
    """Times in UTC without their zone; either all have one, or none."""
    zoned = (texts.str.contains(ZONE) & texts.str.contains(":")).to_numpy(bool)
    if not zoned.any():
        return texts
    if not zoned.all():
        place = int(np.argmin(zoned))
        raise notes.wrong(
            f"{time}={texts.iloc[place]!r} in {notes.row(place)} must have a time "
            "zone: other rows have one. Write all with one, or all without."
        )
    dates = pd.to_datetime(texts, format=ISO, errors="coerce", utc=True)
    if dates.isna().any():
        return texts
    utc = pd.Series(_in_utc(notes, dates), texts.index, name=texts.name)
    return utc.astype(str)


def _parse(texts: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(texts, format=form, errors="coerce")


def _readable(dates: pd.Series) -> int:
    """How many rows are read before the first that is not."""
    return int(np.argmax(dates.isna().to_numpy(bool)))


def show_time(time: object) -> str:
    """A time for a sentence: 2010-05-20 03:21:00, 1999 or 0.5."""
    if isinstance(time, np.datetime64):
        return str(pd.Timestamp(time)).removesuffix(" 00:00:00")
    return f"{time:.12g}"
