"""`python -m parity train`: the same training in torch and in JAX, step by step."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lstm_jax.terminal import Screen, jsonable, printable, text_table, width
from parity.cli.options import JSON, add_command, check_report, whole
from parity.cli.progress import Progress
from parity.cli.say import say
from parity.files.beside import write_bytes
from parity.machine import need_torch
from parity.report import plot
from parity.training import drawing
from parity.training.check import (
    DTYPES,
    MOST_SEED,
    MOST_STEPS,
    compare,
    conditioned,
    ours_of,
)
from parity.training.mistakes import MISTAKES, Mistake, named
from parity.training.recipe import USUAL, usual
from parity.training.report import TrainingReport
from parity.training.work import MODELS, STEPS

_DESCRIPTION = """Train the same model in torch and in JAX, from the same weights, on
the same batches, and compare the loss and every weight of every step. In float64 all
must be within 1e-10; in float32 JAX may be twice as far from torch's float64 as torch's
own float32 is. Where they part, it names the step, the parameter and the mistake.

exit code: 0 all is within the budget, 1 something is not, 2 bad use, or torch or the
extra train is not installed, 130 interrupted"""

_EXAMPLES = """examples:
  python -m parity train
  python -m parity train --optimizer adamw --model dropout --plot adamw.png
  python -m parity train --optimizer adam --mistake "one bias"
  python -m parity train --list
"""
_SCREEN = Path("-")  # for --json: print it, and everything else to the standard error


@dataclass(frozen=True)
class Case:
    """An optimizer, a model and a type, and the mistake that JAX trains with."""

    optimizer: str
    model: str
    dtype: str
    mistake: Mistake | None

    @property
    def title(self) -> str:
        """What is trained, for a reader."""
        spoilt = [] if self.mistake is None else [f"mistake {self.mistake.name}"]
        return ", ".join([self.optimizer, self.model, self.dtype, *spoilt])


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    add = add_command(
        commands,
        "train",
        run,
        help="the same training in torch and in JAX: losses and weights of each step",
        usage="python -m parity train [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    for name, known in (("optimizer", USUAL), ("model", MODELS), ("dtype", DTYPES)):
        listed = ", ".join(known)
        add(
            f"--{name}",
            action="append",
            choices=list(known),
            metavar="NAME",
            help=f"{listed}; may be repeated; all if not given",
        )
    for name, least, most, default, text in (
        ("steps", 1, MOST_STEPS, STEPS, f"of each; {STEPS}"),
        ("seed", 0, MOST_SEED, 0, "of weights and batches"),
    ):
        number = partial(whole, least=least, most=most)
        letter = name[0].upper()
        add(f"--{name}", type=number, default=default, metavar=letter, help=text)
    add("--mistake", metavar="NAME", help="train JAX with a known mistake, see --list")
    add("--list", action="store_true", help="list optimizers, models and mistakes")
    add("--json", type=Path, metavar="PATH", help="write every step; - is the screen")
    add("--plot", type=Path, metavar="PATH", help="write a figure: .png, .svg or .pdf")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    screen = Screen(stderr=options.json == _SCREEN)
    if options.list:
        return _list(screen)
    _check_paths(options)
    cases = _cases(options)
    need_torch("train", "it trains beside JAX")
    progress = Progress("train")
    reports: list[TrainingReport] = []
    interrupted = False
    try:
        with progress.shown():
            for case in progress.over(cases):
                progress.tell(case.title, 0.0)
                reports.append(_trained(case, options))
    except KeyboardInterrupt:
        say(progress.interrupted())
        interrupted = True
    if reports:
        _conclude(reports, screen.print)
        _write(options, reports, screen)
    if interrupted:
        return 130
    return 0 if all(report.ok for report in reports) else 1


def _trained(case: Case, options: argparse.Namespace) -> TrainingReport:
    recipe = usual(case.optimizer)
    ours = recipe if case.mistake is None else case.mistake.changed(recipe)
    work = conditioned(case.model, recipe, case.dtype, options.steps, options.seed)
    return compare(case.title, work, recipe, case.dtype, ours_of(ours))


def _cases(options: argparse.Namespace) -> list[Case]:
    """What is asked for; a mistake leaves out what it makes no difference to.

    Raises:
        ValueError: If it makes none to anything.
    """
    mistake = None if options.mistake is None else named(options.mistake)
    cases = [
        Case(optimizer, model, dtype, mistake)
        for model in options.model or MODELS
        for optimizer in options.optimizer or USUAL
        for dtype in options.dtype or DTYPES
    ]
    kept = [
        case
        for case in cases
        if mistake is None or mistake.applies(usual(case.optimizer), case.dtype)
    ]
    if not kept:
        raise ValueError(
            f"train: --mistake {options.mistake!r} must come with another optimizer or "
            "type: it makes no difference to these. Leave out --optimizer and --dtype."
        )
    return kept


def _check_paths(options: argparse.Namespace) -> None:
    """Refuse what cannot be written before anything is trained."""
    for name, suffixes in (("json", JSON), ("plot", plot.SUFFIXES)):
        path = getattr(options, name)
        if path is not None and (name, path) != ("json", _SCREEN):
            check_report("train", name, path, suffixes)
    if options.plot:
        plot.check_installed("train", options.plot)


def _list(screen: Screen) -> int:
    for name in USUAL:
        screen.print(f"optimizer {usual(name).text()}")
    for name, options in MODELS.items():
        said = ", ".join(f"{key} {value}" for key, value in options.items())
        screen.print(f"model {name}{f': {said}' if said else ''}")
    for mistake in MISTAKES:
        screen.print(f"mistake {mistake.name}: {mistake.says}")
    return 0


def _conclude(reports: list[TrainingReport], show: Callable[[str], None]) -> None:
    """A line for each case, the failures in sentences, then one line for all."""
    steps = reports[0].steps
    title = (
        f"Largest relative distance from torch's float64 over {steps} steps (budget "
        "1e-10; in float32 twice the largest of torch's own)"
    )
    header = ["case", "loss", "budget", "weights", "budget", "clipped", ""]
    show(text_table(title, header, [_line(one) for one in reports], width()))
    wrong = [report for report in reports if not report.ok]
    for report in wrong:
        show(f"{report.title}: {' '.join(report.messages())}")
    right = len(reports) - len(wrong)
    verdict = wrong[0].verdict if wrong else "ok"
    show(f"{verdict}: {right} of {len(reports)} trainings are torch's")


def _line(report: TrainingReport) -> list[str]:
    numbers = (
        report.far.loss.max(),
        report.budget.loss,
        report.far.worst.max(),
        report.budget.weights,
    )
    clipped = f"{report.clipped} steps"
    return [report.title, *(f"{n:.1e}" for n in numbers), clipped, report.verdict]


def _write(
    options: argparse.Namespace, reports: list[TrainingReport], screen: Screen
) -> None:
    """Write what was asked for, and say where it is."""
    text = json.dumps(jsonable([report.to_dict() for report in reports]), indent=1)
    if options.json == _SCREEN:
        Screen().out(text, highlight=False)
    elif options.json is not None:
        write_bytes(options.json, text.encode())
        screen.print(f"report: {printable(options.json, 1000)}")
    if options.plot is not None:
        write_bytes(options.plot, drawing.figure(reports, options.plot.suffix))
        screen.print(f"report: {printable(options.plot, 1000)}")
