"""The example of a long sequence: its ways of training have the same loss."""

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from examples.long_sequence import measure, train

SMALL = {"steps": 300, "batch": 2, "hidden_size": 8, "updates": 3, "seed": 1}


def losses(remat: str = "", truncate: int | None = None) -> list[float]:
    options: Any = SimpleNamespace(**SMALL, remat=remat, truncate=truncate)
    return measure.measured(options)["losses"]


def test_what_is_computed_again_changes_no_loss() -> None:
    kept = losses()
    assert kept[-1] < kept[0]
    assert losses(remat="sqrt") == pytest.approx(kept, rel=1e-6)
    assert losses(remat="50") == pytest.approx(kept, rel=1e-6)


def test_a_gradient_that_is_cut_changes_the_loss() -> None:
    assert losses(truncate=20)[2] != pytest.approx(losses()[2], rel=1e-7)


def test_the_ways_differ_in_what_they_keep_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The row of a seed: the peak, the fastest update that was not the first."""
    called: list[list[str]] = []

    def ran(command: list[str], **_: Any) -> Any:
        called.append(command[2:])
        found = {"peak": 5.0, "losses": [3.0, 2.0, 1.0], "seconds": [9.0, 2.0, 4.0]}
        return SimpleNamespace(stdout=json.dumps(found))

    monkeypatch.setattr(subprocess, "run", ran)
    outcome = train.run("usual", 7)
    assert outcome.losses == (3, 1)
    row = {train.PEAK: 5, train.SECONDS: 2, train.LOSS: 1}
    assert outcome.rows == dict.fromkeys(train.WAYS, row)
    rest = [
        [one for one in command if one not in way]
        for command, way in zip(called, train.WAYS.values(), strict=True)
    ]
    assert rest == [[*train.SIZES["usual"], "--seed", "7", "--json"]] * 3
