"""The bytes of a file, mapped and not read, and arrays that are views of them."""

import io
import mmap
import stat
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from parity.files.bounds import DamagedError

_MOST_AXES = 32
_MOST_ELEMENTS = 2**48


@dataclass(frozen=True, eq=False)
class Unreadable:
    """A tensor of a kind that is not read, and why."""

    reason: str


Leaf = np.ndarray | Unreadable
Leaves = dict[str, Leaf]


class Source:
    """The bytes of a file, which are in memory only while something looks at them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self.map)

    def __len__(self) -> int:
        return len(self.view)

    def open(self) -> IO[bytes]:
        """The file, opened anew."""
        return self.path.open("rb")

    def release(self) -> None:
        """Free the memory of what was looked at; it is read again if needed."""
        self.map.madvise(mmap.MADV_DONTNEED)


class Bytes:
    """The bytes of a file within a file."""

    def __init__(self, data: memoryview | bytes) -> None:
        self.view = memoryview(data)

    def __len__(self) -> int:
        return len(self.view)

    def open(self) -> IO[bytes]:
        """A copy of them, as a file."""
        return io.BytesIO(self.view)


def open_source(path: Path) -> Source:
    """The bytes of a plain file that is not empty.

    Raises:
        OSError: If it is not there, or is no plain file.
        ValueError: If it is empty.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file. Check the path; quote it if it has spaces."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a directory: weights are read from one file. "
            "Name the file in it, such as model.safetensors."
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(
            f"{path} must be a plain file, not a pipe or a device: its bytes are "
            "looked at more than once. Write them to a file first."
        )
    if path.stat().st_size == 0:
        raise ValueError(
            f"{path} is empty: a download or a copy was cut off. Fetch it again."
        )
    return Source(path)


def view_of(
    buffer: memoryview | bytes,
    dtype: np.dtype,
    shape: Any,
    strides: Any = None,
    offset: Any = 0,
    *,
    swapped: bool = False,
) -> np.ndarray:
    """An array over bytes; strides and offset count elements, as torch counts them.

    Raises:
        DamagedError: If an element would be outside of the bytes.
    """
    shape = _sizes("shape", shape)
    strides = _row_major(shape) if strides is None else _sizes("strides", strides)
    (offset,) = _sizes("offset", (offset,))
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise DamagedError(f"a tensor has {len(shape)} axes and {len(strides)} strides")
    held = len(buffer) // dtype.itemsize
    _check_inside(shape, strides, offset, held)
    size = dtype.itemsize
    if 0 in shape:
        return np.empty(shape, dtype)
    steps = tuple(step * size for step in strides)
    if swapped:
        dtype = dtype.newbyteorder("S")
    array = np.ndarray(shape, dtype, buffer, offset * size, steps)
    array.flags.writeable = False
    return array


def is_expanded(shape: Any, strides: Any) -> bool:
    """Whether an axis of stride 0 repeats an element."""
    shape, strides = _sizes("shape", shape), _sizes("strides", strides)
    pairs = zip(shape, strides, strict=False)
    return 0 not in shape and any(n > 1 and step == 0 for n, step in pairs)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _sizes(what: str, values: Any) -> tuple[int, ...]:
    """A shape, strides or an offset: whole numbers from 0 to what memory may hold."""
    if not isinstance(values, (tuple, list)):
        raise DamagedError(f"a tensor's {what} is no tuple")
    for value in values:
        if type(value) is not int or not 0 <= value <= _MOST_ELEMENTS:
            raise DamagedError(f"a tensor has {str(value)[:30]} in its {what}")
    return tuple(values)


def _check_inside(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, held: int
) -> None:
    """Refuse an array that reaches past the last of the `held` elements."""
    if prod(size for size in shape if size) > _MOST_ELEMENTS:
        raise DamagedError(f"a tensor's shape {list(shape)} is too large")
    pairs = zip(shape, strides, strict=True)
    last = offset + sum((size - 1) * step for size, step in pairs if size)
    if 0 not in shape and max(last + 1, prod(shape)) > held:
        raise DamagedError(
            f"a tensor of shape {list(shape)} needs {max(last + 1, prod(shape))} "
            f"elements and its storage has {held}"
        )
