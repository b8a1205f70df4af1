"""Files whose tensors are an LSTM's in another form: a row for each format.

A row reads the tensors of a file under torch's names, and writes such a file of them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from parity.convert.keras import contents as keras
from parity.convert.onnx import contents as onnx
from parity.files import formats
from parity.files.formats import Format
from parity.files.read import Contents, read
from parity.files.tensor import Writer


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the tensors of a format mean.

    `with_lstms` gives the contents of a file under torch's names, `reader` is the call
    that gives the module with its options; `write` writes one LSTM, None where nothing
    is written.
    """

    with_lstms: Callable[[Contents], Contents]
    reader: str
    write: Writer | None = None


MEANINGS = {
    "onnx": Meaning(
        with_lstms=onnx.with_lstms,
        reader="parity.from_onnx(path)",
        write=onnx.write_onnx,
    ),
    "h5": Meaning(with_lstms=keras.with_lstms, reader="parity.from_keras(path)"),
    "keras": Meaning(with_lstms=keras.with_lstms, reader="parity.from_keras(path)"),
}


def read_lstms(path: str | os.PathLike[str]) -> Contents:
    """Everything in a file, its LSTMs under torch's names; see `parity.files.read`.

    Raises:
        ValueError: If it is no file of weights, is damaged, or needs too much memory.
        OSError: If it cannot be opened.
        ModuleNotFoundError: If a library that reads it is not installed.
    """
    contents = read(Path(path))
    meaning = MEANINGS.get(contents.format.name)
    return contents if meaning is None else meaning.with_lstms(contents)


def written() -> dict[str, Format]:
    """The formats that are written, by what `--to` may be."""
    rows = {n: m.write for n, m in MEANINGS.items() if m.write is not None}
    tensors, found = formats.written(), dict[str, Format]()
    for format in formats.FORMATS:
        if format.name in rows:
            write = rows[format.name]
            found[format.name] = replace(format, write=write, texts=True)
        elif format.name in tensors:
            found[format.name] = tensors[format.name]
    return found


def written_by_suffix() -> dict[str, Format]:
    """The same formats, by the suffix of what is written."""
    return {s: format for format in written().values() for s in format.suffixes}
