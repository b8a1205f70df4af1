"""The rounds: every runner is verified, then all are timed in turn.

Each round asks all of them for a sample, and begins with another of them: a machine
that slows down slows all.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parity.bench.expected import Expected
from parity.bench.results import store
from parity.bench.runners import RUNNERS
from parity.bench.settings import Settings
from parity.bench.timing.ahead import Expect, expecting
from parity.bench.timing.processes import Processes
from parity.bench.works import Work
from parity.judge import tolerance

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and where to keep it."""

    works: list[Work]
    runners: list[str]
    settings: Settings
    rounds: int
    path: Path | None = None


def measure(
    plan: Plan, describe: Callable[[], store.Line], tell: Tell
) -> list[store.Measurement]:
    """Measure what is not measured yet, and return all measurements of the plan.

    `describe` gives the line of the run, and is called if something is to be measured.
    Every line is written as soon as it is known, so an interruption keeps what is done.
    """
    before = store.read_to_continue(plan.path) if plan.path else []
    finished = {
        measurement.identity: measurement for measurement in store.measurements(before)
    }
    old = {work: _finished(work, plan, finished) for work in plan.works}
    missing = [work for work, measurement in old.items() if measurement is None]
    if not missing:
        return [measurement for measurement in old.values() if measurement]
    run = describe()
    store.append(plan.path, run)
    with ExitStack() as stack:
        expect = stack.enter_context(expecting(missing, _ahead(plan.settings)))
        processes = Processes(plan.runners, plan.settings)
        _ = stack.callback(processes.close)
        for work in missing:
            lines = _storing(_measure(work, plan, processes, expect, tell), plan.path)
            old[work] = store.measurements([run, *lines])[0]
    return [measurement for measurement in old.values() if measurement]


def _finished(
    work: Work, plan: Plan, finished: Mapping[tuple[Any, ...], store.Measurement]
) -> store.Measurement | None:
    """The stored measurement of a work, if it has all that the plan asks for."""
    measurement = finished.get(tuple(_identity(work, plan.settings).values()))
    seconds = plan.settings.seconds
    if not measurement or not measurement.covers(plan.runners, plan.rounds, seconds):
        return None
    again = any(_installed_since(measurement, name) for name in plan.runners)
    return None if again else measurement


def _installed_since(measurement: store.Measurement, name: str) -> bool:
    """Whether a runner was left out for a library that is there now."""
    library = RUNNERS[name].library
    return library.absent in measurement.runners[name].skipped and not library.missing()


def _ahead(settings: Settings) -> int:
    """How many processes may run the oracle while runners are timed."""
    return max(1, settings.cores // 4) if settings.device == "gpu" else 0


def _storing(lines: Iterator[store.Line], path: Path | None) -> Iterator[store.Line]:
    """The lines of a work, each stored as soon as it is known."""
    for line in lines:
        store.append(path, line)
        yield line


def _identity(work: Work, settings: Settings) -> dict[str, Any]:
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
    """The lines of a work: each runner is made ready and verified, then the rounds."""
    title = f"{work.case.name}, {work.mode}"
    yield {"kind": "work", **_identity(work, plan.settings), "flops": work.flops}
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
    """A sample of each runner that is ready; each round begins with another."""
    turn = number % max(1, len(ready))
    for name in [*ready[turn:], *ready[:turn]]:
        line = {"runner": name, "round": number}
        ok, answer = processes.ask(name, "sample")
        if ok:
            yield {"kind": "sample", **line, **answer}
        else:
            yield {"kind": "skipped", **line, "reason": answer}
            ready.remove(name)


def _prepare(
    processes: Processes, name: str, work: Work, expected: Expected
) -> tuple[str, dict[str, Any]]:
    """Why a runner is not timed, empty if it is, and the facts of its program."""
    ok, answer = processes.ask(name, "prepare", work, processes.settings, expected)
    if not ok:
        return answer, {}
    budget = tolerance.budget(work.case.dtype, tf32=processes.settings.tf32)
    if not answer["error"] <= budget:
        error = f"{answer['tensor']} is {answer['error']:.3g} roundings from exact"
        return f"wrong: {error}, the budget is {budget:.0f}", answer
    return "", answer
