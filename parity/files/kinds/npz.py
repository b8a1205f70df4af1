"""NumPy's archives: each member an array, mapped where it is not compressed."""

import re
import struct
from typing import Any

import numpy as np

from parity.files.bounds import DamagedError
from parity.files.pickle.inert import Unreadable
from parity.files.source import view_of
from parity.files.zip import Members
from parity.show import printable

_NUMBERS = re.compile(r"[<>|=]?[biufc]\d{1,2}")
_MOST_HEADER = 65_536
_HEADER = re.compile(
    r"\{'descr': (?P<kind>'[^']*'|\[.*\]), 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>(\d{1,18}L?,? ?){0,40})\),? *\}\s*"
)


def is_npz(members: Members) -> bool:
    """Whether the archive has arrays alone."""
    names = members.infos
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(members: Members) -> dict[str, Any]:
    """Every array, by the name it was saved under; none that holds objects."""
    return {
        name.removesuffix(".npy"): read_npy(name, members[name])
        for name in members.infos
    }


def read_npy(name: str, data: memoryview | bytes) -> np.ndarray | Unreadable:
    """The array in the bytes of one `.npy`, mapped; none that holds objects."""
    kind, fortran, shape, start = _header(name, data)
    dtype = _dtype(kind)
    if dtype is None:
        return Unreadable(f"an array of {printable(kind, 40)}, not of numbers")
    native = dtype.newbyteorder("=")
    order = tuple(reversed(shape)) if fortran else shape
    array = view_of(data[start:], native, order, swapped=not dtype.isnative)
    if array.nbytes != len(data) - start:
        raise DamagedError(
            f"{printable(name)!r} of shape {list(shape)} needs {array.nbytes} bytes "
            f"and has {len(data) - start}"
        )
    return array.T if fortran else array


def _dtype(kind: str) -> np.dtype | None:
    """The type, if it is one of numbers."""
    try:
        return np.dtype(kind) if _NUMBERS.fullmatch(kind) else None
    except TypeError as error:
        raise DamagedError(f"it has an array of the type {kind!r}") from error


def _header(
    name: str, data: memoryview | bytes
) -> tuple[str, bool, tuple[int, ...], int]:
    """Type, order, shape, and where the numbers start; NumPy's own reader evaluates."""
    start = bytes(data[:_MOST_HEADER])
    wide = start[6:7] > b"\1"
    at = 12 if wide else 10
    (length,) = struct.unpack("<I" if wide else "<H", start[8:at].ljust(at - 8, b"\0"))
    text = start[at : at + length].decode("latin-1")
    match = _HEADER.fullmatch(text)
    if not start.startswith(b"\x93NUMPY") or match is None:
        raise DamagedError(f"its array {printable(name)!r} has no header of NumPy's")
    shape = tuple(int(size) for size in re.findall(r"\d+", match["shape"]))
    return match["kind"].strip("'\""), match["order"] == "True", shape, at + length
