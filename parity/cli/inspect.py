"""`python -m parity inspect`: every LSTM in a file, and nothing in it is run."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from parity.arrays import is_floating
from parity.cli.options import add_command, check_writable, filled
from parity.convert.find import Broken, Found, survey
from parity.files.beside import write_bytes
from parity.files.formats import in_words
from parity.files.read import Contents, read
from parity.show import printable, text_table

_DESCRIPTION = """Show every LSTM and LSTMCell in a file of weights: {formats}. Nothing
in the file is run; torch is not needed.

exit code: 0 all whole, 1 none found or one not whole, 2 bad use or unreadable file"""

_EXAMPLES = """examples:
  python -m parity inspect checkpoint.ckpt
  python -m parity inspect model.safetensors.index.json --all
  python -m parity inspect silero_vad.jit --json -
"""
_LSTM_HEADER = ("prefix", "kind", "sizes", "type", "parameters")
_MOST_LINES = 10
_WIDEST = 100
_MANGLED = re.compile(r"\.___torch_mangle_\d+")


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    add = add_command(
        commands,
        "inspect",
        run,
        help="show every LSTM in a file: sizes, type, parameters",
        description=filled(_DESCRIPTION.format(formats=in_words())),
        epilog=_EXAMPLES,
    )
    add("file", metavar="FILE", help="the file, of any suffix: its bytes tell")
    add("--prefix", help="show only the LSTM at this prefix")
    add("--all", action="store_true", help="show every tensor: name, shape, type")
    add("--json", metavar="PATH", help="write all of it to a file, or - for the screen")


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    path = Path(options.json) if options.json not in (None, "-") else None
    if path is not None:
        check_writable("inspect", "json", path)
    contents = read(options.file)
    found, broken = survey(contents.tensors, options.prefix)
    if options.json != "-":
        _print_all(options, contents, found, broken)
    if options.json is not None:
        text = json.dumps(_report(options.file, contents, found, broken), indent=1)
        _write_or_print(text, path)
    return 0 if found and not broken else 1


def _write_or_print(text: str, path: Path | None) -> None:
    """Write the report to its file, or print it."""
    if path is None:
        _print(text)
        return
    write_bytes(path, f"{text}\n".encode())
    _print(f"report: {printable(path, 1000)}")


def _print(text: str) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(text)


def _print_all(
    options: argparse.Namespace,
    contents: Contents,
    found: list[Found],
    broken: list[Broken],
) -> None:
    if found:
        _print(f"LSTMs in {printable(options.file)}, {contents.format.words}:")
        _print_rows(_LSTM_HEADER, [_lstm_row(one) for one in found])
    for one in broken:
        _print(printable(f"NOT WHOLE {one.sentence()}", 500))
    if not found and not broken:
        _print(_nothing(options, contents))
    for line in _notes(contents, found):
        _print(line)
    if options.all:
        rows = [_tensor_row(*item) for item in contents.tensors.items()]
        _print(f"Every tensor, {len(rows)}:")
        _print_rows(("name", "shape", "type"), rows)


def _print_rows(header: Sequence[str], rows: list[list[str]]) -> None:
    """A table, or lines where a name would be cut off in it."""
    if any(len("   ".join(row)) > _WIDEST for row in rows):
        _print("\n".join(", ".join(row) for row in rows))
    else:
        _print(text_table("", header, rows).strip("\n"))


def _lstm_row(one: Found) -> list[str]:
    count = f"{_parameter_count(one):,}"
    return [printable(one.prefix) or "-", one.kind, one.sizes(), _types(one), count]


def _parameter_count(one: Found) -> int:
    return sum(array.size for array in one.params.values())


def _types(one: Found) -> str:
    return ", ".join(sorted({array.dtype.name for array in one.params.values()}))


def _tensor_row(name: str, array: np.ndarray) -> list[str]:
    return [printable(name), " x ".join(map(str, array.shape)), array.dtype.name]


def _nothing(options: argparse.Namespace, contents: Contents) -> str:
    at = "" if options.prefix is None else f" at prefix {options.prefix!r}"
    names = ", ".join(printable(name, 60) for name in sorted(contents.tensors)[:4])
    cure = "" if options.all else " Show every name with --all."
    return (
        f"No LSTM{at} in {printable(options.file)}, {contents.format.words}: "
        f"no weights are named as in torch. It holds {names or 'no tensors'}.{cure}"
    )


def _notes(contents: Contents, found: list[Found]) -> list[str]:
    """What else to know: values that are not finite, tensors that are not read."""
    notes = [
        f"{printable(one.prefix)}{name}: {count} values that are not finite"
        for one in found
        for name, count in _not_finite_in(one, contents).items()
    ]
    unreadable = [
        f"not read: {printable(name)}, {printable(reason)}"
        for name, reason in contents.unreadable.items()
    ]
    names = {_MANGLED.sub("", name) for name in contents.unknown}
    unknown = [printable(name, 80) for name in sorted(names)]
    return notes + _some(unreadable, "tensors") + _classes(unknown)


def _some(lines: list[str], what: str) -> list[str]:
    more = len(lines) - _MOST_LINES
    rest = [f"and {more} {what} more"] if more > 0 else []
    return lines[:_MOST_LINES] + rest


def _classes(names: list[str]) -> list[str]:
    if not names:
        return []
    listed = _some(names, "classes")
    return [f"not imported, {len(names)} unknown classes: {', '.join(listed)}"]


def _not_finite_in(one: Found, contents: Contents) -> dict[str, int]:
    """How many values of each parameter are not finite, where any is."""
    counts = {}
    for name, array in one.params.items():
        counts[name] = _not_finite(array)
        contents.release()
    return {name: count for name, count in counts.items() if count}


def _not_finite(array: np.ndarray) -> int:
    if not is_floating(array.dtype):
        return 0
    rows = array.reshape(-1)
    step = 2**20  # elements at a time, so that a large file stays on the disk
    parts = (rows[at : at + step] for at in range(0, len(rows), step))
    return sum(int(part.size - np.isfinite(part).sum()) for part in parts)


def _report(
    file: str, contents: Contents, found: list[Found], broken: list[Broken]
) -> dict[str, Any]:
    """Everything there is to say, as plain values."""
    return {
        "file": file,
        "format": contents.format.words,
        "lstms": [_lstm_report(one, contents) for one in found],
        "not_whole": [vars(one) for one in broken],
        "tensors": {
            name: {"shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in contents.tensors.items()
        },
        "unreadable": contents.unreadable,
        "unknown_classes": list(contents.unknown),
    }


def _lstm_report(one: Found, contents: Contents) -> dict[str, Any]:
    return {
        "prefix": one.prefix,
        "kind": one.kind,
        **one.spec.constructor_arguments(),
        "dtype": _types(one),
        "parameters": _parameter_count(one),
        "not_finite": _not_finite_in(one, contents),
    }
