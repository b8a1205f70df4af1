"""Rows as they come: each is answered at once."""

import csv
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TextIO

import numpy as np
import pandas as pd

from lstm_jax.train import Run
from lstm_jax.train.table.files.reading import read_text
from lstm_jax.train.table.files.text import find_separator
from lstm_jax.train.table.notes import Notes


class Line(NamedTuple):
    """A line and its number, from 1."""

    number: int
    text: str


def answer(run: Run, rows: TextIO, out: TextIO) -> None:
    """Read a line of names, then rows, and write the predictions of each as it comes.

    Rows that have too few rows before them have no prediction, and no line.

    Raises:
        ValueError: If the run reads what is known ahead or whole series, or a row does
            not fit.
    """
    recipe = run.recipe
    if recipe is None or recipe.roles.future:
        what = "columns that are known ahead" if recipe else "arrays"
        raise ValueError(
            f"predict: FILE - must be for a run whose rows are read one by one: this "
            f"one was trained on {what}. Give a file."
        )
    if getattr(run.model, "outputs", None) == "all":
        raise ValueError(
            "predict: FILE - must be for a run on windows: this one was trained with "
            "--truncate, and its predictions need every row from the first on. Give "
            "a file."
        )
    lines = _lines(rows)
    header = next(lines, Line(1, "")).text.lstrip("\ufeff")
    if not header:
        raise ValueError(
            "predict: the standard input must begin with a line of names: it is empty. "
            "Give the line that the files have."
        )
    written = False
    for table in _tables(run, header, lines):
        found = run.predict(table)
        last = found.tail(max(recipe.horizon, 1))
        if len(found):
            _ = out.write(last.to_csv(index=False, header=not written))
            out.flush()
            written = True


def _lines(rows: TextIO) -> Iterator[Line]:
    try:
        for number, line in enumerate(rows, 1):
            yield Line(number, line.strip("\r\n"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"predict: the standard input must be {error.encoding.upper()}: a line is "
            "not. Convert it first, as iconv does."
        ) from None


def _tables(run: Run, header: str, lines: Iterator[Line]) -> Iterator[pd.DataFrame]:
    """For each row, a table that ends with it and tells all that its window reads."""
    roles: Any = run.recipe and run.recipe.roles
    kept: dict[str, list[Line]] = {}
    for line in lines:
        if not line.text.strip():
            continue
        _refuse_ragged(header, line)
        one = _read(roles.group, header, [line])
        group = str(one[roles.group].iloc[0]) if roles.group in one else ""
        held = kept.setdefault(group, [])
        held.append(line)
        table = _read(roles.group, header, held)
        yield table
        kept[group] = held[_needless(run, table) :]


def _refuse_ragged(header: str, line: Line) -> None:
    fields, wanted = (
        len(next(csv.reader([text], delimiter=find_separator(header))))
        for text in (line.text, header)
    )
    if fields != wanted:
        raise ValueError(
            f"predict: line {line.number} of the standard input must have {wanted} "
            f"fields, as its first has: it has {fields}. Correct this line."
        )


def _read(group: str | None, header: str, lines: Sequence[Line]) -> pd.DataFrame:
    text = "\n".join([header, *(line.text for line in lines)])
    table = read_text(Notes("predict"), "the standard input", text, group)
    table.attrs["lines"] = tuple(line.number for line in lines)
    return table


def _needless(run: Run, table: pd.DataFrame) -> int:
    """How many of the first rows no later window needs.

    A window of the next row begins at the last `window - 1` rows; what is missing there
    is filled with the last known value before.
    """
    recipe: Any = run.recipe
    first = max(len(table) - recipe.window + 1, 0)
    read = [*recipe.roles.inputs, *recipe.roles.target]
    for name in (n for n in read if n in table.columns):
        known = np.flatnonzero(table[name].notna().to_numpy()[: first + 1])
        first = min(first, int(known[-1]) if len(known) else 0)
    return first
