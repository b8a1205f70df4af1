"""Libraries that `make test` does not install: what needs one is slow."""

from collections.abc import Iterable
from typing import Any

import pytest

PEERS = {"dm-haiku", "equinox", "keras", "mlx"}


def needs_peer(row: Any) -> bool:
    """Whether a framework or a runner needs a library of the extra `peers`."""
    return bool({row.library.module, row.library.package} & PEERS)


def params(rows: Iterable[Any]) -> list[Any]:
    """Rows as parameters of a test, by name."""
    return [
        pytest.param(row, id=row.name, marks=[pytest.mark.slow] * needs_peer(row))
        for row in rows
    ]
