"""Libraries that `make test` does not install: what needs one is slow."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
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


def file_of(package: str, *path: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is not installed: see `make slow`"
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)
