"""The part of each row: training, validation or test."""

import hashlib

import numpy as np
import pandas as pd

from lstm_jax.train.table.notes import Notes, listed
from lstm_jax.train.table.times.dates import COUNTED, show_time
from lstm_jax.train.table.times.steps import Series

TRAIN, VALID, TEST = range(3)
PARTS = ("train", "valid", "test")
TRAIN_SHARE, VALID_SHARE = 70, 15  # percent
FEWEST_GROUPS = 3


def split_rows(
    notes: Notes, series: Series, how: str, frame: pd.DataFrame
) -> np.ndarray:
    """The part of each row of `series`: 0 training, 1 validation, 2 test, `(N,)`.

    Args:
        notes: Where sentences go.
        series: The rows.
        how: "time", "group", or a column of "train", "valid" and "test".
        frame: The table that the rows are of.

    Raises:
        ValueError: If there are too few groups, or the column holds other words.
    """
    if how == "group":
        return _by_group(notes, series)
    if how != "time":
        return _by_column(notes, frame, how)[series.rows]
    if series.kind == COUNTED:
        return _by_count(notes, series)
    return _by_moment(notes, series)


def _by_moment(notes: Notes, series: Series) -> np.ndarray:
    """Two cuts in time, common to all groups."""
    times, rows = np.sort(series.times), len(series.times)
    shares = (TRAIN_SHARE, TRAIN_SHARE + VALID_SHARE)
    valid, test = (times[rows * share // 100] for share in shares)
    notes.say(
        f"The validation part begins at {show_time(valid)} and the test part at "
        f"{show_time(test)}."
    )
    later = (series.times >= valid).astype(np.int8)
    return later + (series.times >= test)


def _by_count(notes: Notes, series: Series) -> np.ndarray:
    """The first 70 rows of 100 of each group, the next 15, the last 15."""
    notes.say("Of each 100 rows the first 70 train, the next 15 validate, 15 test.")
    counts = np.bincount(series.group)[series.group]
    place = series.times * 100
    later = (place >= TRAIN_SHARE * counts).astype(np.int8)
    return later + (place >= (TRAIN_SHARE + VALID_SHARE) * counts)


def _by_group(notes: Notes, series: Series) -> np.ndarray:
    """Whole groups, in the order of a hash of their names."""
    count = len(series.names)
    if count < FEWEST_GROUPS:
        raise notes.wrong(
            f"split='group' must find {FEWEST_GROUPS} groups: there are {count}. Name "
            "the column of groups by group=, or use split='time'."
        )
    held = max(1, round(count * VALID_SHARE / 100))
    keys = [hashlib.sha256(name.encode()).hexdigest() for name in series.names]
    part = np.zeros(count, np.int8)
    part[np.argsort(keys)[count - 2 * held :]] = [VALID] * held + [TEST] * held
    for number, name in ((VALID, "validation"), (TEST, "test")):
        names = [n for n, p in zip(series.names, part, strict=True) if p == number]
        notes.say(f"Groups of the {name} part: {listed(names)}.")
    return part[series.group]


def _by_column(notes: Notes, frame: pd.DataFrame, column: str) -> np.ndarray:
    part = np.full(len(frame), -1, np.int8)
    words = frame[column].astype(str).str.strip()
    for number, name in enumerate(PARTS):
        part[(words == name).to_numpy(bool)] = number
    if (part < 0).any():
        place = int(np.argmax(part < 0))
        raise notes.wrong(
            f"{column}={words.iloc[place]!r} in {notes.row(place)} must be 'train', "
            "'valid' or 'test': split= names this column. Use one of these words."
        )
    return part
