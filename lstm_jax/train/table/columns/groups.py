"""The group of each row, and what is constant within a group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from lstm_jax.train.table.columns.numbers import need_numbers, read_numbers
from lstm_jax.train.table.notes import Notes, listed

Groups = tuple[tuple[str, ...], np.ndarray]


def read_groups(notes: Notes, frame: pd.DataFrame, group: str | None) -> Groups:
    """Names of the groups, sorted, and the number of each row's group, `(N,)`.

    Without a column of groups there is one, "". Sorted names make the order of rows,
    and every sum over them, the same for one file and for a file a group.
    """
    if group is None:
        return ("",), np.zeros(len(frame), np.int64)
    missing = frame[group].isna().to_numpy(bool)
    if missing.any():
        raise notes.wrong(
            f"group={group!r} must be known in every row: it is missing in "
            f"{notes.row(int(np.argmax(missing)))}. Fill it in, or drop the row."
        )
    names, numbers = np.unique(as_names(frame[group]), return_inverse=True)
    return tuple(map(str, names)), numbers


def as_names(column: Any) -> np.ndarray:
    """Names of groups as text; 1.0 is the same as 1."""
    if types.is_float_dtype(column) and (column == column.astype("int64")).all():
        column = column.astype("int64")
    return column.astype(str).to_numpy(object)


def constant_within(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """For each group whether all its values are equal, NaN among them being unequal."""
    first = np.full(numbers.max(initial=-1) + 1, np.nan)
    first[numbers[::-1]] = values[::-1]
    return np.bincount(numbers[~(values == first[numbers])], minlength=first.size) == 0


def check_static(
    notes: Notes, frame: pd.DataFrame, groups: Groups, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """The numbers of static columns of the table itself, a number a row."""
    held = {name: need_numbers(notes, frame, name, "static") for name in names}
    for name, values in held.items():
        if np.isnan(values).any():
            place = int(np.argmax(np.isnan(values)))
            raise notes.wrong(
                f"static={name!r} must be known in every row: it is missing in "
                f"{notes.row(place)}. Fill it in, or leave it out of static."
            )
        constant = constant_within(values, groups[1])
        if not constant.all():
            whose = groups[0][int(np.argmin(constant))]
            raise notes.wrong(
                f"static={name!r} must be constant within a group: it changes"
                + (f" in {whose!r}" if whose else "")
                + ". Name it in inputs instead."
            )
    return held


def read_static(
    notes: Notes, frame: pd.DataFrame, group: str | None
) -> dict[str, dict[str, float]]:
    """The numbers of a table with a row for each group: column -> group -> number."""
    if group is None:
        raise notes.wrong(
            "static= must come with group=: a table has a row for each group. Name "
            "the column of groups by group=."
        )
    by: Any = frame[group] if group in frame else frame.index  # noqa: SIM401
    if group not in frame and isinstance(frame.index, pd.RangeIndex):
        by = frame[frame.columns[0]]
    keys = as_names(by)
    _refuse_twice(notes, keys)
    rest = [str(name) for name in frame.columns if frame[name] is not by]
    rest = [name for name in rest if name != by.name]
    held = {name: read_numbers(notes, frame, name) for name in rest}
    if texts := [name for name, values in held.items() if values is None]:
        notes.say(f"Left out of static, for they hold no numbers: {listed(texts)}.")
    return {
        name: dict(zip(keys.tolist(), values.tolist(), strict=True))
        for name, values in held.items()
        if values is not None
    }


def _refuse_twice(notes: Notes, keys: np.ndarray) -> None:
    names, counts = np.unique(keys, return_counts=True)
    if (counts > 1).any():
        twice = names[np.argmax(counts > 1)]
        raise notes.wrong(
            f"static must have one row for each group: {twice!r} "
            "has several. Drop all but one."
        )


def static_columns(
    notes: Notes, table: Mapping[str, Mapping[str, float]], groups: Groups
) -> dict[str, np.ndarray]:
    """The numbers of a table of groups, a number a row."""
    names, numbers = groups
    found = {}
    for column, held in table.items():
        values = np.array([held.get(name, np.nan) for name in names])
        if np.isnan(values).any():
            whose = names[int(np.argmax(np.isnan(values)))]
            raise notes.wrong(
                f"static={column!r} must be known for group {whose!r}: every row of "
                "the group has it as an input. Add it to the table of static, or "
                "leave the group out."
            )
        found[column] = values[numbers]
    return found
