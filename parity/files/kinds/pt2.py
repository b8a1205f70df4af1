"""Programs of `torch.export`: an archive with a table of weights, and their bytes.

Before torch 2.9 the weights are a torch file within the archive.
"""

import re
import sys
from typing import Any

from parity.arrays import TORCH
from parity.files.bounds import DamagedError
from parity.files.kinds.torch_zip import read_archive
from parity.files.reading import Reading
from parity.files.source import Leaf, Leaves, Unreadable, view_of
from parity.files.strict_json import parse_json
from parity.files.tree import flatten
from parity.files.zip import Members

_TABLE = re.compile(r"(?P<folder>(.*/)?data/(weights|constants)/)[^/]+_config\.json")
_WITHIN = re.compile(
    r"(.*/)?(serialized_(state_dict|constants)\.\w+|data/weights/[^/]+\.pt)"
)
# Torch's numbers of its types, of those that have names in common with NumPy's.
_FROM_1 = "uint8 int8 int16 int32 int64 float16 float32 float64 - complex64 complex128"
_FROM_12, _FROM_28 = "bool bfloat16", "uint16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz"
_FROM_28 += " float8_e5m2fnuz float8_e8m0fnu uint32 uint64"
_NUMBERED = {
    **dict(enumerate(f"{_FROM_1} {_FROM_12}".split(), 1)),
    **dict(enumerate(_FROM_28.split(), 28)),
}


def is_pt2(reading: Reading) -> bool:
    """Whether it is an archive with a table of weights, or a torch file of them."""
    return any(_TABLE.fullmatch(n) or _WITHIN.fullmatch(n) for n in reading.names)


def read_pt2(reading: Reading) -> Leaves:
    """Every tensor, as a view of the file, by the names that the program has for them.

    Raises:
        DamagedError: If a table or a torch file is damaged, or a tensor is not whole.
    """
    found: dict[str, Any] = {}
    for name in reading.names:
        if match := _TABLE.fullmatch(name):
            table = parse_json(bytes(reading.members[name]), "table of weights")
            found |= _in_table(table, match["folder"], reading.members)
        elif _WITHIN.fullmatch(name):
            found |= read_archive(reading, name)
    if not is_pt2(reading):
        raise DamagedError("it has no table of weights")
    return flatten(found, len(reading.source) + reading.members.unpacked)


def _in_table(table: dict[str, Any], folder: str, members: Members) -> Leaves:
    """The tensors that a table lists."""
    entries = table.get("config")
    if not isinstance(entries, dict):
        raise DamagedError("its table of weights has no `config`")
    return {name: _tensor(entry, folder, members) for name, entry in entries.items()}


def _tensor(entry: Any, folder: str, members: Members) -> Leaf:
    match entry:
        case {"use_pickle": True}:
            return Unreadable("an object that is pickled on its own")
        case {
            "path_name": str(path),
            "tensor_meta": {
                "dtype": int(number),
                "sizes": list(sizes),
                "strides": list(strides),
                "storage_offset": offset,
            },
        }:
            pass
        case _:
            raise DamagedError("its table of weights has an entry without a tensor")
    dtype = TORCH.get(_NUMBERED.get(number, ""))
    if dtype is None:
        return Unreadable(f"numbers of torch's type {number}")
    place = [*map(_whole, sizes)], [*map(_whole, strides)], _whole(offset)
    swapped = sys.byteorder == "big"
    return view_of(
        memoryview(members[f"{folder}{path}"]),
        dtype,
        *place,
        swapped=swapped,
    )


def _whole(size: Any) -> Any:
    """A size that is fixed in the program."""
    return size.get("as_int") if isinstance(size, dict) else size
