"""safetensors, written tensor by tensor; and files that are whole or not there."""

import json
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from parity.convert.dtypes import SAFETENSORS, TORCH
from parity.convert.torch import numpy_of

_NAMES = {TORCH[torch]: name for name, torch in SAFETENSORS.items()}


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path beside `path`, which takes its place if the block does not fail."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        _ = part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_safetensors(
    tensors: Mapping[str, Any],
    path: Path,
    done: Callable[[str], None] = lambda _: None,
) -> None:
    """Write names to arrays; `done` is called after each with its name.

    Raises:
        TypeError: If a value is not an array.
        ValueError: If its type is none of safetensors.
    """
    order = sorted(tensors, key=lambda name: (-_item(name, tensors[name])[1], name))
    header = json.dumps(_header({name: tensors[name] for name in order})).encode()
    header += b" " * (-len(header) % 8)
    with beside(path) as part, part.open("wb") as file:
        _ = file.write(struct.pack("<Q", len(header)) + header)
        for name in order:
            array = np.ascontiguousarray(numpy_of(name, tensors[name], "write_tensors"))
            _ = file.write(array.reshape(-1).view(np.uint8).data)
            done(name)


def _header(tensors: Mapping[str, Any]) -> dict[str, Any]:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in tensors.items():
        kind, size = _item(name, tensor)
        end = at + size * int(np.prod(tensor.shape, dtype=object))
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [at, end],
        }
        at = end
    return header


def _item(name: str, tensor: Any) -> tuple[str, int]:
    """The type of safetensors, and the bytes of an element."""
    dtype = numpy_of(name, tensor, "write_tensors").dtype.newbyteorder("=")
    if dtype not in _NAMES:
        raise ValueError(
            f"write_tensors: {name}.dtype={dtype} must be a type of safetensors: it is "
            "the format that is written. Convert it first."
        )
    return _NAMES[dtype], dtype.itemsize
