"""NumPy's archives: each member is an array, mapped unless it is compressed."""

import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from lstm_jax.terminal import printable
from parity.files.bounds import DamagedError
from parity.files.reading import Reading
from parity.files.source import Leaf, Leaves, Unreadable, view_of
from parity.files.tensor import Done, Tensor

_NUMBERS = re.compile(r"[<>|=]?[biufc]\d{1,2}")
_LONGEST_HEADER = 65_536
_PATTERN = re.compile(
    r"\{'descr': (?P<kind>'[^']*'|\[.*\]), 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>(\d{1,18}L?,? ?){0,40})\),? *\}\s*"
)


def is_npz(reading: Reading) -> bool:
    """Whether it is an archive that holds only arrays."""
    return bool(reading.names) and all(n.endswith(".npy") for n in reading.names)


def read_npz(reading: Reading) -> Leaves:
    """Every array, by the name it was saved under."""
    members = reading.members
    return {n.removesuffix(".npy"): read_npy(n, members[n]) for n in reading.names}


def read_npy(name: str, data: memoryview | bytes) -> Leaf:
    """The array in the bytes of one `.npy`, as a view of them.

    Raises:
        DamagedError: If its header is not NumPy's, or its numbers are not whole.
    """
    kind, fortran, shape, start = _header(name, data)
    dtype = _number_type(kind)
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


def _number_type(kind: str) -> np.dtype | None:
    """The type; None if it is not one of numbers."""
    try:
        return np.dtype(kind) if _NUMBERS.fullmatch(kind) else None
    except TypeError as error:
        raise DamagedError(f"it has an array of the type {kind!r}") from error


def _header(
    name: str, data: memoryview | bytes
) -> tuple[str, bool, tuple[int, ...], int]:
    """Type, order, shape, and where the numbers start; nothing is evaluated."""
    start = bytes(data[:_LONGEST_HEADER])
    wide = start[6:7] > b"\1"
    at = 12 if wide else 10
    (length,) = struct.unpack("<I" if wide else "<H", start[8:at].ljust(at - 8, b"\0"))
    text = start[at : at + length].decode("latin-1")
    match = _PATTERN.fullmatch(text)
    if not start.startswith(b"\x93NUMPY") or match is None:
        raise DamagedError(f"its array {printable(name)!r} has no header of NumPy's")
    shape = tuple(int(size) for size in re.findall(r"\d+", match["shape"]))
    return match["kind"].strip("'\""), match["order"] == "True", shape, at + length


def write_npz(tensors: Sequence[Tensor], path: Path, done: Done) -> None:
    """What `numpy.savez` writes, array by array.

    Raises:
        ValueError: If NumPy has no name for a type, or a name leads out of an archive.
    """
    for tensor in tensors:
        _check_storable(tensor)
    with zipfile.ZipFile(path, "w") as archive:
        for tensor in tensors:
            name = f"{tensor.name}.npy"
            with archive.open(name, "w", force_zip64=True) as member:
                npy.write_array(member, tensor.value(), allow_pickle=False)
            done()


def _check_storable(tensor: Tensor) -> None:
    """Refuse a name or a type that an archive of NumPy's cannot hold."""
    if tensor.name.startswith("/") or ".." in tensor.name.split("/"):
        raise ValueError(
            f"convert: {tensor.name!r} must be a name within an archive: npz is "
            "one. Use --to safetensors, or --prefix."
        )
    if tensor.dtype.kind == "V":
        raise ValueError(
            f"convert: {tensor.name!r} must be of a type of NumPy, not "
            f"{tensor.dtype.name}: npz would lose it. Use --to safetensors, or "
            "--dtype float32."
        )
