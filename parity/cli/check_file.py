"""`check FILE`: each LSTM of a file, in its own type and in float64."""

import argparse
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.terminal import printable, width
from parity.arrays import is_floating
from parity.cli.progress import Progress
from parity.cli.say import say
from parity.convert.find import Found, nothing_found, survey
from parity.convert.meaning import read_lstms
from parity.files.bounds import DamagedError
from parity.files.kinds.npz import read_npy
from parity.files.read import Contents
from parity.files.source import Unreadable, open_source
from parity.judge.cases import Case
from parity.judge.exact import seconds_needed
from parity.report.report import Report
from parity.report.rows import NOTHING
from parity.verify.compare import compare
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions, Keep
from parity.verify.given import DTYPES
from parity.verify.prepared import prepared
from parity.verify.runtimes import with_runtime

# A check that takes longer says so before it begins: seconds.
LONG = 60.0


@dataclass(frozen=True)
class Checked:
    """The reports, and a sentence for each LSTM without one: filled on the way."""

    reports: list[Report] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def problem(self, sentence: str) -> None:
        """Add a sentence, once."""
        if sentence not in self.problems:
            self.problems.append(sentence)


def check_file(
    options: argparse.Namespace,
    conditions: Conditions,
    progress: Progress,
    checked: Checked,
    show: Callable[[str], None],
) -> None:
    """Check each LSTM, and go on after one that cannot be checked.

    Raises:
        ValueError: If there is none, or the file or that of --input cannot be read.
    """
    contents = read_lstms(options.file)
    contents.check_read("check", options.file)
    found, broken = survey(contents.tensors, options.prefix)
    if not found and not broken:
        raise ValueError(nothing_found("check", options.file, contents, options.prefix))
    xs = None if options.input is None else _sequences(options)
    for one in broken:
        checked.problem(one.sentence())
    compared: list[Compared] = []
    conditions = replace(conditions, keep=_both(conditions.keep, compared))
    file = {"file": options.file, "sha256": digests(options.file, contents)}
    for one, dtype in progress.over(_checks(options, found, show)):
        _warn_if_long(one, dtype, xs)
        try:
            sizes = {"dtype": dtype, "seed": options.seed}
            what = prepared(one.lstm_params, None, xs, conditions.run, sizes)
            case = replace(what.case, name=_title(one, dtype, options.file))
            report = compare(case, conditions, what.right, None, what.xs)
            report = with_runtime(report, contents, one, compared[-1])
        except (ValueError, TypeError) as error:
            checked.problem(f"{one.title}: {str(error).removeprefix('check: ')}")
            continue
        finally:
            contents.release()
        facts = report.facts | {"lstm": one.title} | file
        checked.reports.append(replace(report, facts=facts))
        show(checked.reports[-1].text(width()))
        if report.verdict == NOTHING:
            checked.problem(f"{one.title}, {dtype}: {report.messages()[0]}")


def digests(file: str, contents: Contents) -> dict[str, str]:
    """SHA-256 of every file that the weights are in, by name."""
    path = Path(file)
    paths = [path] if path.is_file() else sorted(filter(Path.is_file, path.rglob("*")))
    paths += [source.path for source in contents.sources if source.path not in paths]
    return {
        str(one) if one == path else one.name: _digest(one)
        for one in dict.fromkeys(paths)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _warn_if_long(one: Found, dtype: str, xs: np.ndarray | None) -> None:
    """Say so before a check that takes long, by a step that is timed here."""
    sizes: dict[str, Any] = {}
    if xs is not None:
        sizes = {"steps": xs.shape[0], "batch": xs.shape[1:-1]}
    seconds = seconds_needed(Case.of(one.spec, name="", dtype=dtype, **sizes))
    if seconds >= LONG:
        say(
            f"check: {printable(one.title)}, {dtype}: the exact values take about "
            f"{_minutes(seconds)} on this machine, by a step that was timed"
        )


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return "a minute" if minutes < 2 else f"{minutes} minutes"


# An LSTM of more parameters is checked in float64 only if asked for: the oracle
# multiplies long doubles, which no library does fast (15 s for a million).
MOST_FOR_FLOAT64 = 2_000_000


def _both(keep: Keep, last: list[Compared]) -> Keep:
    """Hand a comparison on, and hold the last one."""

    def kept(compared: Compared) -> None:
        last[:] = [compared]
        keep(compared)

    return kept


def _title(one: Found, dtype: str, file: str) -> str:
    return f"{one.title}: {one.sizes()}, {dtype}, in {printable(file)}"


def _checks(
    options: argparse.Namespace, found: list[Found], show: Callable[[str], None]
) -> list[tuple[Found, str]]:
    """Each LSTM with each type that it is checked in."""
    checks = []
    for one in found:
        if options.dtype:
            checks.append((one, options.dtype))
            continue
        own, *notes = _own_dtype(one)
        types = [own, "float64"]
        size = sum(array.size for array in one.params.values())
        if size > MOST_FOR_FLOAT64 and own != "float64":
            types = [own]
            notes.append(
                f"it has {size:,} parameters, so float64 is left out: the oracle would "
                "take minutes. Ask for it with --dtype float64"
            )
        for note in filter(None, notes):
            show(printable(f"{one.title}: {note}", 500))
        checks += [(one, dtype) for dtype in dict.fromkeys(types)]
    return checks


def _own_dtype(one: Found) -> tuple[str, str]:
    """The type to check the weights in, and a note if it is not their own."""
    types = {array.dtype for array in one.params.values()}
    names = sorted(dtype.name for dtype in types)
    if len(names) == 1 and names[0] in DTYPES:
        return names[0], ""
    own = "float32"
    if len(names) > 1 and set(names) <= set(DTYPES):
        own = jnp.result_type(*types).name if "float64" not in names else "float64"
    return own, f"its type is {', '.join(names)}, so it is checked in {own}"


def _sequences(options: argparse.Namespace) -> np.ndarray:
    """The sequences of --input, time first."""
    path = Path(options.input)
    xs = _read_input(path)
    wanted = "(*B, T, I)" if options.batch_first else "(T, *B, I)"
    for wrong in _unfit(xs, wanted):
        raise ValueError(f"check: --input {path} must {wrong}")
    return np.moveaxis(xs, -2, 0) if options.batch_first else xs


def _read_input(path: Path) -> np.ndarray:
    """The array of an `.npy` file, mapped; no code of it is run."""
    source = open_source(path)
    try:
        array = read_npy(path.name, source.view)
    except DamagedError as error:
        raise ValueError(
            f"check: --input {path} cannot be read: {error.reason}. "
            "Write it with numpy.save."
        ) from None
    if isinstance(array, Unreadable):
        raise ValueError(
            f"check: --input {path} must hold numbers: it holds {array.reason}. "
            "Write one array of numbers with numpy.save."
        )
    return array


def _unfit(xs: np.ndarray, wanted: str) -> Iterator[str]:
    """What is wrong with the inputs: only the first fault counts."""
    if xs.ndim < 2:
        yield (
            f"be {wanted}: its shape is {xs.shape}. Give sequences, time and features "
            "at least."
        )
    elif not is_floating(xs.dtype):
        yield (
            f"be of a floating type: it is {xs.dtype}, and an LSTM takes real "
            "numbers. Embed or scale it first."
        )
    elif not np.isfinite(xs).all():
        first = np.argwhere(~np.isfinite(xs))[0].tolist()
        yield (
            f"be finite: the value at {first} is {xs[tuple(first)]}, and every output "
            "after it would be NaN. Cut it out, or repair it."
        )
