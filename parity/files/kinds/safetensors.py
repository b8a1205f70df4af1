"""safetensors: a JSON header and the bytes, mapped; and models in several files."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from parity.arrays import SAFETENSORS, TORCH
from parity.files.bounds import MOST_HEADER, MOST_SHARDS, DamagedError
from parity.files.pickle.inert import Unreadable
from parity.files.source import Source, view_of
from parity.show import printable

Leaf = np.ndarray | Unreadable


def looks_like_safetensors(source: Source) -> bool:
    """Whether it starts with a length and a brace."""
    return bytes(source.view[8:9]) == b"{" and _length(source) <= len(source)


def read_safetensors(source: Source) -> dict[str, Leaf]:
    """Every tensor, as a view of the file.

    Raises:
        DamagedError: If the header promises what is not there, or bytes are left over.
    """
    length = _length(source)
    if length > MOST_HEADER or 8 + length > len(source):
        raise DamagedError(
            f"its header is to have {length} bytes, of a file of {len(source)}"
        )
    header = parse_json(bytes(source.view[8 : 8 + length]), "header")
    _ = header.pop("__metadata__", None)
    data = source.view[8 + length :]
    _check_covered([_span(name, header[name]) for name in header], len(data))
    return {name: _tensor(name, entry, data) for name, entry in header.items()}


def parse_json(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object without a key twice, out of a file.

    Raises:
        DamagedError: If it is none.
    """
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise DamagedError(f"its {what} is nested too deep") from None
    except DamagedError:
        raise
    except ValueError as error:
        raise DamagedError(f"its {what} is no JSON ({printable(error, 80)})") from None
    if not isinstance(found, dict):
        raise DamagedError(f"its {what} is no JSON object")
    return found


def read_index(
    source: Source, read: Callable[[Path], dict[str, Leaf]]
) -> dict[str, Leaf]:
    """The tensors that an index finds in the files beside it.

    Args:
        source: The index: JSON with names and files under `weight_map`.
        read: Reads one file.

    Raises:
        DamagedError: If it names a file elsewhere, or a tensor that its file has not.
    """
    if len(source) > MOST_HEADER:
        raise DamagedError(f"its index has more than {MOST_HEADER} bytes")
    places = parse_json(bytes(source.view), "index").get("weight_map")
    if not isinstance(places, dict) or not places:
        raise DamagedError("its JSON has no `weight_map`, names to files")
    names = {_beside(name) for name in places.values()}
    if len(names) > MOST_SHARDS:
        raise DamagedError(f"its index names more than {MOST_SHARDS} files")
    files = {name: read(source.path.parent / name) for name in sorted(names)}
    missing = [name for name, place in places.items() if name not in files[place]]
    if missing:
        raise DamagedError(
            f"{printable(places[missing[0]])!r} has no {printable(missing[0])!r}, "
            "which the index promises"
        )
    return {name: files[place][name] for name, place in places.items()}


def _beside(name: Any) -> str:
    """The name of a file in the same directory, and not the way to another."""
    plain = isinstance(name, str) and name not in ("", ".", "..")
    if not plain or any(c in name for c in "/\\:\0"):
        raise DamagedError(
            f"its index names the file {printable(name, 80)!r}, which is not beside it",
            "Put all files in one directory.",
        )
    return name


def _length(source: Source) -> int:
    if len(source) < 8:
        raise DamagedError(f"it has {len(source)} bytes and no header")
    return struct.unpack("<Q", source.view[:8])[0]


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in found if names.count(name) > 1)
        raise DamagedError(f"it has the name {printable(double)!r} twice")
    return found


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor's bytes start and end."""
    match entry:
        case {"data_offsets": [int(start), int(end)]} if 0 <= start <= end:
            return start, end
    raise DamagedError(f"{printable(name)!r} has no place in its header")


def _check_covered(spans: list[tuple[int, int]], size: int) -> None:
    """Refuse bytes that are in no tensor or in two, as safetensors itself does."""
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise DamagedError("its tensors overlap, or leave bytes between them")
        at = end
    if at != size:
        raise DamagedError(f"its tensors need {at} bytes and it has {size}")


def _tensor(name: str, entry: dict[str, Any], data: memoryview) -> Leaf:
    start, end = _span(name, entry)
    kind = SAFETENSORS.get(str(entry.get("dtype")))
    if kind is None:
        return Unreadable(f"numbers of the type {printable(entry.get('dtype'), 40)}")
    array = view_of(data[start:end], TORCH[kind], entry.get("shape"))
    if array.nbytes != end - start:
        raise DamagedError(
            f"{printable(name)!r} of shape {list(array.shape)} needs {array.nbytes} "
            f"bytes and has {end - start}"
        )
    return array
