"""`python -m parity check`: torch against JAX, by an exact oracle."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import track

from parity.cli.check_file import check_file
from parity.cli.options import add_command, check_writable, count, whole
from parity.files.beside import write_bytes
from parity.judge.cases import CASES
from parity.judge.draws import DRAWS_PER_SHAPE, random_case
from parity.report import plot
from parity.report.page import page
from parity.report.report import Report
from parity.report.summary import summary
from parity.show import printable, roundings, text_table
from parity.verify.verify import DTYPES, Conditions, check_case

_DESCRIPTION = """Compare torch's LSTM with ours: outputs, states and every gradient,
in roundings of the type, judged by an exact oracle. Without FILE: the built-in cases.

exit code: 0 all is within the budget, 1 something is not, 2 bad use, an unreadable
file, or an LSTM in it that cannot be checked (the others are checked first)"""

_EXAMPLES = """examples:
  python -m parity check --html report.html
  python -m parity check model.safetensors --prefix encoder.lstm.
  python -m parity check model.pt --input speech.npy --batch-first
  python -m parity check --random 300 --seed 1 --json report.json
"""
_NEEDS = {"prefix": "file", "dtype": "file", "input": "file"}
_NEEDS |= {"batch_first": "input", "start": "random"}


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    add = add_command(
        commands,
        "check",
        run,
        help="compare torch with JAX: outputs, states and every gradient",
        usage="python -m parity check [FILE] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    _add_what(add)
    _add_how(add)
    add("--json", type=Path, metavar="PATH", help="write every row to a file")
    add("--html", type=Path, metavar="PATH", help="write a page to look at")
    add("--plot", type=Path, metavar="PATH", help="write a figure: .png, .svg or .pdf")


def _add_what(add: Callable[..., Any]) -> None:
    add("file", nargs="?", metavar="FILE", help="weights of any format, as for inspect")
    add("--prefix", help="check only the LSTM at this prefix in FILE")
    add(
        "--dtype",
        choices=DTYPES,
        metavar="TYPE",
        help=f"{', '.join(DTYPES)}; if not given: FILE's own type, then float64",
    )
    add("--input", metavar="NPY", help="sequences (T, *B, I) in place of random ones")
    add(
        "--batch-first",
        action="store_true",
        help="the sequences of --input are (*B, T, I)",
    )
    add(
        "--random",
        type=count,
        metavar="N",
        help="check N LSTMs of drawn sizes and weights",
    )
    add("--seed", type=whole, default=0, metavar="S", help="of the draws and inputs")
    add("--start", type=whole, metavar="K", help="the first draw's number")


def _add_how(add: Callable[..., Any]) -> None:
    add("--device", metavar="KIND", help="jax's name for it: cpu, gpu or tpu")
    add(
        "--precision",
        default="highest",
        choices=("highest", "high", "default"),
        metavar="P",
        help="of JAX's products; high and default may round more (default: highest)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _refuse_unused(options)
    for name in ("json", "html", "plot"):
        if getattr(options, name):
            check_writable("check", name, getattr(options, name))
    if options.plot:
        plot.check_suffix(options.plot)
        plot.check_installed("check", options.plot)
    device = _device(options.device)
    conditions = Conditions(precision=options.precision, device=device)
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    problems: list[str] = []
    if options.file is not None:
        checked = check_file(options, vars(conditions), _progress, console.print)
        reports, problems = checked.reports, checked.problems
    elif options.random:
        reports = _check_random(options, conditions, console)
    else:
        reports = _check_cases(conditions, console)
    _conclude(reports, console, detailed=options.file is not None)
    _write_all(options, reports, problems, console)
    for sentence in problems:
        print(f"lstm-parity: {printable(sentence, 2000)}", file=sys.stderr)  # noqa: T201
    if problems:
        return 2
    return 0 if all(report.ok for report in reports) else 1


def _refuse_unused(options: argparse.Namespace) -> None:
    """Refuse options that would do nothing."""
    if options.file is not None and options.random:
        raise ValueError(
            "check: FILE and --random must not both be given: a draw has its own "
            "weights. Leave out one."
        )
    for name, needed in _NEEDS.items():
        missing = getattr(options, needed) is None
        if getattr(options, name) not in (None, False) and missing:
            needs = "FILE" if needed == "file" else f"--{needed}"
            raise ValueError(
                f"check: --{name.replace('_', '-')} must come with {needs}: it does "
                "nothing by itself. Leave it out."
            )


def _device(name: str | None) -> Any:
    if name is None:
        return None
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        kinds = sorted({device.platform for device in jax.devices()})
        raise ValueError(
            f"check: --device {name} must be a kind that jax has here: it has "
            f"{', '.join(kinds)}. Use one of these."
        ) from error


def _check_cases(conditions: Conditions, console: Console) -> list[Report]:
    cases = _progress(CASES, "checking")
    reports = [check_case(case, **vars(conditions)) for case in cases]
    title = "Error in roundings of the type (budget 32, half types 4); torch: its worst"
    header = ("case", "ys", "h_n, c_n", "d_xs, d_h0, d_c0", "d_params", "torch", "")
    console.print(text_table(title, header, [_case_line(report) for report in reports]))
    return reports


def _case_line(report: Report) -> list[str]:
    groups = (("ys",), ("h_n", "c_n"), ("d_xs", "d_h0", "d_c0"), ("d_weight", "d_bias"))
    errors = [roundings(report.worst_of(group)[0]) for group in groups]
    torch = roundings(report.worst_of(("",))[1])
    return [report.title, *errors, torch, "ok" if report.ok else "FAIL"]


def _check_random(
    options: argparse.Namespace, conditions: Conditions, console: Console
) -> list[Report]:
    start = options.start or 0
    draws = range(start, start + options.random)
    reports = []
    for index in _progress(draws, "drawing"):
        if index % DRAWS_PER_SHAPE == 0:
            jax.clear_caches()  # no later draw has these sizes
        case = random_case(options.seed, index)
        reports.append(check_case(case, **vars(conditions)))
        if not reports[-1].ok:
            again = f"--random 1 --seed {options.seed} --start {index}"
            console.print(f"python -m parity check {again}")
    return reports


def _conclude(reports: list[Report], console: Console, detailed: bool) -> None:
    """Print the failures in full, unless they were shown, then one line for all."""
    wrong = [report for report in reports if not report.ok]
    for report in [] if detailed else wrong[:3]:
        console.print(str(report))
    if reports:
        console.print(summary(reports).sentence())


def _progress(items: Any, what: str) -> Iterator[Any]:
    """The items, with a bar on a terminal's standard error."""
    console = Console(stderr=True)
    yield from track(items, what, console=console, disable=not console.is_terminal)


def _write_all(
    options: argparse.Namespace,
    reports: list[Report],
    problems: list[str],
    console: Console,
) -> None:
    """Write what was asked for, and say where it is."""
    contents = (
        (options.json, lambda: _json(reports).encode()),
        (options.html, lambda: page(reports, problems, options.command).encode()),
        (options.plot, lambda: plot.figure(reports, options.plot.suffix)),
    )
    for path, content in contents:
        if path is not None:
            write_bytes(path, content())
            console.print(f"report: {printable(path, 1000)}")


def _json(reports: list[Report]) -> str:
    return json.dumps([json.loads(report.to_json()) for report in reports], indent=1)
