"""Files written tensor by tensor, and whole or not there."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.arrays import SAFETENSORS, TORCH
from parity.files.source import native

Done = Callable[[], None]
_NAMES = {TORCH[torch]: name for name, torch in SAFETENSORS.items()}


@dataclass(frozen=True)
class Tensor:
    """A tensor to write: its name, its numbers, and the type they are written in."""

    name: str
    array: np.ndarray
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes when written."""
        return self.array.size * self.dtype.itemsize

    def value(self) -> np.ndarray:
        """The numbers in their type, one after the other.

        Raises:
            ValueError: If a finite number is none in the type.
        """
        source = native(self.array)
        if source.dtype == self.dtype:
            return np.asarray(source, order="C")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = source.astype(self.dtype, order="C")
        lost = np.isfinite(source) & ~np.isfinite(cast)
        if lost.any():
            raise ValueError(
                f"convert: {self.name!r} must fit {self.dtype.name}: {lost.sum()} "
                "values of it are too large for it. Use --dtype bfloat16 or float32."
            )
        return cast


def nothing() -> None:
    """Done with a tensor, and nobody to tell."""


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path beside `path`, which takes its place if the block does not fail."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        _replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        part.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside and rename; a device or a pipe is written to as it is."""
    if path.exists() and not path.is_file():
        _ = path.write_bytes(content)
        return
    with beside(path.resolve()) as part:
        _ = part.write_bytes(content)


def _replace(part: Path, path: Path) -> None:
    """Put `part` in the place of `path`, once it is on the disk."""
    if part.is_dir() and path.is_dir():
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        _ = path.replace(old)
        _ = part.replace(path)
        shutil.rmtree(old)
        return
    if part.is_file():
        with part.open("rb") as file:
            os.fsync(file.fileno())
    _ = part.replace(path)


def write_safetensors(
    tensors: Sequence[Tensor], path: Path, done: Done = nothing
) -> None:
    """Write safetensors; `done` is called after each tensor.

    Raises:
        ValueError: If a type is none of safetensors.
    """
    order = sorted(tensors, key=lambda tensor: (-tensor.dtype.itemsize, tensor.name))
    header = json.dumps(_header(order)).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        _ = file.write(struct.pack("<Q", len(header)) + header)
        for tensor in order:
            _ = file.write(bytes_of(tensor.value()))
            done()


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array, without a copy where they follow each other."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _header(tensors: Sequence[Tensor]) -> dict[str, Any]:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for tensor in tensors:
        if tensor.dtype not in _NAMES:
            raise ValueError(
                f"{tensor.name}.dtype={tensor.dtype} must be a type of safetensors: "
                "it is the format that is written. Convert it first, or write "
                "another format."
            )
        header[tensor.name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.array.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    return header
