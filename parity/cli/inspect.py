"""`python -m parity inspect`: every LSTM in a file, and nothing in it is run."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import Screen, printable, text_table, width
from parity.arrays import is_floating
from parity.cli.notes import notes_on, options_of, some
from parity.cli.options import JSON, add_command, check_report, filled
from parity.convert.find import Search, names_in, passed_over, search, why_nothing
from parity.convert.found import Found
from parity.convert.meaning import read_lstms
from parity.files.beside import write_bytes
from parity.files.formats import in_words
from parity.files.read import SAVE_PLAIN, Contents

_DESCRIPTION = """Show every LSTM and LSTMCell in a file of weights: {formats}. Nothing
in the file is run; torch is not needed.

exit code: 0 all whole, 1 none found or one not whole, 2 bad use or unreadable file"""

_EXAMPLES = """examples:
  python -m parity inspect checkpoint.ckpt
  python -m parity inspect model.safetensors.index.json --all
  python -m parity inspect silero_vad.jit --json -
"""
_LSTM_HEADER = ("prefix", "kind", "sizes", "type", "parameters")
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
        check_report("inspect", "json", path, JSON, options.file)
    contents = read_lstms(options.file)
    one = search(contents.tensors, options.prefix)
    if options.json != "-":
        _print_all(options, contents, one)
    if options.json is not None:
        text = json.dumps(_report(options.file, contents, one), indent=1)
        _write_or_print(text, path)
    return 0 if one.found and not one.broken else 1


def _write_or_print(text: str, path: Path | None) -> None:
    """Write the report to its file, or print it."""
    if path is None:
        _print(text)
        return
    write_bytes(path, f"{text}\n".encode())
    _print(f"report: {printable(path, 1000)}")


def _print(text: str) -> None:
    Screen().print(text)


def _print_all(options: argparse.Namespace, contents: Contents, one: Search) -> None:
    if one.found:
        _print(f"LSTMs in {printable(options.file)}, {contents.format.words}:")
        _print_rows(_LSTM_HEADER, [_lstm_row(lstm) for lstm in one.found])
    for lstm in one.broken:
        _print(printable(f"NOT WHOLE {lstm.sentence()}", 500))
    if not one.found and not one.broken:
        _print(_nothing(options, contents, one))
    for line in _notes(contents, one):
        _print(line)
    if options.all:
        rows = [_tensor_row(*item) for item in contents.tensors.items()]
        _print(f"Every tensor, {len(rows)}:")
        _print_rows(("name", "shape", "type"), rows)


def _print_rows(header: Sequence[str], rows: list[list[str]]) -> None:
    """A table, or lines where a name would be cut off in it."""
    most = min(_WIDEST, width())
    if any(len("   ".join(row)) > most for row in rows):
        _print("\n".join(", ".join(row) for row in rows))
    else:
        _print(text_table("", header, rows, width()).strip("\n"))


def _lstm_row(one: Found) -> list[str]:
    count = f"{_parameter_count(one):,}"
    return [printable(one.prefix) or "-", one.kind, one.sizes(), _types(one), count]


def _parameter_count(one: Found) -> int:
    return sum(array.size for array in one.params.values())


def _types(one: Found) -> str:
    return ", ".join(sorted({array.dtype.name for array in one.params.values()}))


def _tensor_row(name: str, array: np.ndarray) -> list[str]:
    return [printable(name), " x ".join(map(str, array.shape)), array.dtype.name]


def _nothing(options: argparse.Namespace, contents: Contents, one: Search) -> str:
    at = (
        ""
        if options.prefix is None
        else f" at prefix {printable(repr(options.prefix), 60)}"
    )
    unread = contents.unread()
    reason = why_nothing(one) or unread
    if not reason:
        names = names_in(contents.tensors, 4) if contents.tensors else "no tensors"
        reason = f"no weights are named as in torch. It holds {names}"
    cure = "" if options.all or not contents.tensors else " Show every name with --all."
    cure = f" {SAVE_PLAIN}" if unread else cure
    return (
        f"No LSTM{at} in {printable(options.file)}, {contents.format.words}: "
        f"{reason}.{cure}"
    )


def _notes(contents: Contents, one: Search) -> list[str]:
    """What else to know: values that are not finite, tensors that are not read."""
    notes = [
        f"{printable(lstm.prefix)}{name}: {count} values that are not finite"
        for lstm in one.found
        for name, count in _not_finite_in(lstm, contents).items()
    ]
    notes += some([printable(note, 300) for note in contents.notes], "notes")
    notes += notes_on(one.found)
    notes += options_of(one.found, contents.metadata, contents)
    if one.found:
        notes += some([other.sentence() for other in one.others], "layers")
        notes += [passed_over(one)] * bool(one.of_optimizers)
    unreadable = [
        f"not read: {printable(name)}, {printable(reason)}"
        for name, reason in contents.unreadable.items()
    ]
    names = {_MANGLED.sub("", name) for name in contents.unknown}
    unknown = [printable(name, 80) for name in sorted(names)]
    return notes + some(unreadable, "tensors") + _classes(unknown)


def _classes(names: list[str]) -> list[str]:
    if not names:
        return []
    listed = some(names, "classes")
    classes = "class" if len(names) == 1 else "classes"
    return [f"not imported, {len(names)} unknown {classes}: {', '.join(listed)}"]


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


def _report(file: str, contents: Contents, one: Search) -> dict[str, Any]:
    """Everything there is to say, as plain values."""
    return {
        "file": file,
        "format": contents.format.words,
        "lstms": [_lstm_report(lstm, contents) for lstm in one.found],
        "not_whole": [vars(lstm) for lstm in one.broken],
        "others": [vars(other) for other in one.others],
        "of_optimizers": one.of_optimizers,
        "metadata": contents.metadata,
        "notes": list(contents.notes),
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
        "notes": one.notes,
    }
