"""Killed at random moments and resumed, a run ends in the same weights, to the bit.

The environment variable KILLS says how often each signal is sent; 5 where it is not.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.given import ROOT

KILLS = int(os.environ.get("KILLS", "5"))
COMMAND = [sys.executable, "-W", "error", "-m", "tests.given.killed"]


def start(folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [*COMMAND, str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    )


def finish(folder: Path) -> float:
    """Run to the end; the seconds it took."""
    before = time.monotonic()
    process = start(folder)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (0, "", "")
    return time.monotonic() - before


def kept(folder: Path) -> tuple[bytes, list[str]]:
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    weights = (folder / "model.safetensors").read_bytes()
    return weights, [line.partition(', "seconds"')[0] for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run that was never killed, and how long it took."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, finish(folder)


def kill(folder: Path, number: int, seconds: float) -> int | None:
    """Send a signal after so many seconds; None where the run was over before."""
    process = start(folder)
    try:
        _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (out, err) == ("", "")
        return process.returncode
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_run_that_is_killed_ends_in_the_same_bits(
    whole: tuple[Path, float], tmp_path: Path, name: str
) -> None:
    """A run that is over begins anew, so that each of the kills meets one under way."""
    number, drawn = getattr(signal, name), random.Random(name)
    kills, ended = 0, 0
    folder = tmp_path / "0"
    codes = set()
    while kills < KILLS:
        code = kill(folder, number, drawn.uniform(0.3, 1.0) * whole[1])
        if code is None:
            assert kept(folder) == kept(whole[0])
            ended += 1
            folder = tmp_path / str(ended)
        else:
            kills += 1
            codes.add(code)
    _ = finish(folder)
    assert kept(folder) == kept(whole[0])
    # Before its first step, and past its last, a process has no handler of ours.
    assert 143 in codes or name == "SIGKILL"
    assert codes <= {143, -number}
