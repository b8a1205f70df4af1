"""NumPy's archives: each member an array, mapped where it is not compressed."""

import io
from typing import Any

import numpy as np
from numpy.lib import format as npy

from parity.convert.inert import Unreadable
from parity.convert.mapped import view_of
from parity.convert.refuse import DamagedError, printable
from parity.convert.zip_members import Members

_KINDS = "biufc"
_WRONG = (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError)


def is_npz(members: Members) -> bool:
    """Whether the archive has arrays alone."""
    names = members.infos
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_npz(members: Members) -> dict[str, Any]:
    """Every array, by the name it was saved under; none that holds objects."""
    return {
        name.removesuffix(".npy"): _array(name, members[name]) for name in members.infos
    }


def _array(name: str, data: memoryview | bytes) -> np.ndarray | Unreadable:
    shape, fortran, dtype, start = _header(name, data)
    if dtype.hasobject or dtype.kind not in _KINDS:
        return Unreadable(f"an array of {printable(dtype, 40)}, not of numbers")
    native = dtype.newbyteorder("=")
    order = tuple(reversed(shape)) if fortran else shape
    array = view_of(data[start:], native, order, swapped=not dtype.isnative)
    if array.nbytes != len(data) - start:
        raise DamagedError(
            f"{printable(name)!r} of shape {list(shape)} needs {array.nbytes} bytes "
            f"and has {len(data) - start}"
        )
    return array.T if fortran else array


def _header(
    name: str, data: memoryview | bytes
) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type, and where the numbers start."""
    start = io.BytesIO(bytes(data[: 12 + 65536]))
    try:
        version = npy.read_magic(start)
        read = npy.read_array_header_1_0
        shape, fortran, dtype = (
            read(start) if version == (1, 0) else npy.read_array_header_2_0(start)
        )
    except _WRONG as error:
        raise DamagedError(
            f"its array {printable(name)!r} has no header ({printable(error, 80)})"
        ) from None
    return shape, fortran, dtype, start.tell()
