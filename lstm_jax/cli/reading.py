"""Tables that a command reads beside its files."""

from pathlib import Path
from typing import Any

import pandas as pd

from lstm_jax import train as training
from lstm_jax.cli.options import names


def read_static(given: str | None, frame: pd.DataFrame, encoding: str | None) -> Any:
    """Static columns by name; a table of them where a file is named, and no column."""
    if given is None:
        return ()
    if given not in frame.columns and Path(given).is_file():
        return training.read_csv(given, encoding=encoding).frame
    return names(given)
