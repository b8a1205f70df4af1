"""`check --save`, `--against` and `--reduce`: files that a later check starts from."""

import argparse
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lstm_jax
from lstm_jax.terminal import printable
from parity.cli.check_file import Checked
from parity.cli.options import check_report
from parity.cli.progress import Progress
from parity.files.beside import write_bytes
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions
from parity.verify.reduced import reduce
from parity.verify.reduced.trial import Trial
from parity.verify.saved import compare_saved, golden_of, read, write

_SUFFIXES = {"save": (".npz",), "reduce": (".py",)}
# What is in a golden file, and is not asked for beside it.
_IN_THE_FILE = ("file", "random", "prefix", "dtype", "input", "batch_first", "start")
_IN_THE_FILE += ("seed", "save", "reduce")


def add_options(add: Callable[..., Any]) -> None:
    """Add the options of golden files and of the smallest failing case."""
    add(
        "--save",
        type=Path,
        metavar="NPZ",
        help="keep inputs and exact values, for --against",
    )
    add(
        "--against",
        type=Path,
        metavar="NPZ",
        help="judge JAX here by a file of --save, without torch",
    )
    add(
        "--reduce",
        type=Path,
        metavar="PY",
        help="write the smallest LSTM that fails as a script",
    )


def check_options(options: argparse.Namespace) -> None:
    """Refuse paths and options before anything is checked.

    Raises:
        ValueError: If a path cannot be written, or an option does nothing.
    """
    for name, suffixes in _SUFFIXES.items():
        path = getattr(options, name)
        if path is not None:
            check_report("check", name, path, suffixes, options.file or options.against)
    if options.against is None:
        return
    beside = [
        name for name in _IN_THE_FILE if getattr(options, name) not in (None, False)
    ]
    for name in beside:
        written = "FILE" if name == "file" else f"--{name.replace('_', '-')}"
        raise ValueError(
            f"check: {written} must not come with --against: weights, inputs and types "
            f"are those of {options.against}. Leave it out."
        )


def check_saved(
    options: argparse.Namespace,
    conditions: Conditions,
    progress: Progress,
    checked: Checked,
) -> None:
    """Check each LSTM of a golden file again.

    Raises:
        ValueError: If it is none.
        OSError: If it cannot be opened.
    """
    for golden in progress.over(read(options.against)):
        checked.reports.append(compare_saved(golden, conditions))


def write_files(
    options: argparse.Namespace, kept: list[Compared], conditions: Conditions
) -> Iterator[str]:
    """Write what --save and --reduce ask for; a line for each."""
    if options.save is not None:
        yield _saved(options.save, kept, conditions)
    if options.reduce is not None:
        yield _reduced(options.reduce, kept, conditions)


def _saved(path: Path, kept: list[Compared], conditions: Conditions) -> str:
    shown = printable(path, 1000)
    if not kept:
        return f"{shown} was not written: nothing was checked"
    facts = conditions.facts()
    made = {"lstm_jax": lstm_jax.__version__, "jax": facts["jax"]}
    if any(one.torch for one in kept):
        made["torch"] = version("torch")
    made["device"] = facts["device"]
    write(path, [golden_of(one, made) for one in kept])
    return f"saved: {shown}, {path.stat().st_size / 1e6:.1f} MB"


def _reduced(path: Path, kept: list[Compared], conditions: Conditions) -> str:
    failed = next((one for one in kept if one.wrong), None)
    if failed is None:
        return f"{printable(path, 1000)} was not written: nothing failed"
    what = Trial(failed.case, failed.problem.params, None, failed.problem.xs)
    found = reduce(what, conditions)
    write_bytes(path, found.script.encode())
    return f"reduced: {printable(path, 1000)}, after {found.tried} smaller LSTMs"
