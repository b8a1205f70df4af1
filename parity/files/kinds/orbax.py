"""Checkpoints of Orbax: an index in JSON, and arrays that tensorstore reads one by one.

Orbax's own reader writes to standard error from its threads when a file is damaged.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from parity.arrays import TORCH
from parity.files.bounds import MOST_HEADER, UNPACKED, UNPACKED_MORE, DamagedError
from parity.files.kinds.safetensors import parse_json
from parity.files.pickle.inert import Unreadable
from parity.files.source import open_source
from parity.show import printable

Leaf = np.ndarray | Unreadable
_PLACES = ("", ".", "..")
_INDEX = "_METADATA"
_EMPTY = ("None", "Dict", "List", "Tuple", "NamedTuple", "string")


def is_orbax(path: Path) -> bool:
    """Whether a directory is a checkpoint of Orbax."""
    return (path / _INDEX).is_file()


def read_orbax(path: Path) -> dict[str, Leaf]:
    """The arrays of an Orbax checkpoint by dotted name, in memory.

    A variable of nnx, which is stored under `value`, has the name of the variable.

    Raises:
        DamagedError: If it is damaged, or its arrays are much larger than it.
    """
    index = open_source(path / _INDEX)
    if len(index) > MOST_HEADER:
        raise DamagedError(f"its index has more than {MOST_HEADER} bytes")
    metadata = parse_json(bytes(index.view), "index")
    held = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    left = UNPACKED * held + UNPACKED_MORE
    found: dict[str, Leaf] = {}
    for name in _names(metadata):
        found[name], size = _read(_spec(path, name, metadata), name, left)
        left -= size
    return _without_value(found)


def _names(metadata: dict[str, Any]) -> list[str]:
    """The dotted names of what is stored as an array."""
    names = []
    tree = metadata.get("tree_metadata")
    for entry in tree.values() if isinstance(tree, dict) else ():
        match entry:
            case {"key_metadata": list(keys), "value_metadata": {"value_type": kind}}:
                parts = [
                    key.get("key") if isinstance(key, dict) else key for key in keys
                ]
            case _:
                raise DamagedError("its index has an entry without a name or a type")
        if any("/" in str(part) or str(part) in _PLACES for part in parts):
            name = printable(".".join(map(str, parts)), 60)
            raise DamagedError(f"its index has the name {name!r}, outside of itself")
        if kind not in _EMPTY:
            names.append(".".join(map(str, parts)))
    if not names:
        raise DamagedError("its index names no arrays")
    return names


def _spec(path: Path, name: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Where an array is, as tensorstore is told it."""
    base = {"driver": "file", "path": f"{path.resolve()}/"}
    store = {"driver": "ocdbt", "base": base, "path": f"{name}/"}
    if not metadata.get("use_ocdbt", True):
        store = {"driver": "file", "path": f"{path.resolve() / name}/"}
    driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
    return {"driver": driver, "kvstore": store}


def _read(spec: dict[str, Any], name: str, left: int) -> tuple[Leaf, int]:
    """An array and the memory it took; refused before it takes more than is left."""
    import tensorstore

    try:
        stored = tensorstore.open(spec, open=True, read=True).result()
        dtype = stored.dtype.numpy_dtype
        chunk = prod(n or 1 for n in stored.chunk_layout.read_chunk.shape or ())
        size = max(prod(stored.shape), chunk) * dtype.itemsize
        if size > left:
            raise DamagedError(
                f"its arrays are more than {UNPACKED} times its size",
                "Look at it with Orbax, if you trust who made it.",
            )
        if dtype not in TORCH.values():
            return Unreadable(f"numbers of the type {dtype.name}"), 0
        return np.asarray(stored.read().result()), size
    except DamagedError:
        raise
    except (ValueError, OSError, RuntimeError, TypeError, OverflowError) as error:
        reason = printable(str(error).partition(":")[0], 60)
        raise DamagedError(
            f"its array {printable(name)!r} is damaged or gone ({reason})"
        ) from None


def _without_value(found: dict[str, Leaf]) -> dict[str, Leaf]:
    """Names without the `value` of nnx, unless something else is beside it."""
    places = [name.rpartition(".")[0] for name in found]

    def variable(name: str) -> str:
        place, _, last = name.rpartition(".")
        alone = last == "value" and places.count(place) == 1 and place not in found
        return place if alone and place else name

    return {variable(name): array for name, array in found.items()}
