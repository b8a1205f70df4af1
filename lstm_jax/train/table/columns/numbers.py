"""The numbers of one column, or the sentence that says why it has none."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from lstm_jax.train.table.notes import Notes

LARGEST = 1e30  # its square, and a share of it, are numbers of float64 and float32


def read_numbers(
    notes: Notes, frame: pd.DataFrame, name: str, role: str = "inputs"
) -> np.ndarray | None:
    """A column as float64, NaN where a value is missing; None for text and dates.

    Raises:
        ValueError: If most values are numbers but not all, or one is infinite or huge.
    """
    column: Any = frame[name]
    if types.is_bool_dtype(column) or types.is_numeric_dtype(column):
        if types.is_complex_dtype(column):
            return None
        values = column.to_numpy(np.float64, na_value=np.nan)
    elif isinstance(column.dtype, pd.CategoricalDtype) or types.is_object_dtype(column):
        values = _of_text(notes, column.astype(object), name, role)
    elif types.is_string_dtype(column):
        values = _of_text(notes, column, name, role)
    else:
        return None
    if values is not None and np.isinf(values).any():
        place = int(np.argmax(np.isinf(values)))
        raise notes.wrong(
            f"{name}={values[place]} in {notes.row(place)} must be finite: no mean "
            "has room for it. Correct it, or leave it empty where it means a missing "
            "value."
        )
    if values is not None and (large := np.abs(values) > LARGEST).any():
        place = int(np.argmax(large))
        raise notes.wrong(
            f"{name}={values[place]:g} in {notes.row(place)} must be at most "
            f"{LARGEST:g} in size: the model computes in float32. Correct it, or leave "
            "it empty where it means a missing value."
        )
    return values


def _of_text(notes: Notes, column: Any, name: str, role: str) -> np.ndarray | None:
    """Numbers that are written as text; None where most of it is none."""
    read: Any = pd.to_numeric(column, errors="coerce")
    numbers = read.to_numpy(np.float64)
    given = column.notna().to_numpy(bool, copy=True)
    given &= (column.astype(str).str.strip() != "").to_numpy(bool)
    bad = np.isnan(numbers) & given
    if not bad.any():
        return numbers
    if 2 * bad.sum() >= given.sum():
        return None
    place = int(np.argmax(bad))
    raise notes.wrong(
        f"{name}={column.iloc[place]!r} in {notes.row(place)} must be a number: "
        f"{given.sum() - bad.sum()} of the {given.sum()} values of {name!r} are. "
        f"Leave it empty where it means a missing value{_or_leave_out(notes, role)}."
    )


def _or_leave_out(notes: Notes, role: str) -> str:
    """The second cure of text among numbers, where the column can be left out."""
    if notes.where != "windows" or role == "target":
        return ""
    if role != "inputs":
        return f", or leave the column out of {role}"
    return (
        ", or leave the column out: inputs=[] reads no other column, inputs=['a', 'b'] "
        "these"
    )


def need_numbers(notes: Notes, frame: pd.DataFrame, name: str, role: str) -> np.ndarray:
    """The numbers of a column that was asked for by name."""
    values = read_numbers(notes, frame, name, role)
    if values is None:
        held: Any = frame[name].dropna()
        read: Any = pd.to_numeric(held.astype(str), errors="coerce")
        texts = held[read.isna()]
        first = (texts if len(texts) else held).iloc[0]
        raise notes.wrong(
            f"{role}={name!r} must hold numbers: {str(first)!r} is none, as most "
            "values. Write numbers as 1234.5, without other signs, or leave it out."
        )
    return values
