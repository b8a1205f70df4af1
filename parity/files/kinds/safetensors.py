"""safetensors: a JSON header, and the bytes of the tensors, which are mapped."""

import json
import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import TORCH, bytes_of, mapping_of, native, numpy_of, same_bits
from parity.files.beside import beside
from parity.files.bounds import MOST_HEADER, DamagedError
from parity.files.reading import Reading
from parity.files.source import Leaf, Leaves, Source, Unreadable, view_of
from parity.files.strict_json import parse_json
from parity.files.tensor import Done, Tensor
from parity.machine import INSTALL_TORCH
from parity.names.keys import pairs_of

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_TEXTS = "__metadata__"  # the one name that no tensor may have
_TYPE_NAMES = {TORCH[torch]: name for name, torch in _TYPES.items()}


def is_safetensors(reading: Reading) -> bool:
    """Whether it starts with the length of a header, within the file, and a brace."""
    return reading.start[8:9] == b"{" and _length(reading.source) <= len(reading.source)


def may_be_safetensors(reading: Reading) -> bool:
    """Whether it has the suffix, by which a damaged file is told."""
    return reading.path.suffix.lower() == ".safetensors"


def read_safetensors(reading: Reading) -> Leaves:
    """Every tensor, as a view of the file.

    Raises:
        DamagedError: If the header promises what is not there, or bytes are left over.
    """
    source = reading.source
    length = _length(source)
    if length > MOST_HEADER or 8 + length > len(source):
        raise DamagedError(
            f"its header would have {length} bytes, and the file has {len(source)}"
        )
    header = parse_json(bytes(source.view[8 : 8 + length]), "header")
    reading.metadata.update(_texts(header.pop(_TEXTS, None)))
    data = source.view[8 + length :]
    _check_covered([_span(name, header[name]) for name in header], len(data))
    return {name: _tensor_of_entry(name, entry, data) for name, entry in header.items()}


def _texts(metadata: Any) -> dict[str, str]:
    """The texts beside the tensors: names to text, and nothing else."""
    pairs = metadata.items() if isinstance(metadata, dict) else ()
    return {name: text for name, text in pairs if isinstance(text, str)}


def _length(source: Source) -> int:
    """Bytes of the header."""
    if len(source) < 8:
        raise DamagedError(f"it has {len(source)} bytes and no header")
    return struct.unpack("<Q", source.view[:8])[0]


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


def _tensor_of_entry(name: str, entry: dict[str, Any], data: memoryview) -> Leaf:
    """The tensor of an entry in the header."""
    start, end = _span(name, entry)
    kind = _TYPES.get(str(entry.get("dtype")))
    if kind is None:
        return Unreadable(f"numbers of the type {printable(entry.get('dtype'), 40)}")
    array = view_of(data[start:end], TORCH[kind], entry.get("shape"))
    if array.nbytes != end - start:
        raise DamagedError(
            f"{printable(name)!r} of shape {list(array.shape)} needs {array.nbytes} "
            f"bytes and has {end - start}"
        )
    return array


def write_safetensors(
    tensors: Sequence[Tensor],
    path: Path,
    done: Done,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """The header, then tensor by tensor, those of the widest types first.

    Args:
        tensors: What to write.
        path: Where to.
        done: Called after each tensor.
        metadata: Texts to keep beside them.

    Raises:
        ValueError: If safetensors has no name for a type, or a name is its own.
    """
    order = sorted(tensors, key=lambda tensor: (-tensor.dtype.itemsize, tensor.name))
    header = json.dumps(_header_of(order, metadata or {})).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        _ = file.write(struct.pack("<Q", len(header)) + header)
        for tensor in order:
            _ = file.write(bytes_of(tensor.value()))
            done()


def _header_of(
    tensors: Sequence[Tensor], metadata: Mapping[str, str]
) -> dict[str, Any]:
    header: dict[str, Any] = {_TEXTS: {"format": "pt", **metadata}}
    at = 0
    for tensor in tensors:
        if tensor.name == _TEXTS:
            raise ValueError(
                f"{_TEXTS!r} must not be the name of a tensor: safetensors keeps its "
                "texts there. Rename it first, or write another format."
            )
        if tensor.dtype not in _TYPE_NAMES:
            raise ValueError(
                f"{tensor.name}.dtype={tensor.dtype} must be a type of safetensors: "
                "it is the format that is written. Convert it first, or write "
                "another format."
            )
        header[tensor.name] = {
            "dtype": _TYPE_NAMES[tensor.dtype],
            "shape": list(tensor.array.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    return header


def write_tensors(tensors: Any, path: str | os.PathLike[str]) -> None:
    """Write a `.safetensors` file, bit for bit; never a half-written one.

    Args:
        tensors: Names to JAX, NumPy or torch arrays, or a module of torch or ours;
            names of nested mappings are joined by dots.
        path: Where to; an existing file is replaced only once the new one is whole.

    Raises:
        ValueError: If the suffix is not `.safetensors`, or a name cannot be written.
        TypeError: If it is neither mapping nor module, or a value is not an array.
        OSError: If what is read back differs from what was written.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"write_tensors: path must be the path of a file, not "
            f"{type(path).__name__}: it is written beside its place, then renamed. "
            "Give one that ends in .safetensors."
        )
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        raise ValueError(
            f"{path}: suffix {path.suffix!r} must be .safetensors: it is the format "
            "that is written. Rename it; for torch's own format, use "
            "torch.save(parity.to_torch(params), path), which needs torch "
            f"({INSTALL_TORCH})."
        )
    pairs = list(pairs_of(mapping_of(tensors, "write_tensors")))
    _check_distinct(name for name, _ in pairs)
    arrays = {name: numpy_of(name, a, "write_tensors") for name, a in pairs}
    _check_place(path)
    with beside(path) as part:
        ordered = [Tensor(name, array, array.dtype) for name, array in arrays.items()]
        write_safetensors(ordered, part, lambda: None)
        _check_written(path, part, arrays)


def _check_place(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"write_tensors: {path.parent} must be a directory: {path.name} is to be "
            "written there. Make it first, or give another place."
        )


def _check_distinct(names: Iterable[str]) -> None:
    """Refuse two names that are the same text, of which one would be lost."""
    twice = [text for text, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"write_tensors: {twice[0]!r} must be the name of one tensor: a file has "
            "texts as names, and two of yours are this one. Rename one."
        )


def _check_written(path: Path, part: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse to put a file in its place that does not hold what was written."""
    try:
        back = read_safetensors(Reading(part, read_safetensors))
        whole = back.keys() == arrays.keys()
        pairs = [(np.asarray(back[n]), native(arrays[n])) for n in back if whole]
        whole = whole and all(same_bits(*pair) for pair in pairs)
    except DamagedError:
        whole = False
    if not whole:
        raise OSError(
            f"write_tensors: {path} was not read back as it was written, so it was not "
            "made. Is the disk whole?"
        )
