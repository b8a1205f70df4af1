"""Rows as they come: each is answered at once."""

import io
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np
import pandas as pd

from lstm_jax.train import Run


def answer(run: Run, rows: TextIO, out: TextIO) -> None:
    """Read a line of names, then rows, and write the predictions of each as it comes.

    Rows that have too few rows before them have no prediction, and no line.

    Raises:
        ValueError: If the run reads what is known ahead, or a row does not fit.
    """
    recipe = run.recipe
    if recipe is None or recipe.roles.future:
        what = "columns that are known ahead" if recipe else "arrays"
        raise ValueError(
            f"predict: FILE - must be for a run whose rows are read one by one: this "
            f"one was trained on {what}. Give a file."
        )
    header = rows.readline().strip("\r\n")
    if not header:
        raise ValueError(
            "predict: the standard input must begin with a line of names: it is empty. "
            "Give the line that the files have."
        )
    written = False
    for table in _tables(run, header, rows):
        found = run.predict(table)
        last = found.tail(max(recipe.horizon, 1))
        if len(found):
            _ = out.write(last.to_csv(index=False, header=not written))
            out.flush()
            written = True


def _tables(run: Run, header: str, rows: TextIO) -> Iterator[pd.DataFrame]:
    """For each row, a table that ends with it and tells all that its window reads."""
    roles: Any = run.recipe and run.recipe.roles
    held: dict[str, list[str]] = {}
    for line in rows:
        if not line.strip():
            continue
        one = _read(roles, header, [line])
        group = str(one[roles.group].iloc[0]) if roles.group else ""
        lines = held.setdefault(group, [])
        lines.append(line)
        table = _read(roles, header, lines)
        yield table
        held[group] = lines[_needless(run, table) :]


def _read(roles: Any, header: str, lines: list[str]) -> pd.DataFrame:
    text = "\n".join([header, *(line.strip("\r\n") for line in lines)])
    as_text: Any = {roles.group: str} if roles.group else {}
    return pd.read_csv(io.StringIO(text), dtype=as_text)


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
