"""Text for a reader: tables, names out of files; and values for JSON."""

import math
import textwrap
from collections.abc import Sequence
from io import StringIO
from typing import Any

WIDTH = 120  # of a table, where no terminal has another
_BETWEEN = 3  # characters that a column of a table takes beside its text


def printable(text: object, most: int = 200) -> str:
    r"""Text from a file that a terminal can show: no control characters, not too long.

    Example:
        >>> printable("lstm\x1b[31m.weight")
        'lstm?[31m.weight'
    """
    text = str(text)
    kept = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(c if c.isprintable() else "?" for c in kept)


def text_table(
    title: str,
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    width: int = WIDTH,
) -> str:
    """A table for a terminal: the first column aligned left, the others right.

    Where it is wider than `width`, each row is written out with the names of its
    columns instead, and nothing is cut off.
    """
    rows = [header, *lines]
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    fits = sum(columns) + _BETWEEN * len(columns) <= width
    draw = _in_columns if fits else _written_out
    return "\n".join([*textwrap.wrap(title, width), draw(header, lines, width)])


def _in_columns(
    header: Sequence[str], lines: Sequence[Sequence[str]], width: int
) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        made.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for line in lines:
        made.add_row(*map(Text, line))
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(made)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _written_out(
    header: Sequence[str], lines: Sequence[Sequence[str]], width: int
) -> str:
    """A paragraph for each row: `ys: error 0.7, torch 0.8, ok`."""
    rows = []
    for first, *others in lines:
        pairs = zip(header[1:], others, strict=True)
        cells = (" ".join(filter(None, pair)) for pair in pairs if pair[1])
        rows.append(f"{first}: {', '.join(cells)}")
    return "\n".join(
        textwrap.fill(
            row,
            width,
            initial_indent=" ",
            subsequent_indent="   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for row in rows
    )


def jsonable(value: Any) -> Any:
    """The value as JSON can hold it: a number that is not finite becomes text."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
