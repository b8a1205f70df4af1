"""`python -m parity check`: torch against JAX, by an exact oracle."""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from lstm_jax.terminal import Screen, printable, text_table, width
from parity.cli import golden
from parity.cli.check_file import Checked, check_file
from parity.cli.options import (
    JSON,
    add_command,
    check_report,
    count,
    whole,
)
from parity.cli.progress import Progress
from parity.cli.say import say
from parity.files.beside import write_bytes
from parity.judge.cases import CASES
from parity.judge.draws import DRAWS_PER_SHAPE, random_case
from parity.report import plot
from parity.report.decision import decision
from parity.report.page import page
from parity.report.report import Report
from parity.report.rows import FAIL, NOTHING
from parity.report.summary import summary
from parity.show import roundings
from parity.verify.compare import check_case
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions, forget
from parity.verify.given import DTYPES

_DESCRIPTION = """Compare torch's LSTM with ours: outputs, states and every gradient,
in roundings of the type, judged by an exact oracle. Without FILE: the built-in cases.
Where torch is not installed, ours is compared with the oracle, and the report says so.

exit code: 0 all is within the budget, 1 something is not, 2 bad use, an unreadable
file, or an LSTM that cannot be checked or has nothing to tell: no row or time step
ran, or its gates are saturated (the others are checked first), 130 interrupted"""

_EXAMPLES = """examples:
  python -m parity check --html report.html
  python -m parity check model.safetensors --prefix encoder.lstm.
  python -m parity check model.pt --input speech.npy --batch-first
  python -m parity check --random 300 --seed 1 --json report.json
  python -m parity check model.safetensors --save here.npz
  python -m parity check --against here.npz
"""
_NEEDS = {"prefix": "file", "dtype": "file", "input": "file"}
_NEEDS |= {"batch_first": "input", "start": "random"}
_SUFFIXES = {"json": JSON, "html": (".html", ".htm"), "plot": plot.SUFFIXES}
_SCREEN = Path("-")  # for --json: print it, and everything else to the standard error


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
    golden.add_options(add)
    add("--json", type=Path, metavar="PATH", help="write every row; - is the screen")
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
    golden.check_options(options)
    _refuse_unused(options)
    _check_paths(options)
    progress, device = Progress("check"), _device(options.device)
    kept: list[Compared] = []
    conditions = Conditions(
        precision=options.precision,
        device=device,
        tell=progress.tell,
        keep=kept.append if options.save or options.reduce else forget,
    )
    screen = Screen(stderr=options.json == _SCREEN)
    checked, interrupted = Checked(), False
    try:
        with progress.shown():
            _check(checked, options, conditions, progress, screen.print)
    except KeyboardInterrupt:
        checked.problems.append(progress.interrupted())
        interrupted = True
    _conclude(checked.reports, screen, options)
    _write_all(options, checked, screen)
    conditions = replace(conditions, keep=forget)
    for line in golden.write_files(options, kept, conditions):
        screen.print(line)
    for sentence in checked.problems:
        say(printable(sentence, 2000))
    return 130 if interrupted else _exit_code(checked)


def _exit_code(checked: Checked) -> int:
    verdicts = {report.verdict for report in checked.reports}
    if checked.problems or verdicts == {NOTHING}:
        return 2
    return 1 if FAIL in verdicts else 0


def _check(
    checked: Checked,
    options: argparse.Namespace,
    conditions: Conditions,
    progress: Progress,
    show: Callable[[str], None],
) -> None:
    """Check what is asked for; what is done is kept if it is interrupted."""
    if options.against is not None:
        golden.check_saved(options, conditions, progress, checked)
    elif options.file is not None:
        check_file(options, conditions, progress, checked, show)
    elif options.random:
        _check_random(options, conditions, progress, checked, show)
    else:
        for case in progress.over(CASES):
            checked.reports.append(check_case(case, **vars(conditions)))


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse what cannot or should not be written before anything is checked."""
    given = {name: getattr(options, name) for name in _SUFFIXES}
    given = {name: path for name, path in given.items() if path is not None}
    if given.get("json") == _SCREEN:
        del given["json"]
    for name, path in given.items():
        check_report("check", name, path, _SUFFIXES[name], options.file)
    if options.plot:
        plot.check_installed("check", options.plot)


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


def _print_cases(reports: list[Report], show: Callable[[str], None]) -> None:
    """A line for each case."""
    torch = any("torch" in report.sides for report in reports)
    title = "Error in roundings of the type (budget 32, half types 4)"
    header = ["case", "ys", "h_n, c_n", "d_xs, d_h0, d_c0", "d_params"]
    header += [*["torch's worst"] * torch, ""]
    lines = [_case_line(report, torch) for report in reports]
    show(text_table(title, header, lines, width()))


def _case_line(report: Report, torch: bool) -> list[str]:
    groups = (("ys",), ("h_n", "c_n"), ("d_xs", "d_h0", "d_c0"), ("d_weight", "d_bias"))
    errors = [roundings(report.worst_of(group)[0]) for group in groups]
    own = [roundings(report.worst_of(("",))[1])] * torch
    return [report.title, *errors, *own, report.verdict]


def _check_random(
    options: argparse.Namespace,
    conditions: Conditions,
    progress: Progress,
    checked: Checked,
    show: Callable[[str], None],
) -> None:
    start = options.start or 0
    for index in progress.over(range(start, start + options.random)):
        if index % DRAWS_PER_SHAPE == 0:
            jax.clear_caches()  # no later draw has these sizes
        case = random_case(options.seed, index)
        checked.reports.append(check_case(case, **vars(conditions)))
        if checked.reports[-1].verdict == FAIL:
            again = f"--random 1 --seed {options.seed} --start {index}"
            show(f"python -m parity check {again}")


def _conclude(
    reports: list[Report], screen: Screen, options: argparse.Namespace
) -> None:
    """The failures in full, unless they were shown, then one line for all."""
    if not reports:
        return
    if options.file is None:
        if not options.random:
            _print_cases(reports, screen.print)
        for report in [one for one in reports if one.verdict == FAIL][:3]:
            screen.print(report.text(width()))
        for name, words in decision(reports).items():
            screen.print(f"{name}: {words}")
    screen.print(summary(reports).sentence())


def _write_all(options: argparse.Namespace, checked: Checked, screen: Screen) -> None:
    """Write what was asked for, and say where it is."""
    reports = checked.reports
    contents = (
        (options.json, lambda: _json(reports).encode()),
        (options.html, lambda: page(reports, checked.problems, options.command)),
        (options.plot, lambda: plot.figure(reports, options.plot.suffix)),
    )
    for path, content in contents:
        if path == _SCREEN:
            Screen().out(_json(reports), highlight=False)
        elif path is not None:
            made = content()
            write_bytes(path, made if isinstance(made, bytes) else made.encode())
            screen.print(f"report: {printable(path, 1000)}")


def _json(reports: list[Report]) -> str:
    return json.dumps([json.loads(report.to_json()) for report in reports], indent=1)
