"""The rounds: every runner in its own process, verified, then timed in turn.

Thread pools of two libraries in one process fight for the cores, so each runner has a
process of its own, pinned to the same cores; one works at a time. Each round asks all
of them for a sample, and begins with another of them, so that a machine that slows down
slows all.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parity.bench.rate import product_rate
from parity.bench.results import store
from parity.bench.runner import RUNNERS, Maker
from parity.bench.settings import Settings
from parity.bench.timing.ahead import Expect, expecting
from parity.bench.timing.spawn import SPAWN, given
from parity.bench.timing.worker import serve
from parity.bench.verify import Expected
from parity.bench.works import Work
from parity.judge import tolerance
from parity.machine import cores_here

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

    def __init__(self, maker: Maker, settings: Settings) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(maker, theirs), daemon=True)
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
            self.close()
            return False, f"failed: its process ended ({self.process.exitcode})"

    def close(self) -> None:
        """End the process."""
        self.pipe.close()  # one that waits for a request ends
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Processes:
    """A process for each runner; one that ended is started again."""

    def __init__(self, runners: Iterable[str], settings: Settings) -> None:
        self.settings = settings
        self._running: dict[str, Process] = {}
        for name in runners:  # all at once: they start beside each other
            self._running[name] = Process(RUNNERS[name], settings)

    def ask(self, name: str, *request: Any) -> tuple[bool, Any]:
        """A runner's answer, or false and what went wrong."""
        if not self._running[name].process.is_alive():
            self._running[name] = Process(RUNNERS[name], self.settings)
        return self._running[name].ask(*request)

    def close(self) -> None:
        """End all of them."""
        for process in self._running.values():
            process.close()


@contextmanager
def _pinned(settings: Settings) -> Iterator[None]:
    """What is started in here has the settings' cores and as many threads."""
    variables = {
        "OMP_NUM_THREADS": str(settings.cores),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several share a GPU
        "JAX_PLATFORMS": "cuda" if settings.device == "gpu" else settings.device,
        "KERAS_BACKEND": "jax",
    }
    cores = cores_here()
    if settings.device == "cpu":
        _pin(cores[: settings.cores])
    try:
        with given(variables):
            yield
    finally:
        _pin(cores)


def rate_of(settings: Settings, dtype: str) -> float:
    """The rate of a large product with the settings' cores, in a process of its own."""
    known = (settings.device, settings.cores, dtype, settings.precision)
    with _pinned(settings), ProcessPoolExecutor(1, SPAWN) as pool:
        return pool.submit(product_rate, *known).result()


def _pin(cores: list[int]) -> None:
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, cores)


def measure(
    plan: Plan, describe: Callable[[], store.Line], tell: Tell
) -> list[store.Group]:
    """Measure what is not measured yet; all finished measurements of the plan.

    `describe` gives the line of the run, once there is something to measure.
    Interrupted, it keeps what is done: every line is written when it is known.
    """
    before = store.read_to_continue(plan.path) if plan.path else []
    finished = {group.identity: group for group in store.groups(before)}
    old = {work: _finished(work, plan, finished) for work in plan.works}
    missing = [work for work, group in old.items() if group is None]
    if not missing:
        return [group for group in old.values() if group]
    run = describe()
    store.append(plan.path, run)
    with ExitStack() as stack:
        expect = stack.enter_context(expecting(missing, _ahead(plan.settings)))
        processes = Processes(plan.runners, plan.settings)
        _ = stack.callback(processes.close)
        for work in missing:
            lines = _kept(_measure(work, plan, processes, expect, tell), plan.path)
            old[work] = store.groups([run, *lines])[0]
    return [group for group in old.values() if group]


def _finished(
    work: Work, plan: Plan, finished: Mapping[tuple[Any, ...], store.Group]
) -> store.Group | None:
    """What is stored of a work, if it is all that is asked for."""
    group = finished.get(tuple(_key(work, plan.settings).values()))
    seconds = plan.settings.seconds
    enough = group and group.covers(plan.runners, plan.rounds, seconds)
    return group if enough else None


def _ahead(settings: Settings) -> int:
    """How many processes may run the oracle while a runner is timed."""
    return max(1, settings.cores // 4) if settings.device == "gpu" else 0


def _kept(lines: Iterator[store.Line], path: Path | None) -> Iterator[store.Line]:
    """The lines of a work, each of them kept as soon as it is known."""
    for line in lines:
        store.append(path, line)
        yield line


def _key(work: Work, settings: Settings) -> dict[str, Any]:
    found = {
        "case": work.case.name,
        "mode": work.mode,
        "dtype": work.case.dtype,
        **asdict(settings),
    }
    return {name: found[name] for name in store.KEY}


def _measure(
    work: Work, plan: Plan, processes: Processes, expect: Expect, tell: Tell
) -> Iterator[store.Line]:
    """One work: each runner made ready and verified, then the rounds."""
    title = f"{work.case.name}, {work.mode}"
    yield {"kind": "work", **_key(work, plan.settings), "flops": work.flops}
    tell(f"{title}: the oracle")
    expected, ready = expect(work), []
    for name in plan.runners:
        tell(f"{title}: {name} is made ready")
        reason, facts = _prepare(processes, name, work, expected)
        if reason:
            yield {"kind": "skipped", "runner": name, "reason": reason, **facts}
        else:
            yield {"kind": "prepared", "runner": name, **facts}
            ready.append(name)
    for number in range(plan.rounds):
        tell(f"{title}: round {number + 1} of {plan.rounds}")
        yield from _round(number, ready, processes)
    yield {"kind": "done"}


def _round(number: int, ready: list[str], processes: Processes) -> Iterator[store.Line]:
    """A sample of each that is ready, each round first of another."""
    turn = number % max(1, len(ready))
    for name in [*ready[turn:], *ready[:turn]]:
        line = {"runner": name, "round": number}
        ok, answer = processes.ask(name, "sample")
        if ok:
            yield {"kind": "sample", **line, "seconds": answer}
        else:
            yield {"kind": "skipped", **line, "reason": answer}
            ready.remove(name)


def _prepare(
    processes: Processes, name: str, work: Work, expected: Expected
) -> tuple[str, dict[str, Any]]:
    """Why a runner is not timed, empty if it is, and its facts."""
    ok, answer = processes.ask(name, "prepare", work, processes.settings, expected)
    if not ok:
        return answer, {}
    budget = tolerance.budget(work.case.dtype, tf32=processes.settings.tf32)
    if not answer["error"] <= budget:
        error = f"{answer['tensor']} is {answer['error']:.3g} roundings from exact"
        return f"wrong: {error}, the budget is {budget:.0f}", answer
    return "", answer
