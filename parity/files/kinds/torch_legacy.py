"""Torch's files before 1.6: pickles one after another, then the storages' bytes."""

import io
import struct
import sys
from typing import Any

from lstm_jax.terminal import printable
from parity.files.bounds import DamagedError
from parity.files.pickle.globals import Globals
from parity.files.pickle.inert import Inert, InertClass, Storage, StorageType
from parity.files.pickle.machine import Stream, unpickle
from parity.files.reading import Reading, starts
from parity.files.source import Leaves
from parity.files.tree import flatten

_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
_Types = dict[str, StorageType]

is_torch_legacy = starts(_MAGIC)


def read_torch_legacy(reading: Reading) -> Leaves:
    """Every tensor, as a view of the file.

    Raises:
        DamagedError: If a pickle is damaged, or a storage is not whole.
    """
    source = reading.source
    tree = _tree(source.map, source.view, globals_for(reading))
    return flatten(tree, len(source))


def globals_for(reading: Reading) -> Globals:
    """The table for a file's pickles, in which bytes may be an old torch file."""
    return Globals(reading.unknown, _load_from_bytes)


def _load_from_bytes(data: Any) -> Any:
    """`torch.storage._load_from_bytes`: an old torch file within a pickle."""
    if not isinstance(data, bytes) or not data.startswith(_MAGIC):
        raise DamagedError("its pickle holds bytes that are no old torch file")
    return _tree(io.BytesIO(data), memoryview(data), Globals())


def _tree(stream: Stream, view: memoryview, names: Globals) -> Any:
    """The tree in an old file: `stream` reads its pickles, and `view` has its bytes.

    The tree is read twice: what refers to the storages comes before their places.
    """
    swapped = _read_header(stream)
    start = stream.tell()
    types: _Types = {}
    _ = unpickle(stream, _only_storages, lambda pid: _note(pid, types))
    keys = unpickle(stream, _only_storages)
    found = _storages(view, stream.tell(), keys, types, swapped)
    _ = stream.seek(start)
    return unpickle(stream, names.find, lambda pid: _find(pid, found))


def _read_header(stream: Stream) -> bool:
    """Whether the bytes are in the other order; the first three pickles are read."""
    _, version, system = (unpickle(stream, _only_storages) for _ in range(3))
    if version != 1001 or not isinstance(system, dict):
        raise DamagedError(f"its version is {printable(version, 20)}, not 1001")
    return bool(system.get("little_endian", True)) != (sys.byteorder == "little")


_NO_NAMES = Globals()


def _only_storages(name: str) -> Any:
    """What a global stands for: a type of storages, or something inert."""
    found = _NO_NAMES.known.get(name)
    return found if isinstance(found, StorageType) else InertClass(name)


def _parts(pid: Any) -> tuple[str, StorageType, str, Any]:
    """Kind, type, key and view of a persistent id."""
    if isinstance(pid, tuple) and pid[:1] == ("module",) and len(pid) > 1:
        return "module", StorageType("", None), "", pid[1]
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise DamagedError("its pickle refers to something that is no storage")
    if not isinstance(pid[1], StorageType):
        raise DamagedError("its pickle refers to a storage of an unknown type")
    return "storage", pid[1], str(pid[2]), pid[5] if len(pid) > 5 else None


def _note(pid: Any, types: _Types) -> Inert:
    """Write down the type of a storage, by its key."""
    kind, type, key, _ = _parts(pid)
    if kind == "storage":
        types[key] = type
    return Inert(kind)


def _find(pid: Any, found: dict[str, Storage]) -> Any:
    """What a persistent id stands for: a storage, a part of one, or a module."""
    kind, type, key, part = _parts(pid)
    if kind == "module":
        return part
    if key not in found:
        raise DamagedError(f"its storage {printable(key)!r} is not there")
    storage = found[key]
    if part is None or type.dtype is None:
        return storage
    _, offset, size = part if isinstance(part, tuple) and len(part) == 3 else (0, -1, 0)
    start, end = (_size_of(n, type.dtype.itemsize) for n in (offset, size))
    data = storage.data[start : start + end]
    if len(data) != end:
        raise DamagedError("a view of a storage is not in it")
    return Storage(data, type, storage.swapped)


def _size_of(count: Any, itemsize: int) -> int:
    """The bytes of so many elements."""
    if type(count) is not int or count < 0:
        raise DamagedError(f"a storage has {str(count)[:30]} elements")
    return count * itemsize


def _storages(
    view: memoryview, at: int, keys: Any, types: _Types, swapped: bool
) -> dict[str, Storage]:
    """The storages, which follow each other in the order of their keys."""
    if not isinstance(keys, list):
        raise DamagedError("its list of storages is no list")
    found: dict[str, Storage] = {}
    for key in map(str, keys):
        if key not in types or types[key].dtype is None or key in found:
            raise DamagedError(f"its storage {printable(key)!r} is of no known type")
        if at + 8 > len(view):
            raise DamagedError(f"its storage {printable(key)!r} is cut off")
        (count,) = struct.unpack("<q", view[at : at + 8])
        size = _size_of(count, types[key].dtype.itemsize)  # type: ignore[union-attr]
        data = view[at + 8 : at + 8 + size]
        if len(data) != size:
            raise DamagedError(f"its storage {printable(key)!r} is cut off")
        found[key] = Storage(data, types[key], swapped)
        at += 8 + size
    return found
