"""Checkpoints of Orbax: an index in JSON, and arrays that tensorstore reads one by one.

Orbax's own reader is not used: its threads write to standard error where a file is
damaged.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import TORCH
from parity.files.bounds import MOST_HEADER, UNPACKED, UNPACKED_MORE, DamagedError
from parity.files.reading import Reading
from parity.files.source import Leaf, Leaves, Unreadable, open_source
from parity.files.strict_json import parse_json
from parity.files.tensor import Done, Tensor
from parity.files.tree import nest

_PLACES = ("", ".", "..")
_INDEX = "_METADATA"
_EMPTY = ("None", "Dict", "List", "Tuple", "NamedTuple", "string")


def is_orbax(reading: Reading) -> bool:
    """Whether it is a directory with Orbax's index."""
    return (reading.path / _INDEX).is_file()


def read_orbax(reading: Reading) -> Leaves:
    """The arrays by dotted name, in memory.

    A variable of nnx, which is stored under `value`, has the name of the variable.

    Raises:
        DamagedError: If it is damaged, or its arrays are much larger than its files.
    """
    path = reading.path
    index = open_source(path / _INDEX)
    if len(index) > MOST_HEADER:
        raise DamagedError(f"its index has more than {MOST_HEADER} bytes")
    metadata = parse_json(bytes(index.view), "index")
    held = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    left = UNPACKED * held + UNPACKED_MORE
    found: Leaves = {}
    for name in _dotted_names(metadata):
        found[name], size = _array_at(_spec(path, name, metadata), name, left)
        left -= size
    return _without_value(found)


def _dotted_names(metadata: dict[str, Any]) -> list[str]:
    """The names of the arrays that the index promises."""
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
    """Where an array is, in tensorstore's words."""
    base = {"driver": "file", "path": f"{path.resolve()}/"}
    store = {"driver": "ocdbt", "base": base, "path": f"{name}/"}
    if not metadata.get("use_ocdbt", True):
        store = {"driver": "file", "path": f"{path.resolve() / name}/"}
    driver = "zarr3" if metadata.get("use_zarr3") else "zarr"
    return {"driver": driver, "kvstore": store}


def _array_at(spec: dict[str, Any], name: str, left: int) -> tuple[Leaf, int]:
    """An array and its bytes in memory, which must not be more than are left."""
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


def _without_value(found: Leaves) -> Leaves:
    """Names without the `value` of nnx, unless something else is beside it."""
    places = Counter(name.rpartition(".")[0] for name in found)

    def variable(name: str) -> str:
        place, _, last = name.rpartition(".")
        only = last == "value" and places[place] == 1 and place not in found
        return place if only and place else name

    return {variable(name): array for name, array in found.items()}


def _check_name(name: str) -> None:
    """Refuse a name that `read_orbax` refuses."""
    if "/" in name or any(part in _PLACES for part in name.split(".")):
        raise ValueError(
            f"convert: {printable(name)!r} must be names between dots, without /: "
            "Orbax makes a place on the disk of each. Use --to safetensors."
        )


def write_orbax(tensors: Sequence[Tensor], path: Path, done: Done) -> None:
    """A checkpoint of Orbax, which takes all arrays at once.

    Raises:
        ValueError: If an array is empty, or a name is no place in a directory.
    """
    import orbax.checkpoint as ocp

    for tensor in tensors:
        _check_name(tensor.name)
    empty = [tensor.name for tensor in tensors if tensor.array.size == 0]
    if empty:
        raise ValueError(
            f"convert: {empty[0]!r} must not be empty: Orbax does not save it. "
            "Use --to msgpack."
        )
    tree = nest([t.name for t in tensors], [t.value() for t in tensors])
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(path.resolve(), tree)
    finally:
        for half in path.parent.glob(f"{path.name}.orbax-checkpoint-tmp*"):
            shutil.rmtree(half)
    for _ in tensors:
        done()
