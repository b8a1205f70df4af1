"""Real processes train together as one device does: their batches, losses, weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.given.many import together

pytestmark = pytest.mark.slow

BOUND = 2e-6  # of the losses and weights of 101 steps, relative to the largest


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one device of one process gives."""
    return together(tmp_path_factory.mktemp("alone"), 1)[0]


def assert_same(found: dict[str, Any], alone: dict[str, Any]) -> None:
    """The losses of every epoch, and every weight, but for rounding."""
    pairs = [(found[name], alone[name]) for name in ("loss", "validation")]
    pairs += [
        (found["params"][name], alone["params"][name]) for name in alone["params"]
    ]
    for one, other in pairs:
        assert_allclose(one, other, rtol=0, atol=BOUND * np.abs(other).max())


def taken(found: list[dict[str, Any]], step: int) -> list[int]:
    """The windows of a step, 1 for the first: before it, a batch is looked at."""
    return [row for one in found for row in one["taken"][step]]


@pytest.mark.parametrize(
    ("count", "devices", "units"),
    [(2, 1, 1), (3, 1, 1), (1, 2, 1), (1, 4, 1), (2, 2, 1), (1, 4, 4), (2, 2, 2)],
)
def test_processes_and_devices_train_as_one_device(
    tmp_path: Path, alone: dict[str, Any], count: int, devices: int, units: int
) -> None:
    """Each process takes its own rows; after one another they are the same windows."""
    found = together(tmp_path, count, devices, units=units)
    for one in found:
        assert_same(one, alone)
        assert one["params"] == found[0]["params"]
    assert taken(found, 100) == taken([alone], 100)
    assert len(taken(found[:1], 100)) == 12 // count


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_a_run_goes_on_in_another_number_of_processes(
    tmp_path: Path, alone: dict[str, Any], before: int, after: int
) -> None:
    """SIGTERM, which the second process gets, ends all of them after the same step."""
    folder = str(tmp_path / "run")
    _ = together(tmp_path, before, code=143, folder=folder, stop_at=40)
    (step,) = [
        p.name for p in Path(folder, "checkpoints").iterdir() if int(p.name) > 34
    ]
    assert 39 <= int(step) <= 44, "a batch is looked at first; heard five steps later"
    found = together(tmp_path, after, folder=folder)
    for one in found:
        assert_same(one, alone)
    assert taken(found, 1) == taken([alone], int(step) + 1)
    config = json.loads(Path(folder, "config.json").read_text("utf-8"))
    assert "devices" not in config["training"]["options"]
