"""Text for a reader: tables, numbers, names out of files; and values for JSON."""

import math
from collections.abc import Sequence
from io import StringIO
from typing import Any


def printable(text: object, most: int = 200) -> str:
    r"""Text from a file that a terminal can show: no control characters, not too long.

    Example:
        >>> printable("lstm\x1b[31m.weight")
        'lstm?[31m.weight'
    """
    text = str(text)
    kept = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(c if c.isprintable() else "?" for c in kept)


def roundings(value: float | None) -> str:
    """An error for a reader, with one digit after the point; a dash for none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.1f}" if value < 1e4 else f"{value:.1e}"


def text_table(
    title: str, header: Sequence[str], lines: Sequence[Sequence[str]]
) -> str:
    """A table for a terminal: the first column aligned left, the others right."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False
    )
    for index, name in enumerate(header):
        made.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for line in lines:
        made.add_row(*map(Text, line))
    console = Console(file=StringIO(), width=120, color_system=None)
    console.print(made)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def jsonable(value: Any) -> Any:
    """The value as JSON can hold it: a number that is not finite becomes text."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
