"""The commands in several processes: who prints, who writes, and what ends them."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.given.many import end, finish, start

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path: Path) -> str:
    """A river: the flow is rain that runs off."""
    rain = np.random.default_rng(0).gamma(0.5, size=300)
    flow = np.convolve(rain, 0.8 ** np.arange(20))[:300]
    lines = [f"{a:.5f},{b:.5f}" for a, b in zip(rain, flow, strict=True)]
    path = tmp_path / "river.csv"
    _ = path.write_text("\n".join(["rain,flow", *lines, ""]), encoding="utf-8")
    return str(path)


def train(table: str, out: Path, *options: str) -> list[str]:
    flags = ("--target", "flow", "--window", "9", "--hidden-size", "8", "--batch", "24")
    return ["lstm_jax", "train", table, "--out", str(out), *flags, *options]


def resume(out: Path) -> list[str]:
    return ["lstm_jax", "resume", str(out)]


def port_of(job: int) -> int:
    """Where JAX listens for the processes of a job of SLURM."""
    return job % 2**12 + 65535 - 2**12 + 1


def free_job() -> int:
    for job in range(os.getpid(), os.getpid() + 4096):
        with socket.socket() as found:
            if found.connect_ex(("localhost", port_of(job))):
                return job
    raise AssertionError("no port is free")


def test_tasks_of_slurm_train_together(table: str, tmp_path: Path) -> None:
    """SLURM is faked: its variables are as `srun --ntasks=2` sets them on one node."""
    job = {"SLURM_JOB_ID": str(free_job()), "SLURM_STEP_NODELIST": "localhost"}
    started = []
    for number in ("0", "1"):
        task = {"SLURM_PROCID": number, "SLURM_LOCALID": number, "SLURM_NTASKS": "2"}
        line = train(table, tmp_path / "many", "--epochs", "4")
        started += start(1, lambda _, line=line: line, 1, **job, **task)
    first, second = finish(started)
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert "Best on the test part" in first[1]
    assert second[1:] == ("", "")
    line = train(table, tmp_path / "one", "--epochs", "4")
    assert finish(start(1, lambda _: line))[0][0] == 0
    many, one = (load_file(tmp_path / n / "model.safetensors") for n in ("many", "one"))
    for name in one:
        most = np.abs(one[name]).max()
        np.testing.assert_allclose(many[name], one[name], rtol=0, atol=2e-6 * most)
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == sorted(
        p.name for p in (tmp_path / "one").iterdir()
    )


def wait_for(path: Path, started: list[subprocess.Popen[str]]) -> None:
    last = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < last
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)


@pytest.mark.parametrize("victim", [1, 0])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_gone_ends_the_others(
    table: str, tmp_path: Path, victim: int, number: int
) -> None:
    """Killed, or stopped: it then sends no sign of life. `resume` goes on with one."""
    if (victim, number) == (0, signal.SIGSTOP):
        victim = 2
    out = tmp_path / "run"
    line = train(table, out, "--epochs", "150", "--patience", "150")
    started = start(3, lambda _: line)
    try:
        wait_for(out / "checkpoints" / "18", started)
        started[victim].send_signal(number)
        before = time.monotonic()
        others = [p for k, p in enumerate(started) if k != victim]
        ended = [(p.wait(60), time.monotonic() - before) for p in others]
        texts = [p.communicate(timeout=60) for p in others]
    finally:
        end(started)
    assert all(code != 0 and seconds < 60 for code, seconds in ended)
    sentence = (
        "python -m lstm_jax: train: all 3 processes must run to the end: another one "
        "has ended, or is not reached. Where no run was begun, start all of them "
        "again; else go on, in any number of processes, with: python -m lstm_jax "
        f"resume {out}\n"
    )
    for process, (_, err) in zip(others, texts, strict=True):
        assert err.endswith(sentence)
        assert process is started[0] or err == sentence
    ((code, said, err),) = finish(start(1, lambda _: resume(out)))
    assert code == 0, err
    assert "Best on the test part" in said
    steps = re.findall(r'"step": (\d+)', (out / "metrics.jsonl").read_text("utf-8"))
    assert steps == [str(9 * (k + 1)) for k in range(len(steps))]


def test_a_signal_to_one_ends_all_with_a_checkpoint(table: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = train(table, out, "--epochs", "900", "--patience", "900")
    started = start(2, lambda _: line)
    wait_for(out / "checkpoints" / "18", started)
    started[1].send_signal(signal.SIGTERM)
    first, second = finish(started)
    assert (first[0], second) == (143, (143, "", ""))
    assert first[2].endswith(
        f"Stopped, with a checkpoint. Go on by: python -m lstm_jax resume {out}\n"
    )
    kept = [path.name for path in (out / "checkpoints").iterdir()]
    assert len(kept) == 2
    assert all(name.isdecimal() for name in kept), kept


def test_one_that_waits_for_the_others_ends_after_a_minute(
    table: str, tmp_path: Path
) -> None:
    line = train(table, tmp_path / "run")
    before = time.monotonic()
    first, second = start(2, lambda _: line)
    end([second])
    ((code, out, err),) = finish([first])
    assert code not in (0, 1)
    assert out == ""
    assert err == (
        "python -m lstm_jax: train: all 2 processes must start within 50 s: one has "
        "not come, or the first is not reached. Start all of them, each with a number "
        "of its own, and with the first one's address.\n"
    )
    assert time.monotonic() - before < 75


LAYERS = ("--num-layers", "2", "--dropout")


@pytest.mark.parametrize(
    ("others", "named"),
    [
        (("--seed", "0", "1"), "seed, weights"),
        (("--unit-devices", "1", "2"), "unit_devices"),
        (("--minutes", "1", "2"), "minutes"),
        ((*LAYERS, "0", "0.5"), "model"),
        (("--remat", "3", "4"), "model"),
        (("--predict", "change", "level"), "data"),
    ],
)
def test_processes_that_are_called_with_other_things_are_refused(
    table: str, tmp_path: Path, others: tuple[str, ...], named: str
) -> None:
    """The last two words are those of either process."""
    out, (*flags, first, second) = tmp_path / "run", others
    lines = [train(table, out, *flags, word) for word in (first, second)]
    before = time.monotonic()
    for code, _, err in finish(start(2, lambda k: lines[k], 2)):
        assert code == 2
        assert err == (
            f"python -m lstm_jax: train: {named} must be the same in all 2 "
            "processes: each trains on its rows of the same batches. Start all of them "
            "with the same command, on files that all of them see.\n"
        )
    assert time.monotonic() - before < 60
    assert not out.exists()


def test_devices_of_the_flags_share_the_batch_and_the_units(
    table: str, tmp_path: Path
) -> None:
    flags = {"many": ("--devices", "4", "--unit-devices", "2"), "one": ()}
    found = {}
    for name, words in flags.items():
        line = train(table, tmp_path / name, "--epochs", "4", *words)
        ((code, _, said),) = finish(start(1, lambda _, line=line: line, 4))
        assert code == 0, said
        found[name] = load_file(tmp_path / name / "model.safetensors")
    for name, array in found["one"].items():
        np.testing.assert_allclose(found["many"][name], array, rtol=0, atol=1e-5)
    ((code, _, said),) = finish(start(1, lambda _: resume(tmp_path / "many"), 1))
    assert code == 0, said
