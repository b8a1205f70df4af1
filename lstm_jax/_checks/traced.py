"""Which row of a batch and which layer are looked at."""

from typing import Any

import numpy as np


def check_row(where: str, row: Any, batch: tuple[int, ...]) -> tuple[int, ...]:
    """A place in a batch; None is the first."""
    if row is None:
        row = (0,) * len(batch)
    place = tuple(row) if isinstance(row, (tuple, list)) else (row,)
    whole = all(isinstance(n, (int, np.integer)) for n in place)
    inside = len(place) == len(batch) and whole
    if not inside or not all(0 <= n < m for n, m in zip(place, batch, strict=True)):
        least = f"({', '.join('0' for _ in batch)}{',' if len(batch) == 1 else ''})"
        raise ValueError(
            f"{where}: {row=} must be a row of the batch {batch}: a number for each of "
            f"its axes. Use {least} for the first."
        )
    return place


def check_layer(where: str, layer: Any, names: list[str]) -> list[int]:
    """The rows of a trace that are a layer's; None is all."""
    chosen = [n for n, name in enumerate(names) if layer is None or _of(name) == layer]
    if not chosen:
        raise ValueError(
            f"{where}: {layer=} must be a layer of the trace, 0 to {_of(names[-1])}: "
            "layers count from 0. Use None for all."
        )
    return chosen


def _of(name: str) -> int:
    return int(name.split(",")[0].removeprefix("layer "))
