"""What is said to the reader while a table is read: sentences, errors, rows by name."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import SupportsInt

import pandas as pd

from lstm_jax.terminal import printable

LISTED = 8  # names that a sentence lists
LONGEST = 80  # characters of such a name


@dataclass(frozen=True)
class Notes:
    """Who speaks, what was said so far, and the files that the rows come from.

    Attributes:
        where: The public function that an error names first.
        said: Sentences for the reader, in order.
        files: Name and number of rows of each file; empty for a table in memory.
        lines: The number of the line that each row stands in, where rows are read one
            by one.
    """

    where: str
    said: list[str] = field(default_factory=list)
    files: tuple[tuple[str, int], ...] = ()
    lines: tuple[int, ...] = ()

    def say(self, sentence: str) -> None:
        """Keep a sentence for the reader, once."""
        if sentence not in self.said:
            self.said.append(sentence)

    def wrong(self, text: str) -> ValueError:
        """The error that says `text`."""
        return ValueError(f"{self.where}: {text}")

    def row(self, place: int) -> str:
        """The name of the row at a place of the table; the first row is row 1."""
        if self.lines:
            return f"line {self.lines[place]}"
        for name, rows in self.files if len(self.files) > 1 else ():
            if place < rows:
                return f"row {place + 1} of {name}"
            place -= rows
        return f"row {place + 1}"


def notes_on(where: str, frame: pd.DataFrame) -> Notes:
    """Notes on a table that `read_csv` or the caller made."""
    files = tuple((name, rows) for name, rows in frame.attrs.get("files", ()))
    whole = sum(rows for _, rows in files) == len(frame)
    lines = frame.attrs.get("lines", ())
    if len(lines) != len(frame):
        lines = ()
    return Notes(where, files=files if whole else (), lines=lines)


def listed(names: Iterable[object]) -> str:
    """Names for a sentence, quoted; the first few where there are many."""
    held = list(names)
    more = f" and {len(held) - LISTED} more" if len(held) > LISTED else ""
    return ", ".join(repr(printable(name, LONGEST)) for name in held[:LISTED]) + more


def counted(count: SupportsInt, what: str) -> str:
    """How many for a sentence: 1 row, 2 rows."""
    number = int(count)
    return f"{number} {what}" + "s" * (number != 1)


def nearest(name: str, names: Iterable[object]) -> str:
    """The question whether the nearest name was meant, or nothing."""
    lower = {str(held).lower(): str(held) for held in names}
    found = difflib.get_close_matches(name.lower(), lower, n=1)
    return f" Did you mean {lower[found[0]]!r}?" if found else ""
