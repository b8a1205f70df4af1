"""Which format a file has, told by its bytes, and the reader for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from parity.files.bounds import DamagedError, cannot
from parity.files.kinds.msgpack import looks_like_msgpack, read_msgpack
from parity.files.kinds.npz import is_npz, read_npz
from parity.files.kinds.safetensors import (
    looks_like_safetensors,
    read_index,
    read_safetensors,
)
from parity.files.kinds.torch_legacy import MAGIC, load_bytes, read_torch_legacy
from parity.files.kinds.torch_zip import is_torchscript, read_torch_zip, root_of
from parity.files.pickle.globals import Globals
from parity.files.pickle.inert import Unreadable
from parity.files.pickle.machine import unpickle
from parity.files.source import Source, open_source
from parity.files.tree import flatten
from parity.files.zip import Members
from parity.show import printable

Leaves = dict[str, np.ndarray | Unreadable]

_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_NOT_READ = {
    b"\x89HDF": ("HDF5", "Load it with Keras and save its weights as .npz."),
    b"\x1f\x8b": ("gzip", "Unpack it with gunzip first."),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "Unpack it with unzstd first."),
    b"BZh": ("bzip2", "Unpack it with bunzip2 first."),
    b"\xfd7zXZ": ("xz", "Unpack it with unxz first."),
    b"\x93NUMPY": ("one array without a name", "Save with numpy.savez instead."),
    b"GGUF": ("GGUF", "Fetch the safetensors file of the model."),
    b"version ": ("a pointer of Git LFS", "Fetch the file itself with git lfs pull."),
    b"<": ("a page of the web", "Fetch the file itself."),
}


@dataclass
class Reading:
    """A file as it is read: its format, the files it needs, and what was unknown."""

    source: Source
    format: str = "a file of weights"
    globals: Globals = field(default_factory=lambda: Globals(load_bytes))
    sources: list[Source] = field(default_factory=list)

    def leaves(self) -> Leaves:
        """Every tensor.

        Raises:
            ValueError: If it is of no format that is read, or damaged.
        """
        self.sources.append(self.source)
        try:
            return _choose(self)(self)
        except DamagedError as error:
            raise cannot(self.source.path, self.format, error) from None


def _choose(reading: Reading) -> Callable[[Reading], Leaves]:
    """What reads it."""
    start = bytes(reading.source.view[:16])
    if start[:4] in (b"PK\3\4", b"PK\5\6", b"PK\1\2"):
        return _read_zip
    if start.startswith(MAGIC):
        return _read_legacy
    if start[:1] == b"{":
        return _read_index
    if looks_like_safetensors(reading.source):
        return _read_safetensors
    if start[:1] == b"\x80" and start[1:2] <= b"\5":
        return _read_pickle
    if looks_like_msgpack(start) and reading.source.path.suffix != ".safetensors":
        return _read_msgpack
    return _of_no_format(reading.source, start)


def _of_no_format(source: Source, start: bytes) -> Callable[[Reading], Leaves]:
    """What the suffix says that it was meant to be, so that it says what is wrong."""
    for magic, (name, cure) in _NOT_READ.items():
        if start.startswith(magic):
            raise ValueError(
                f"{source.path} must be a file of weights that is read here: it is "
                f"{name}. {cure}"
            )
    if source.path.suffix == ".safetensors":
        return _read_safetensors
    if source.path.suffix in _PICKLE_SUFFIXES and start[0] in b"(]}cldt":
        return _read_pickle
    raise ValueError(
        f"{source.path} must be a torch file, safetensors, npz, a pickle or an index "
        f"of several files: it starts with the bytes {start[:4].hex(' ')}, as none of "
        "these does. Fetch it again, or give another file."
    )


def _read_zip(reading: Reading) -> Leaves:
    members = Members(reading.source)
    folder = root_of(members)
    if folder is not None:
        script = is_torchscript(members, folder)
        reading.format = "TorchScript" if script else "a torch file"
        return flatten(read_torch_zip(members, folder, reading.globals))
    if is_npz(members):
        reading.format = "npz"
        return read_npz(members)
    reading.format = "a zip archive of weights"
    if any(name.endswith("model.json") for name in members.infos):
        raise DamagedError(
            "it is TorchScript from before torch 1.4", "Save it with a newer torch."
        )
    listed = ", ".join(printable(name, 40) for name in list(members.infos)[:3])
    raise DamagedError(
        f"it holds {listed or 'nothing'}, and neither one data.pkl nor arrays alone",
        "Unpack it, and give the file of weights in it.",
    )


def _read_legacy(reading: Reading) -> Leaves:
    reading.format = "an old torch file"
    source = reading.source
    return flatten(read_torch_legacy(source.map, source.view, reading.globals))


def _read_pickle(reading: Reading) -> Leaves:
    reading.format = "a pickle"
    return flatten(unpickle(reading.source.map, reading.globals.find))


def _read_msgpack(reading: Reading) -> Leaves:
    reading.format = "msgpack"
    return flatten(read_msgpack(reading.source))


def _read_safetensors(reading: Reading) -> Leaves:
    reading.format = "safetensors"
    return read_safetensors(reading.source)


def _read_index(reading: Reading) -> Leaves:
    reading.format = "an index"

    def one(path: Path) -> Leaves:
        part = Reading(
            open_source(path), globals=reading.globals, sources=reading.sources
        )
        if bytes(part.source.view[:1]) == b"{":
            raise DamagedError(f"it names {printable(path.name)!r}, an index itself")
        return part.leaves()

    return read_index(reading.source, one)
