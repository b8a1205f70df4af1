"""The rounds: every runner in its own process, verified, then timed in turn.

Thread pools of two libraries in one process fight for the cores, so each runner has a
process of its own, pinned to the same cores; one works at a time. Each round asks all
of them for a sample, and begins with another of them, so that a machine that slows down
slows all.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parity import tolerance
from parity.bench import store
from parity.bench.settings import Settings
from parity.bench.verify import Expected, expect
from parity.bench.worker import serve
from parity.bench.works import Work

_SPAWN = multiprocessing.get_context("spawn")
# So many seconds a process has to make a work ready, or to give a sample.
PATIENCE = 900.0

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and where to keep it."""

    works: list[Work]
    runners: list[str]
    settings: Settings
    rounds: int
    path: Path | None = None


class Process:
    """A runner's process, and the pipe to it."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.pipe, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=serve, args=(name, theirs), daemon=True)
        with _pinned(settings):
            self.process.start()
        theirs.close()

    def ask(self, *request: Any) -> tuple[bool, Any]:
        """Its answer, or false and what went wrong."""
        try:
            self.pipe.send(request)
            if self.pipe.poll(PATIENCE):
                return self.pipe.recv()
            self.close()
            return False, f"failed: no answer within {PATIENCE:.0f} s"
        except (EOFError, OSError):
            self.process.join(5)
            return False, f"failed: its process ended ({self.process.exitcode})"

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@contextmanager
def _pinned(settings: Settings) -> Iterator[None]:
    """What is started in here has the settings' cores and as many threads."""
    variables = {
        "OMP_NUM_THREADS": str(settings.cores),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several share a GPU
        "JAX_PLATFORMS": "cuda" if settings.device == "gpu" else settings.device,
        "KERAS_BACKEND": "jax",
    }
    before = {name: os.environ.get(name) for name in variables}
    cores = cores_here()
    os.environ.update(variables)
    if settings.device == "cpu":
        _pin(cores[: settings.cores])
    try:
        yield
    finally:
        _pin(cores)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def cores_here() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _pin(cores: list[int]) -> None:
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, cores)


def measure(plan: Plan, run: store.Line, tell: Tell) -> list[store.Group]:
    """Measure what is not measured yet; all finished measurements of the plan.

    Interrupted, it keeps what is done: every line is written when it is known.
    """
    lines = store.read(plan.path) if plan.path and plan.path.exists() else []
    finished = {tuple(group.key.values()): group for group in store.groups(lines)}
    found = []
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for work in plan.works:
            key = _key(work, plan.settings)
            old = finished.get(tuple(key.values()))
            if old is not None and set(plan.runners) <= set(old.runners):
                tell(f"{work.case.name}, {work.mode}: measured before")
                found.append(old)
                continue
            if not processes:
                _note(plan, lines, run)
                processes = _start(plan, stack)
            begun = len(lines)
            _note(plan, lines, {"kind": "work", **key, "flops": work.flops})
            _measure(work, plan, processes, partial_note(plan, lines), tell)
            _note(plan, lines, {"kind": "done"})
            found += store.groups([run, *lines[begun:]])
    return found


def partial_note(plan: Plan, lines: list[store.Line]) -> Callable[..., None]:
    """A function that keeps a line of a kind."""

    def note(kind: str, **content: Any) -> None:
        _note(plan, lines, {"kind": kind, **content})

    return note


def _note(plan: Plan, lines: list[store.Line], line: store.Line) -> None:
    lines.append(line)
    store.append(plan.path, line)


def _key(work: Work, settings: Settings) -> dict[str, Any]:
    found = {
        "case": work.case.name,
        "mode": work.mode,
        "dtype": work.case.dtype,
        **asdict(settings),
    }
    return {name: found[name] for name in store.KEY}


def _start(plan: Plan, stack: ExitStack) -> dict[str, Process]:
    processes = {name: Process(name, plan.settings) for name in plan.runners}
    for process in processes.values():
        _ = stack.callback(process.close)
    return processes


def _measure(
    work: Work,
    plan: Plan,
    processes: dict[str, Process],
    note: Callable[..., None],
    tell: Tell,
) -> None:
    """One work: each runner made ready and verified, then the rounds."""
    tell(f"{work.case.name}, {work.mode}: the oracle")
    expected = expect(work, work.case.draw())
    ready = []
    for name, process in processes.items():
        tell(f"{work.case.name}, {work.mode}: {name} is made ready")
        reason, facts = _prepare(process, work, plan.settings, expected)
        if reason:
            note("skipped", runner=name, reason=reason, **facts)
            if not process.process.is_alive():
                processes[name] = Process(name, plan.settings)
        else:
            note("prepared", runner=name, **facts)
            ready.append(name)
    for number in range(plan.rounds if ready else 0):
        tell(f"{work.case.name}, {work.mode}: round {number + 1} of {plan.rounds}")
        turn = number % len(ready)
        for name in [*ready[turn:], *ready[:turn]]:
            ok, answer = processes[name].ask("sample")
            if ok:
                note("sample", runner=name, round=number, seconds=answer)
            else:
                note("skipped", runner=name, reason=answer)
                ready.remove(name)


def _prepare(
    process: Process, work: Work, settings: Settings, expected: Expected
) -> tuple[str, dict[str, Any]]:
    """Why a runner is not timed, empty if it is, and its facts."""
    ok, answer = process.ask("prepare", work, settings, expected)
    if not ok:
        return answer, {}
    budget = tolerance.BUDGETS[work.case.dtype]
    if not answer["error"] <= budget:
        error = f"{answer['tensor']} is {answer['error']:.3g} roundings from exact"
        return f"wrong: {error}, the budget is {budget:.0f}", answer
    return "", answer
