"""What a pickle can hold here: plain containers, arrays, and inert placeholders."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from parity.files.bounds import DamagedError
from parity.files.source import Leaf, Unreadable, view_of


@dataclass(frozen=True, eq=False)
class Known:
    """An allowed constructor, and the function of ours that stands for it."""

    name: str
    build: Callable[..., Any]


@dataclass(eq=False)
class InertClass:
    """The name of a class or function that is not known here. It is never imported."""

    name: str


@dataclass(eq=False)
class Inert:
    """In place of an object of an unknown class: what it was given, as data."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StorageType:
    """A class of storages: `dtype` is None where its elements are not read."""

    name: str
    dtype: np.dtype | None


@dataclass(frozen=True, eq=False)
class Storage:
    """Bytes of tensors, and the type of their elements."""

    data: memoryview | bytes
    type: StorageType
    swapped: bool = False


@dataclass(eq=False)
class PickledDtype:
    """A NumPy type, None if it is not one of numbers; its byte order comes later."""

    name: str
    dtype: np.dtype | None
    swapped: bool = False

    def set_state(self, state: Any) -> None:
        """Take the byte order."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.swapped = (state[1] == "<") != (sys.byteorder == "little")


@dataclass(eq=False)
class PickledArray:
    """A NumPy array, whose shape, type and bytes come after it in the pickle."""

    array: Leaf | None = None

    def set_state(self, state: Any) -> None:
        """Take shape, type, order and bytes."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise DamagedError("a NumPy array has no shape and type")
        shape, dtype, fortran, raw = state[-4:]
        self.array = array_of_bytes(raw, dtype, shape, bool(fortran))


@dataclass(eq=False)
class InlineArray(PickledArray):
    """A NumPy array of joblib's: shape and type first, then its bytes, as they are."""

    state: Any = None

    def set_state(self, state: Any) -> None:
        """Take shape, type and order."""
        self.state = state

    def read(self, stream: Any) -> None:
        """Take the bytes, which follow in the file."""
        match self.state:
            case {"shape": tuple(shape), "dtype": PickledDtype() as dtype, **more} if (
                all(type(size) is int for size in shape)
            ):
                pass
            case _:
                raise DamagedError("an array of joblib's has no shape and type")
        if dtype.dtype is None:
            raise DamagedError(
                f"an array of joblib's is of {dtype.name}, not of numbers",
                "Save the weights alone.",
            )
        if more.get("numpy_array_alignment_bytes") is not None:
            _ = stream.read(*stream.read(1))
        raw = stream.read(max(0, prod(shape) * dtype.dtype.itemsize))
        self.array = array_of_bytes(raw, dtype, shape, more.get("order") == "F")


def array_of_bytes(raw: Any, dtype: Any, shape: Any, fortran: bool) -> Leaf:
    """A NumPy array out of a pickle, in the byte order of this machine."""
    if not isinstance(dtype, PickledDtype):
        raise DamagedError("a NumPy array has no type")
    if dtype.dtype is None:
        return Unreadable(f"an array of {dtype.name}, not of numbers")
    if dtype.swapped and dtype.dtype.kind == "V":
        return Unreadable(f"an array of {dtype.name} in the other order of bytes")
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    if not isinstance(raw, (bytes, bytearray)):
        raise DamagedError("a NumPy array has no bytes")
    order = tuple(reversed(shape)) if fortran and isinstance(shape, tuple) else shape
    array = view_of(memoryview(raw), dtype.dtype, order, swapped=dtype.swapped)
    return array.T if fortran else array
