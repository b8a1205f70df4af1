"""Torch's archives, since 1.6, and TorchScript's: a pickle and its storages in a zip.

`torch.jit.load` runs the program in a TorchScript archive, so it is never called.
"""

import io
import sys
from typing import Any

from parity.files.bounds import DamagedError
from parity.files.kinds.torch_legacy import load_bytes
from parity.files.pickle.globals import Globals
from parity.files.pickle.inert import Storage, StorageType
from parity.files.pickle.machine import unpickle
from parity.files.zip import Members
from parity.show import printable


def root_of(members: Members) -> str | None:
    """The folder in the archive that holds `data.pkl`, with its slash."""
    found = [name for name in members.infos if name.endswith("data.pkl")]
    folders = [name.removesuffix("data.pkl") for name in found]
    folders = [folder for folder in folders if folder.count("/") == 1 or not folder]
    return folders[0] if len(folders) == 1 else None


def read_torch_zip(members: Members, folder: str, names: Globals) -> Any:
    """The tree in the archive: containers, arrays and inert objects."""
    tree = _read(members, folder, "data", names)
    if f"{folder}constants.pkl" not in members:
        return tree
    constants = _read(members, folder, "constants", names)
    return _with_constants(tree, constants)


def is_torchscript(members: Members, folder: str) -> bool:
    """Whether there is a program beside the weights."""
    code = f"{folder}code/"
    return any(name.startswith(code) for name in members.infos)


def _with_constants(tree: Any, constants: Any) -> Any:
    """The module with the tensors of its program under the name it gives them."""
    if isinstance(constants, (list, tuple)) and hasattr(tree, "entries"):
        named = {f"c{place}": value for place, value in enumerate(constants)}
        tree.entries["CONSTANTS"] = named
    return tree


def _read(members: Members, folder: str, part: str, names: Globals) -> Any:
    swapped = _is_swapped(members, folder)
    held: dict[str, memoryview | bytes] = {}

    def storage(pid: Any) -> Storage:
        match pid:
            case ("storage", StorageType() as type, str(key), _, int(count), *_):
                pass
            case _:
                raise DamagedError("its pickle refers to what is no storage")
        if key not in held:
            held[key] = members[f"{folder}{part}/{key}"]
        if type.dtype is not None and len(held[key]) < count * type.dtype.itemsize:
            raise DamagedError(f"its storage {printable(key)!r} is cut off")
        return Storage(held[key], type, swapped)

    file = io.BytesIO(members[f"{folder}{part}.pkl"])
    return unpickle(file, names.find, storage)


def _is_swapped(members: Members, folder: str) -> bool:
    name = f"{folder}byteorder"
    order = bytes(members[name]) if name in members else b"little"
    if order not in (b"little", b"big"):
        raise DamagedError(f"its byte order is {printable(order, 20)}")
    return order.decode() != sys.byteorder


def globals_of_torch() -> Globals:
    """A new table of globals, in which bytes may hold an old torch file."""
    return Globals(load_bytes)
