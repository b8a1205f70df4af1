"""Tensors in files of every format: told by the bytes, and no code of a file is run."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import native
from parity.files.formats import Format
from parity.files.reading import Reading
from parity.files.recognise import format_of, read_any, read_as
from parity.files.source import Leaves, Source, Unreadable

SAVE_PLAIN = (
    "Save plain ones: to_dense() of a sparse one, dequantize() of a quantised one."
)


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    `tensors` are views of the file, read when they are looked at, so the file must not
    be written to meanwhile. `unreadable` has the reason for each tensor of a kind that
    is not read, `unknown` the classes that were not imported, `metadata` the texts
    beside the tensors, `structure` how a file says that they are used,
    `notes` what to know of its LSTMs.
    """

    format: Format
    tensors: dict[str, np.ndarray]
    unreadable: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    structure: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()

    def unread(self) -> str:
        """Half a sentence where there are tensors and none is read; else empty."""
        if self.tensors or not self.unreadable:
            return ""
        name, reason = next(iter(self.unreadable.items()))
        return (
            f"none of its tensors can be read here, {printable(name, 60)} is "
            f"{printable(reason, 80)}"
        )

    def check_read(self, where: str, path: str | os.PathLike[str]) -> None:
        """Refuse a file of which no tensor is read.

        Raises:
            ValueError: With what to save in its place.
        """
        if self.unread():
            raise ValueError(
                f"{where}: {path} must hold plain tensors: {self.unread()}. "
                f"{SAVE_PLAIN}"
            )

    def release(self) -> None:
        """Free the memory of the tensors that were looked at."""
        for source in self.sources:
            source.release()


def read(path: str | os.PathLike[str]) -> Contents:
    """Everything in a file that is a tensor, mapped; no code of the file is run.

    Args:
        path: As for `read_tensors`.

    Raises:
        ValueError: If it is no file of weights, is damaged, or needs too much memory.
        OSError: If it cannot be opened.
    """
    reading = Reading(Path(path), read_any)
    format = format_of(reading)
    leaves = read_as(format, reading)
    unknown, sources = tuple(sorted(reading.unknown)), tuple(reading.sources)
    notes = (unknown, sources, reading.metadata, tuple(reading.structure))
    return Contents(format, *_separated(leaves), *notes)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor in a file, by name, bit for bit; no code of the file is run.

    Names of nested dictionaries are joined by dots: `state_dict.lstm.weight_ih_l0`.
    A sparse, quantised or `meta` tensor is left out; `inspect` lists these.

    Args:
        path: A file of any format in docs/files.md, or an Orbax checkpoint. The bytes
            tell which; the suffix does not matter.

    Returns:
        Names to arrays, copies that need the file no more.

    Raises:
        ValueError: If it is no file of weights, is damaged, or needs too much memory,
            or if it has tensors and none of them can be read.
        TypeError: If it is no path.
        OSError: If it cannot be opened.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"read_tensors: path must be the path of a file, not "
            f"{type(path).__name__}: the file is mapped. Write it to a file first."
        )
    contents = read(path)
    contents.check_read("read_tensors", path)
    return {name: np.array(array) for name, array in contents.tensors.items()}


def _separated(leaves: Leaves) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays, in this machine's order of bytes, and why others are not read."""
    arrays = {n: native(a) for n, a in leaves.items() if isinstance(a, np.ndarray)}
    reasons = {n: a.reason for n, a in leaves.items() if isinstance(a, Unreadable)}
    return arrays, reasons
