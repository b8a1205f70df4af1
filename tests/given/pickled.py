"""Good pickles and torch files, put together by hand so that a part can be wrong.

A fragment is the instructions of a pickle that leave one value on its stack.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

TENSORS = {
    "lstm.weight_ih_l0": np.arange(24, dtype=np.float32).reshape(8, 3),
    "lstm.weight_hh_l0": np.arange(16, dtype=np.float32).reshape(8, 2),
}
NUMBERS = np.arange(40, dtype=np.float32).tobytes()


def value(held: Any) -> bytes:
    return pickle.dumps(held, 2)[2:-1]


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def call(name: str, *arguments: bytes) -> bytes:
    return named(name) + b"(" + b"".join(arguments) + b"tR"


def entries(**fragments: bytes) -> bytes:
    pairs = (value(name) + part for name, part in fragments.items())
    return b"}(" + b"".join(pairs) + b"u"


def whole(fragment: bytes) -> bytes:
    return b"\x80\x02" + fragment + b"."


def storage(
    key: Any = "0", kind: str = "torch.FloatStorage", more: bytes = b""
) -> bytes:
    parts = [value("storage"), named(kind), value(key), value("cpu"), value(40)]
    return b"(" + b"".join(parts) + more + b"tQ"


def tensor(
    offset: Any = 0, size: Any = (8, 3), stride: Any = (3, 1), held: bytes | None = None
) -> bytes:
    where = [storage() if held is None else held]
    where += [value(offset), value(size), value(stride), value(False)]
    return call("torch._utils._rebuild_tensor_v2", *where, named("collections.X"))


def array(name: str) -> bytes:
    return value(TENSORS[name])


def with_lstm(extra: bytes, hidden: bytes | None = None) -> bytes:
    """A pickle with a good LSTM in it, and something else beside."""
    parts = {name: array(name) for name in TENSORS} if hidden is None else {}
    if hidden is not None:
        parts = {"lstm.weight_ih_l0": tensor(), "lstm.weight_hh_l0": hidden}
    return whole(entries(**parts, extra=extra))


def archive(members: dict[str, bytes], **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


def torch_zip(data: bytes, **members: bytes) -> bytes:
    held = {"a/data.pkl": data, "a/byteorder": b"little", "a/data/0": NUMBERS}
    return archive(held | {f"a/{name}": part for name, part in members.items()})


def torch_old(
    data: bytes, keys: Any = ("0",), count: int = 40, version: int = 1001
) -> bytes:
    header = [0x1950A86A20F9469CFC6C, version, {"little_endian": True}]
    pickles = [pickle.dumps(part, 2) for part in header]
    listed = pickle.dumps(list(keys), 2)
    return b"".join([*pickles, data, listed, struct.pack("<q", count), NUMBERS])


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "plain.pkl": lambda data: data,
    "new.pt": torch_zip,
    "old.pt": lambda data: torch_old(data, keys=()),
    "script.ts": lambda data: torch_zip(data, **{"constants.pkl": whole(b")")}),
}
