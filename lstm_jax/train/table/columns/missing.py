"""Missing values: the last known one, or a sentence with what to do."""

from collections.abc import Mapping

import numpy as np

from lstm_jax.train.table.columns.roles import Roles
from lstm_jax.train.table.notes import Notes, counted, listed
from lstm_jax.train.table.times.steps import Segments, Series


def last_known(values: np.ndarray, segments: Segments) -> np.ndarray:
    """The last known value of a column at or before each row, within its segment.

    Args:
        values: A column in series, `(N,)`, NaN where a value is missing.
        segments: Where the rows' segments begin.

    Returns:
        `(N,)`; NaN where nothing was known yet. It never reads a later row.
    """
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    places = np.maximum.accumulate(places)
    return np.where(places >= segments.first, values[places], np.nan)


def find_ahead(columns: list[np.ndarray], series: Series) -> np.ndarray:
    """The rows at the end of a group where nothing is known up to now, `(N,)`.

    Such rows hold only what is known ahead: time, future, static.
    """
    if not columns:
        return np.zeros(len(series.rows), bool)
    places = np.arange(len(series.rows))
    known = ~np.all(np.isnan(columns), axis=0)
    last = np.full(len(series.names), -1)
    np.maximum.at(last, series.group[known], places[known])
    return places > last[series.group]


def refuse_missing(
    notes: Notes, roles: Roles, columns: Mapping[str, np.ndarray], rows: np.ndarray
) -> None:
    """Refuse missing values in inputs, the target's own past among them.

    Args:
        notes: Where sentences go.
        roles: The roles.
        columns: The values of the inputs in the rows that windows read.
        rows: The places of these rows in the table.

    Raises:
        ValueError: With what to do: three cures in training, and less afterwards.
    """
    for name, values in columns.items():
        missing = np.isnan(values)
        if missing.any():
            place = int(rows[missing].min())
            raise notes.wrong(
                f"{name!r} must be known in every row, for the model reads it as an "
                f"input: it is missing in {counted(missing.sum(), 'row')}, first in "
                f"{notes.row(place)}. {_cure(notes, roles, name)}"
            )


def _cure(notes: Notes, roles: Roles, name: str) -> str:
    if notes.where != "windows":
        return (
            "Fill it in, or train with fill='last', which takes the last known value."
        )
    fill = "Use fill='last' for the last known value and a column that tells of it"
    if name in roles.target:
        return f"{fill}, or past=False, which leaves the past of the target out."
    rest = [held for held in roles.inputs if held != name]
    return f"{fill}, or leave it out by inputs={rest}."


def refuse_missing_future(
    notes: Notes, roles: Roles, columns: Mapping[str, np.ndarray], series: Series
) -> None:
    """Refuse missing values in columns that are known for the predicted steps."""
    for name in roles.future:
        missing = np.isnan(columns[name])
        if missing.any():
            place = int(series.rows[missing].min())
            raise notes.wrong(
                f"future={name!r} must be known in every row: it is missing in "
                f"{counted(missing.sum(), 'row')}, first in {notes.row(place)}. Fill "
                "it in, or drop the rows that lie ahead of what is known, or name it "
                "in inputs with fill='last'."
            )


def flagged_columns(
    roles: Roles, past: bool, columns: Mapping[str, np.ndarray], training: np.ndarray
) -> tuple[str, ...]:
    """The inputs that miss a value in the training part: each gets a 0/1 column."""
    return tuple(n for n in roles.read(past) if np.isnan(columns[n][training]).any())


def say_unflagged(
    notes: Notes, names: tuple[str, ...], columns: Mapping[str, np.ndarray]
) -> None:
    """Name the columns that miss values now, but missed none in the training part."""
    found = [name for name in names if np.isnan(columns[name]).any()]
    if found:
        notes.say(
            f"Missing in no training row, but in others: {listed(found)}. The last "
            "known value takes the place, and no column tells the model."
        )
