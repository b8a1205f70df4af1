"""Tables that a command reads beside its files."""

from pathlib import Path
from typing import Any, NamedTuple

from lstm_jax import train as training
from lstm_jax.cli.options import names


class Static(NamedTuple):
    """Static columns by name or as a table, and the SHA-256 of its file by its path."""

    held: Any
    sha256: dict[str, str]


def read_static(
    given: str | None, table: training.Table, encoding: str | None
) -> Static:
    """Static columns by name; a table of them where a file is named, and no column.

    The groups of that table, its column `group` or its first, are text: 01 stays 01.
    """
    if given is None or not is_file(given, table):
        return Static(() if given is None else names(given), {})
    columns = training.read_csv(given, encoding=encoding).frame.columns
    group = table.group if table.group in columns else columns[0]
    read = training.read_csv(given, group=group, encoding=encoding)
    return Static(read.frame, read.sha256)


def is_file(given: str, table: training.Table) -> bool:
    """Whether `--static` names a file, there or not."""
    named = Path(given).is_file() or Path(given).suffix == ".csv"
    return named and given not in table.frame.columns
