"""`python -m parity bench`: verified, interleaved timings."""

import argparse
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from lstm_jax.terminal import Screen, text_table, width
from parity.bench.results import store, table
from parity.bench.results.steady import unsteady
from parity.bench.runners import (
    RUNNER_TAGS,
    RUNNERS,
    refuse_without_library,
    runners_of,
)
from parity.bench.settings import Settings
from parity.bench.timing.processes import rate_of
from parity.bench.timing.rounds import Plan, Tell, measure
from parity.bench.works import CASE_TAGS, MODES, works_of
from parity.cli.options import JSON, add_command, check_directory, check_report, count
from parity.cli.say import say
from parity.machine import cores_here, environment, gpu_name
from parity.report.plot import check_installed
from parity.verify.given import DTYPES

_DESCRIPTION = """Time LSTMs of several libraries on the same work. Each is compared
with the exact oracle first: one that is wrong is named, and not timed. Each
runs in a process of its own on the same cores, and they take turns: read
ratios, not times. Where other programs took the cores, or samples lie far
apart, it says so and gives no ratio.

exit code: 0 all that ran are right, 1 one is not, 2 bad use, or none ran"""

_EXAMPLES = """examples:
  python -m parity bench --quick                two cases, a minute
  python -m parity bench --json results.jsonl   goes on where it was
  python -m parity bench --case medium --mode backward --cores 1
  python -m parity bench --from results.jsonl --plot plots/
"""
_ROUNDS = 9
# Options that would do nothing to stored results, with their defaults.
_NOT_WITH_FROM = {
    **dict.fromkeys(("case", "runner", "mode", "cores", "rounds", "json")),
    "quick": False,
    "dtype": "float32",
    "device": "cpu",
    "precision": "highest",
}


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    add = add_command(
        commands,
        "bench",
        run,
        help="time LSTMs of several libraries on the same work",
        usage="python -m parity bench [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    _add_what(add)
    _add_how(add)


def _add_what(add: Callable[..., Any]) -> None:
    add("--quick", action="store_true", help="two cases, three runners, few rounds")
    add(
        "--case",
        action="append",
        metavar="NAME",
        help=f"a case or a tag ({', '.join(CASE_TAGS)}); may be repeated",
    )
    add(
        "--runner",
        action="append",
        metavar="NAME",
        help=f"a library or a tag ({', '.join(RUNNER_TAGS)}); may be repeated",
    )
    add("--mode", action="append", choices=MODES, help="may be repeated")
    types = ", ".join(DTYPES)
    add("--dtype", default="float32", choices=DTYPES, metavar="TYPE", help=types)
    add("--list", action="store_true", help="list cases and runners")


def _add_how(add: Callable[..., Any]) -> None:
    add("--device", default="cpu", choices=("cpu", "gpu"))
    add("--cores", type=count, metavar="N", help="of each runner; all if not given")
    add(
        "--precision",
        default="highest",
        choices=("highest", "default"),
        metavar="P",
        help="highest, or default: TF32 on a GPU, for every runner",
    )
    add("--rounds", type=count, metavar="N", help=f"samples of each; {_ROUNDS}")
    add("--json", type=Path, metavar="PATH", help="append every sample to a file")
    add("--from", dest="source", type=Path, metavar="PATH", help="show stored results")
    add("--plot", type=Path, metavar="DIR", help="draw what is shown into a directory")


def run(options: argparse.Namespace) -> int:
    """Run the command; 1 if a runner gave wrong numbers."""
    console = Screen()
    if options.list:
        return _list(console)
    _refuse_beside_from(options)
    _check_paths(options)
    measurements = _read_stored(options) if options.source else _measured(options)
    _print_tables(measurements, console)
    if options.plot:
        _draw(measurements, options.plot, console)
    wrong = [
        one
        for measurement in measurements
        for one in measurement.runners.values()
        if one.wrong
    ]
    return 1 if wrong else 0


def _draw(
    measurements: list[store.Measurement], directory: Path, console: Screen
) -> None:
    """Draw what can be drawn, and say where it is, or why there is nothing."""
    from parity.bench.results.plots import draw, why_nothing

    paths = draw(measurements, directory)
    for path in paths:
        console.print(f"plot: {path}")
    if not paths:
        console.print(f"plot: nothing is drawn: {why_nothing(measurements)}")


def _refuse_beside_from(options: argparse.Namespace) -> None:
    for name, default in _NOT_WITH_FROM.items():
        if options.source and getattr(options, name) != default:
            raise ValueError(
                f"bench: --{name} must not come with --from: stored results are shown "
                "as they are. Leave out one."
            )


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse what cannot be written before anything is measured."""
    if options.json:
        check_report("bench", "json", options.json, (".jsonl", *JSON))
    if options.plot:
        check_installed("bench", options.plot)
        check_directory("bench", "plot", options.plot)


def _print_tables(measurements: list[store.Measurement], console: Screen) -> None:
    for measurement in measurements:
        if warning := unsteady(measurement):
            console.print(warning)
        title, shown = table.title(measurement), table.table(measurement)
        console.print(text_table(title, *shown, width=width()))
        for line in table.left_out(measurement):
            console.print(line)
    for sentence in (table.legend(measurements), *table.sentences(measurements)):
        console.print(sentence)


def _list(console: Screen) -> int:
    for tag, cases in CASE_TAGS.items():
        console.print(f"{tag}: {', '.join(cases)}")
    console.print(f"runners: {', '.join(RUNNERS)}")
    for tag, runners in RUNNER_TAGS.items():
        console.print(f"runners {tag}: {', '.join(runners)}")
    return 0


def _read_stored(options: argparse.Namespace) -> list[store.Measurement]:
    measurements = store.measurements(store.read_lines(options.source))
    if not measurements:
        raise ValueError(
            f"bench: --from {options.source} must hold a finished measurement: it has "
            "none. Give a file that `bench --json` wrote."
        )
    return measurements


def _measured(options: argparse.Namespace) -> list[store.Measurement]:
    plan = _plan(options)
    try:
        with _progress() as tell:
            measurements = measure(plan, lambda: _run_line(options, plan), tell)
    except KeyboardInterrupt:
        if plan.path:
            so_far = f"the results so far are in {plan.path}"
            _say(f"{so_far}: the same command goes on from there")
        raise
    table.refuse_none(plan.runners, measurements)
    if older := table.other_commits(measurements, _commit()):
        _say(
            f"{plan.path} has results of {older}: these were not measured again. Give "
            "another file to do so."
        )
    return measurements


def _run_line(options: argparse.Namespace, plan: Plan) -> store.Line:
    """The line of this run: the machine, the versions, the settings."""
    settings = plan.settings
    rate = rate_of(settings, options.dtype)  # where there is no GPU, this says so
    refuse_without_library(plan.runners)
    return {
        "kind": "run",
        "environment": environment() | _gpu(settings),
        "commit": _commit(),
        "command": options.command,
        "settings": asdict(settings),
        "product_rate": rate,
    }


def _gpu(settings: Settings) -> dict[str, str]:
    """The name of the GPU, if it runs on one: torch and jax take the same."""
    return {"gpu": gpu_name()} if settings.device == "gpu" else {}


@contextmanager
def _progress() -> Iterator[Tell]:
    """Tell what is done: in one line on a terminal, else in one for each work."""
    console = Screen(stderr=True)
    if console.is_terminal:
        with console.status("starting") as shown:
            yield lambda text: shown.update(escape(text))
        return
    told = set()

    def tell(text: str) -> None:
        work = text.partition(":")[0]
        if work not in told:
            told.add(work)
            console.print(work)

    yield tell


def _say(sentence: str) -> None:
    say(f"bench: {sentence}")


def _plan(options: argparse.Namespace) -> Plan:
    available = cores_here()
    cores = len(available) if options.cores is None else options.cores
    if cores > len(available):
        raise ValueError(
            f"bench: --cores {cores} must be at most {len(available)}: these are the "
            "cores of this process. Give fewer."
        )
    quick = ["quick"] if options.quick else []
    cases = options.case or quick or ["default"]
    return Plan(
        works=works_of(cases, options.mode, options.dtype),
        runners=runners_of(options.runner or quick or [options.device]),
        settings=Settings(
            device=options.device,
            cores=cores,
            precision=options.precision,
            seconds=0.05 if options.quick else 0.1,
        ),
        rounds=options.rounds or (5 if options.quick else _ROUNDS),
        path=options.json,
    )


def _commit() -> str:
    """The commit of this source tree, if git knows one."""
    root = Path(__file__).parent.parent
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
