"""Tables that a command reads beside its files."""

from pathlib import Path
from typing import Any

from lstm_jax import train as training
from lstm_jax.cli.options import names


def read_static(
    given: str | None, table: training.Table, encoding: str | None
) -> Any:
    """Static columns by name; a table of them where a file is named, and no column.

    The groups of that table, its column `group` or its first, are text: 01 stays 01.
    """
    if given is None:
        return ()
    if given in table.frame.columns:
        return names(given)
    if not Path(given).is_file() and Path(given).suffix != ".csv":
        return names(given)
    columns = training.read_csv(given, encoding=encoding).frame.columns
    group = table.group if table.group in columns else columns[0]
    return training.read_csv(given, group=group, encoding=encoding).frame
