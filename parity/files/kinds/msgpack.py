"""Trees of Flax, nested dictionaries of torch's names; and its msgpack."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from parity.arrays import TORCH
from parity.files.bounds import MOST_NAMES, DamagedError
from parity.files.pickle.inert import Unreadable
from parity.files.source import Source, view_of
from parity.show import printable

_ARRAY, _SCALAR = 1, 3  # flax.serialization's codes
_MOST_ELEMENTS = 10_000  # of a list in msgpack: Flax writes dictionaries
_CHUNKED = "__msgpack_chunked_array__"


def nest(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """A nested dictionary, by the dots in the names.

    Raises:
        ValueError: If a name is that of a tensor and of a place for others.

    Example:
        >>> nest(["lstm.weight", "bias"], [1, 2])
        {'lstm': {'weight': 1}, 'bias': 2}
    """
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *places, last = name.split(".")
        branch = tree
        for place in places:
            branch = branch.setdefault(place, {})
            if not isinstance(branch, dict):
                raise _both(name)
        if last in branch:
            raise _both(name)
        branch[last] = value
    return tree


def _both(name: str) -> ValueError:
    return ValueError(
        f"convert: {printable(name)!r} must not be both a tensor and a place for "
        "others: a tree has either there. Use --to safetensors, which has flat names."
    )


def looks_like_msgpack(start: bytes) -> bool:
    """Whether it starts as a dictionary of msgpack does."""
    return start[:1] in (b"\xde", b"\xdf") or b"\x80" < start[:1] < b"\x90"


def read_msgpack(source: Source) -> Any:
    """The tree that `flax.serialization` wrote; arrays are bytes in memory.

    Raises:
        DamagedError: If it is damaged, or its arrays are not whole.
    """
    import msgpack

    counted = itertools.count()

    def count(branch: Any) -> Any:
        if next(counted) > MOST_NAMES:
            raise DamagedError(f"it has more than {MOST_NAMES} entries")
        return branch

    try:
        tree = msgpack.unpackb(
            source.view,
            raw=False,
            strict_map_key=False,
            ext_hook=_extension,
            object_pairs_hook=lambda pairs: count(_entries(pairs)),
            list_hook=count,
            max_array_len=_MOST_ELEMENTS,
            max_map_len=MOST_NAMES,
        )
    except DamagedError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
        raise DamagedError("its msgpack is damaged, or cut off") from None
    return tree


def _entries(pairs: list[tuple[Any, Any]]) -> Any:
    """A dictionary; parts of a large array, and a variable of nnx, as the array."""
    entries: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, (str, int)) or key in entries:
            raise DamagedError(
                f"it has the name {printable(key)!r} twice, or as no name"
            )
        entries[key] = value
    if _CHUNKED in entries:
        return _joined(entries)
    return _variable(entries)


def _variable(entries: Mapping[Any, Any]) -> Any:
    """The array of a variable of nnx, which is stored under `value`."""
    held = entries.get("value")
    alone = len(entries) == 1 and isinstance(held, (np.ndarray, Unreadable))
    return held if alone else entries


def _joined(entries: dict[Any, Any]) -> np.ndarray:
    """An array that was too large for one piece."""
    shape, chunks = entries.get("shape"), entries.get("chunks")
    if not isinstance(shape, dict) or not isinstance(chunks, dict) or not chunks:
        raise DamagedError("an array in parts has no shape or no parts")
    if not all(isinstance(chunk, np.ndarray) for chunk in chunks.values()):
        raise DamagedError("an array in parts has a part that is none")
    parts = [chunks[key] for key in sorted(chunks, key=int)]
    whole = np.concatenate([part.reshape(-1) for part in parts])
    sizes = [shape[key] for key in sorted(shape, key=int)]
    return view_of(whole.tobytes(), whole.dtype, sizes)


def _extension(code: int, data: bytes) -> Any:
    """An array: shape, type and bytes, in msgpack again."""
    import msgpack

    if code not in (_ARRAY, _SCALAR):
        return None
    match msgpack.unpackb(data, raw=False, max_array_len=64):
        case [list(shape), str(name), bytes(raw)]:
            dtype = TORCH.get(name)
        case _:
            raise DamagedError("an array has no shape, type and bytes")
    if dtype is None:
        return Unreadable(f"numbers of the type {printable(name, 40)}")
    array = view_of(raw, dtype, shape)
    if array.nbytes != len(raw):
        raise DamagedError(f"an array of shape {shape} has {len(raw)} bytes")
    return array
