"""Flax's msgpack: a tree of dictionaries, whose arrays are read into memory."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import TORCH
from parity.files.bounds import MOST_NAMES, DamagedError
from parity.files.reading import Reading
from parity.files.source import Leaves, Source, Unreadable, view_of
from parity.files.tensor import Done, Tensor
from parity.files.tree import flatten, nest

_ARRAY, _SCALAR = 1, 3  # flax.serialization's codes
_LONGEST_LIST = 10_000  # Flax writes dictionaries
_DICTIONARY = re.compile(rb"[\x81-\x8f]|\xde..|\xdf....", re.DOTALL)
_DICTIONARY_OF_TEXTS = re.compile(
    rb"(%b)[\xa0-\xbf\xd9-\xdb]" % _DICTIONARY.pattern, re.DOTALL
)
_CHUNKED = "__msgpack_chunked_array__"


def is_msgpack(reading: Reading) -> bool:
    """Whether it starts with a dictionary whose first name is a text."""
    return _DICTIONARY_OF_TEXTS.match(reading.start) is not None


def may_be_msgpack(reading: Reading) -> bool:
    """Whether it starts with a dictionary, which is one byte and tells little."""
    return _DICTIONARY.match(reading.start) is not None


def read_msgpack(reading: Reading) -> Leaves:
    """The arrays that `flax.serialization` wrote, in memory.

    Raises:
        DamagedError: If it is damaged, or its arrays are not whole.
    """
    return flatten(_unpacked(reading.source), len(reading.source))


def _unpacked(source: Source) -> Any:
    """The tree."""
    import msgpack

    counted = itertools.count()

    def count(branch: Any) -> Any:
        if next(counted) > MOST_NAMES:
            raise DamagedError(f"it has more than {MOST_NAMES} entries")
        return branch

    try:
        return msgpack.unpackb(
            source.view,
            raw=False,
            strict_map_key=False,
            ext_hook=_extension,
            object_pairs_hook=lambda pairs: count(_dictionary(pairs)),
            list_hook=count,
            max_array_len=_LONGEST_LIST,
            max_map_len=MOST_NAMES,
        )
    except DamagedError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.exceptions.UnpackException):
        raise DamagedError("its msgpack is damaged, or cut off") from None


def _dictionary(pairs: list[tuple[Any, Any]]) -> Any:
    """A dictionary, or the array in it: of parts, or in a variable of nnx."""
    entries: dict[Any, Any] = {}
    for key, value in pairs:
        if isinstance(key, bytes):
            raise DamagedError(
                "it has names of bytes, as msgpack-numpy and spaCy write them",
                "Load it with these and save its weights as .npz.",
            )
        if not isinstance(key, (str, int)):
            raise DamagedError("it has a name that is neither a text nor a number")
        if key in entries:
            raise DamagedError(f"it has the name {printable(key)!r} twice")
        entries[key] = value
    if _CHUNKED in entries:
        return _concatenated(entries)
    return _variable(entries)


def _variable(entries: Mapping[Any, Any]) -> Any:
    """The array of a variable of nnx, whose only entry is `value`; else the entries."""
    held = entries.get("value")
    only = len(entries) == 1 and isinstance(held, (np.ndarray, Unreadable))
    return held if only else entries


def _concatenated(entries: dict[Any, Any]) -> np.ndarray:
    """An array that was too large for one piece."""
    shape, chunks = entries.get("shape"), entries.get("chunks")
    if not isinstance(shape, dict) or not isinstance(chunks, dict) or not chunks:
        raise DamagedError("an array in parts has no shape or no parts")
    if not all(isinstance(chunk, np.ndarray) for chunk in chunks.values()):
        raise DamagedError("an array in parts has a part that is no array")
    parts = [chunks[key] for key in sorted(chunks, key=int)]
    whole = np.concatenate([part.reshape(-1) for part in parts])
    sizes = [shape[key] for key in sorted(shape, key=int)]
    return view_of(whole.tobytes(), whole.dtype, sizes)


def _extension(code: int, data: bytes) -> Any:
    """An array: its shape, type and bytes, which are msgpack again."""
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


def write_msgpack(tensors: Sequence[Tensor], path: Path, done: Done) -> None:
    """What `flax.serialization.msgpack_restore` reads, array by array."""
    import msgpack
    from flax.serialization import msgpack_serialize

    packer = msgpack.Packer()

    def write(branch: Any) -> None:
        if isinstance(branch, Tensor):
            _ = file.write(msgpack_serialize(branch.value()))
            return done()
        _ = file.write(packer.pack_map_header(len(branch)))
        for name, child in branch.items():
            _ = file.write(packer.pack(name))
            write(child)
        return None

    tree = nest([tensor.name for tensor in tensors], tensors)
    with path.open("wb") as file:
        write(tree)
