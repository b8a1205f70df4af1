"""`python -m parity check`: torch against JAX, by an exact oracle."""

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import track

import parity
from parity.cases import CASES, DRAWS_PER_SHAPE, random_case
from parity.convert.files import read
from parity.report import Report, number, table

_DESCRIPTION = """Compare torch's LSTM with ours: outputs, states and every gradient,
in units of rounding, judged by an exact oracle. Without FILE: the built-in cases.

exit code: 0 all within the budget, 1 something is not, 2 bad use or unreadable file"""

_EXAMPLES = """examples:
  python -m parity check
  python -m parity check model.safetensors --prefix encoder.lstm.
  python -m parity check --random 300 --seed 1 --json report.json
"""


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "check",
        help="compare torch with JAX: outputs, states and every gradient",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="a .safetensors or torch state dict")
    add("--prefix", help="check the LSTM at this prefix in FILE alone")
    add("--dtype", choices=parity.DTYPES, help="type for FILE: float32 if not given")
    add("--random", type=_count, metavar="N", help="check N drawn sizes and weights")
    add("--seed", type=_number, default=0, metavar="S", help="of the draws and inputs")
    add("--start", type=_number, metavar="K", help="the first draw's number")
    add("--device", help="jax's name of the device kind: cpu, gpu or tpu")
    add(
        "--precision",
        default="highest",
        choices=("highest", "high", "default"),
        help="of JAX's products; below highest a device may round them to fewer bits",
    )
    add("--json", type=Path, metavar="PATH", help="write every row to a file")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    _refuse_unused(options)
    if options.json:
        _check_writable(options.json)
    settings = {"precision": options.precision, "device": _device(options.device)}
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if options.file is not None:
        reports = _check_file(options, settings, console)
    elif options.random:
        reports = _check_random(options, settings, console)
    else:
        reports = _check_cases(settings, console)
    if options.json:
        _write_json(options.json, reports)
        console.print(f"report: {options.json}")
    return 0 if all(report.ok for report in reports) else 1


def _number(text: str, least: int = 0) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"{text!r} must be a whole number of {least} or more"
        )
    return int(text)


def _count(text: str) -> int:
    return _number(text, least=1)


def _refuse_unused(options: argparse.Namespace) -> None:
    """Refuse options that would do nothing."""
    if options.file is not None and options.random:
        raise ValueError(
            "check: FILE and --random must not both be given: a draw has its own "
            "weights. Leave out one."
        )
    for name, needed in (("prefix", "file"), ("dtype", "file"), ("start", "random")):
        if getattr(options, name) is not None and getattr(options, needed) is None:
            needs = "FILE" if needed == "file" else "--random"
            raise ValueError(
                f"check: --{name} must come with {needs}: it does nothing without. "
                "Leave it out."
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


def _check_cases(settings: dict[str, Any], console: Console) -> list[Report]:
    reports = [
        parity.check_case(case, **settings) for case in _progress(CASES, "checking")
    ]
    title = "Error in roundings of the type (budget 32, half types 4); torch: its worst"
    header = ("case", "ys", "h_n, c_n", "d_xs, d_h0, d_c0", "d_params", "torch", "")
    console.print(table(title, header, [_case_line(report) for report in reports]))
    _conclude(reports, console)
    return reports


def _case_line(report: Report) -> list[str]:
    groups = (("ys",), ("h_n", "c_n"), ("d_xs", "d_h0", "d_c0"), ("d_weight", "d_bias"))
    errors = [number(report.worst_of(group)[0]) for group in groups]
    torch = number(report.worst_of(("",))[1])
    return [report.title, *errors, torch, "ok" if report.ok else "FAIL"]


def _check_file(
    options: argparse.Namespace, settings: dict[str, Any], console: Console
) -> list[Report]:
    tensors = read(options.file).tensors
    prefix = options.prefix
    if prefix and not prefix.endswith("."):
        prefix = f"{prefix}."
    found = parity.find_lstms(tensors, prefix)
    if not found:
        at = "" if prefix is None else f" at prefix {prefix!r}"
        names = ", ".join(sorted(tensors)[:6]) or "nothing"
        raise ValueError(
            f"check: {options.file} must hold an LSTM{at}: weights named as in torch, "
            f"weight_ih_l0 or weight_ih. It holds {names}. Give another file or prefix."
        )
    reports = []
    for one in found:
        report = parity.check(
            one.lstm_params,
            dtype=options.dtype or "float32",
            seed=options.seed,
            **settings,
        )
        title = f"{one.kind} at {one.prefix!r} in {options.file}: {one.sizes()}"
        reports.append(replace(report, title=title))
        console.print(str(reports[-1]))
    _conclude(reports, console, detailed=True)
    return reports


def _check_random(
    options: argparse.Namespace, settings: dict[str, Any], console: Console
) -> list[Report]:
    start = options.start or 0
    draws = range(start, start + options.random)
    reports = []
    for index in _progress(draws, "drawing"):
        if index % DRAWS_PER_SHAPE == 0:
            jax.clear_caches()  # no later draw has these sizes
        reports.append(parity.check_case(random_case(options.seed, index), **settings))
        if not reports[-1].ok:
            again = f"--random 1 --seed {options.seed} --start {index}"
            console.print(f"python -m parity check {again}")
    _conclude(reports, console)
    return reports


def _conclude(reports: list[Report], console: Console, detailed: bool = False) -> None:
    """The failures in full, then one line for all."""
    wrong = [report for report in reports if not report.ok]
    for report in [] if detailed else wrong[:3]:
        console.print(str(report))
    rows = [row for report in reports for row in report.rows]
    worst = max((row.error for row in rows), default=math.nan)
    torch = max((row.torch for row in rows if row.torch is not None), default=None)
    verdict = "FAIL" if wrong else "ok"
    console.print(
        f"{verdict}: {len(reports) - len(wrong)} of {len(reports)} LSTMs and "
        f"{sum(row.ok for row in rows)} of {len(rows)} comparisons within "
        f"budget; worst {number(worst)}, torch's own worst {number(torch)}, "
        f"geometric mean of ours over torch's {_ratio(rows):.2f}"
    )


def _ratio(rows: Iterable[parity.Row]) -> float:
    return Report("", list(rows)).ratio_to_torch()


def _progress(items: Any, what: str) -> Iterator[Any]:
    """The items, with a bar on a terminal's standard error."""
    console = Console(stderr=True)
    yield from track(items, what, console=console, disable=not console.is_terminal)


def _check_writable(path: Path) -> None:
    """Refuse a path for --json before the check runs, not after."""
    if path.is_dir():
        raise ValueError(
            f"check: --json {path} must be a file: it is a directory. Name one in it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)


def _write_json(path: Path, reports: list[Report]) -> None:
    """Write beside and rename; a device or a pipe is written to as it is."""
    text = json.dumps([json.loads(report.to_json()) for report in reports], indent=1)
    if path.exists() and not path.is_file():
        _ = path.write_text(text + "\n", encoding="utf8")
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.part")
    try:
        _ = beside.write_text(text + "\n", encoding="utf8")
        _ = beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
