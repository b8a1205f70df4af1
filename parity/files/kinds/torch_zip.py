"""Torch's archives since 1.6, and TorchScript's: a pickle and its storages in a zip.

`torch.jit.load` runs the program in a TorchScript archive, so it is never called.
"""

import io
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lstm_jax.terminal import printable
from parity.arrays import tensor_of
from parity.files.bounds import DamagedError
from parity.files.kinds.torch_legacy import globals_for
from parity.files.pickle.globals import Globals
from parity.files.pickle.inert import Storage, StorageType
from parity.files.pickle.machine import unpickle
from parity.files.reading import Reading
from parity.files.source import Bytes, Leaves
from parity.files.tensor import Done, Tensor
from parity.files.tree import flatten
from parity.files.zip import Members


def is_torch_zip(reading: Reading) -> bool:
    """Whether one folder of the archive holds a pickle, and no program."""
    return _folder(reading.names) is not None and not _has_program(reading)


def is_torchscript(reading: Reading) -> bool:
    """Whether one folder of the archive holds a pickle and a program."""
    return _folder(reading.names) is not None and _has_program(reading)


def _folder(names: Iterable[str]) -> str | None:
    """The folder of `data.pkl`, with its slash; None if there are two, or none."""
    found = [name for name in names if name.endswith("data.pkl")]
    folders = [name.removesuffix("data.pkl") for name in found]
    folders = [folder for folder in folders if folder.count("/") == 1 or not folder]
    return folders[0] if len(folders) == 1 else None


def _has_program(reading: Reading) -> bool:
    code = f"{_folder(reading.names)}code/"
    return any(name.startswith(code) for name in reading.names)


def read_torch_zip(reading: Reading) -> Leaves:
    """Every tensor, as a view of the file; those of a program among its constants.

    Raises:
        DamagedError: If the archive or its pickle is damaged, or a storage is missing.
    """
    archive = _archive_of(reading.members, reading)
    tree = archive.tree("data")
    if archive.has("constants.pkl"):
        tree = _with_constants(tree, archive.tree("constants"))
    return flatten(tree, len(reading.source) + reading.members.unpacked)


def read_archive(reading: Reading, name: str) -> Leaves:
    """Every tensor of a torch file that is a member of an archive.

    Raises:
        DamagedError: As for `read_torch_zip`.
    """
    members = Members(Bytes(reading.members[name]))
    tree = _archive_of(members, reading).tree("data")
    return flatten(tree, len(members.source) + members.unpacked)


def _archive_of(members: Members, reading: Reading) -> "_Archive":
    return _Archive(members, _folder(members.infos) or "", globals_for(reading))


def _with_constants(tree: Any, constants: Any) -> Any:
    """The module with the tensors of its program, under the names that it has there."""
    if isinstance(constants, (list, tuple)) and hasattr(tree, "entries"):
        named = {f"c{place}": value for place, value in enumerate(constants)}
        tree.entries["CONSTANTS"] = named
    return tree


class _Archive:
    """The pickles and storages in a folder of an archive."""

    def __init__(self, members: Members, folder: str, names: Globals) -> None:
        self.members, self.folder, self.names = members, folder, names
        self.swapped = self._is_swapped()

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return f"{self.folder}{name}" in self.members

    def member(self, name: str) -> memoryview | bytes:
        """The bytes of a member."""
        return self.members[f"{self.folder}{name}"]

    def tree(self, part: str) -> Any:
        """What a pickle describes, with the storages beside it."""
        held: dict[str, memoryview | bytes] = {}
        stream = io.BytesIO(self.member(f"{part}.pkl"))
        find = self.names.find
        return unpickle(stream, find, lambda pid: self._storage(part, pid, held))

    def _storage(
        self, part: str, pid: Any, held: dict[str, memoryview | bytes]
    ) -> Storage:
        match pid:
            case ("storage", StorageType() as type, str(key), _, int(count), *_):
                pass
            case _:
                raise DamagedError("its pickle refers to something that is no storage")
        if key not in held:
            held[key] = self.member(f"{part}/{key}")
        if type.dtype is not None and len(held[key]) < count * type.dtype.itemsize:
            raise DamagedError(f"its storage {printable(key)!r} is cut off")
        return Storage(held[key], type, self.swapped)

    def _is_swapped(self) -> bool:
        order = bytes(self.member("byteorder")) if self.has("byteorder") else None
        if order not in (None, b"little", b"big"):
            raise DamagedError(f"its byte order is {printable(order, 20)}")
        return (order or b"little").decode() != sys.byteorder


def write_torch_zip(tensors: Sequence[Tensor], path: Path, done: Done) -> None:
    """`torch.save` of a state dict; what is not cast is streamed from its file."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a mapped array cannot be written to
        state_dict = {t.name: tensor_of(t.value(), copy=False) for t in tensors}
        torch.save(state_dict, path)
    for _ in tensors:
        done()
