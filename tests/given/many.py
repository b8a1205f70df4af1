"""A run of several processes: `python -m tests.given.many '{"out": ...}'` is one."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.given import ROOT

SECONDS = 240  # after which a process is ended
STEPS = 101


@dataclass
class Listed:
    """Rows that remember which of them were taken, and may end the process."""

    rows: Any
    stop_at: int | None
    taken: list[list[int]] = field(default_factory=list)
    fingerprint: str = "a name"

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> Any:
        self.taken.append(rows.tolist())
        if len(self.taken) == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.rows.take(rows)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]


def start(
    count: int, arguments: Any, devices: int = 1, **others: str
) -> list[subprocess.Popen[str]]:
    """The processes of a program of this Python; `arguments` of the number of each."""
    here = {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    here |= {"OMP_NUM_THREADS": "1", "COLUMNS": "1000"} | others
    if count > 1:
        here["JAX_COORDINATOR_ADDRESS"] = f"localhost:{free_port()}"
        here["JAX_NUM_PROCESSES"] = str(count)
    started = []
    for number in range(count):
        environment = os.environ | here
        if count > 1:
            environment["JAX_PROCESS_ID"] = str(number)
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", *arguments(number)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(started: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code and texts of each process; all are ended where one takes too long."""
    try:
        texts = [process.communicate(timeout=SECONDS) for process in started]
    finally:
        end(started)
    return [(p.returncode, *text) for p, text in zip(started, texts, strict=True)]


def end(started: list[subprocess.Popen[str]]) -> None:
    """End what still runs, and close what it is read by."""
    for process in started:
        process.kill()
        _ = process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def together(
    tmp_path: Path, count: int, devices: int = 1, *, code: int = 0, **options: Any
) -> list[dict[str, Any]]:
    """What each of `count` processes gave, of `devices` devices each."""
    outs = [str(tmp_path / f"{count}-{devices}-{k}.json") for k in range(count)]

    def arguments(number: int) -> list[str]:
        return ["tests.given.many", json.dumps({"out": outs[number], **options})]

    ended = finish(start(count, arguments, devices))
    assert [result[0] for result in ended] == [code] * count, ended
    if code:
        return []
    return [json.loads(Path(out).read_text("utf-8")) for out in outs]


def main(
    out: str, folder: str | None = None, stop_at: int | None = None, units: int = 1
) -> None:
    import jax

    number, count = (
        os.environ.get(f"JAX_{n}") for n in ("PROCESS_ID", "NUM_PROCESSES")
    )
    if count:
        jax.distributed.initialize(
            num_processes=int(count),
            process_id=int(number or 0),
            initialization_timeout=60,
            heartbeat_timeout_seconds=30,
            shutdown_timeout_seconds=60,
        )
    from flax import nnx

    from lstm_jax import LSTMModel
    from lstm_jax.train import Arrays, fit

    drawn = np.random.default_rng(0)
    xs = drawn.normal(size=(200, 5, 3)).astype(np.float32)
    ys = xs.mean((1, 2))[:, None]
    rows = Listed(Arrays(xs, ys), stop_at if number in (None, "1") else None)
    run = fit(
        LSTMModel(3, 4, 1, num_layers=2, dropout=0.2, rngs=nnx.Rngs(0)),
        rows,
        validation=(xs[:31], ys[:31]),
        batch=12,
        steps=STEPS,
        rate=0.01,
        folder=folder,
        resume=folder is not None,
        fingerprint="a name",
        devices=None if jax.device_count() == 1 else jax.devices(),
        unit_devices=units,
    )
    params = {k: np.asarray(v).tolist() for k, v in run.model.params().items()}
    found = {"taken": rows.taken, "params": params, "said": run.said}
    for name in ("loss", "validation"):
        found[name] = run.history[name].tolist()
    _ = Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
