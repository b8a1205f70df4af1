"""Hostile models of ONNX."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from tests.given.onnx_models import H, I, drawn, external, single

Files = Iterator[tuple[str, bytes]]


def cut(good: bytes, seed: int) -> Files:
    """A good file, cut off anywhere."""
    rng = random.Random(seed)
    for at in sorted(rng.sample(range(8, len(good)), 20)):
        yield f"cut off at {at}.onnx", good[:at]


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def wrong_bytes(seed: int) -> Files:
    """What looks like ONNX and is none: noise, depth, and lengths that lie."""
    rng = random.Random(seed)
    for k in range(6):
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(50, 500)))
        yield f"noise {k}.onnx", b"\x08\x08\x3a" + noise
    for name, depth in (("deep", 200), ("deeper", 3000)):
        nested = b""
        for _ in range(depth):
            # A graph in an attribute of a node of a graph.
            nested = _field(1, _field(5, _field(6, nested)))
        yield f"{name}.onnx", b"\x08\x08" + _field(7, nested)
    for size in (2**31, 2**62, rng.randrange(2**33, 2**40)):
        yield f"promises {size}.onnx", b"\x08\x08\x3a" + _varint(size) + b"\x0a\x00"
    yield "no graph.onnx", b"\x08\x08\x42\x04\x0a\x00\x10\x0e"
    yield "no version.onnx", b"\x08\x08" + _field(7, _field(2, b"x"))
    yield "empty graph, no version.onnx", b"\x08\x08\x3a\x00"


def changed_tensors(seed: int) -> Files:
    """A tensor that is not what its shape says."""
    rng = random.Random(seed)
    huge = rng.randrange(2**33, 2**50)

    def variants() -> Iterator[tuple[str, dict[str, Any]]]:
        yield "short", {"raw_data": b"\0" * rng.randrange(1, 300)}
        yield "long", {"raw_data": b"\0" * 4000}
        yield "odd", {"raw_data": b"\0" * 321}
        yield "empty", {"raw_data": b""}
        yield "huge", {"dims": [1, huge, 4]}
        yield "huge product", {"dims": [2**20, 2**20, 2**20]}
        yield "overflow", {"dims": [2**62, 2**62]}
        yield "negative", {"dims": [-1, 16, 5]}
        yield "many axes", {"dims": [1] * 60}
        yield "wider type", {"data_type": 11}
        yield "narrower type", {"data_type": 10}

    for name, fields in variants():
        for weight in range(2):
            yield f"{name} {weight}.onnx", _with_tensor(weight, fields)


def _with_tensor(place: int, fields: dict[str, Any]) -> bytes:
    proto = single(drawn())
    tensor = proto.graph.initializer[place]
    for name, value in fields.items():
        if name == "dims":
            del tensor.dims[:]
            tensor.dims.extend(value)
        else:
            setattr(tensor, name, value)
    return proto.SerializeToString()


OUTSIDE = (
    *("/etc/passwd", "../secret.bin", "a/../../secret.bin", "..\\secret.bin"),
    *("/proc/self/mem", "link.bin", "", "a\0b", "x" * 300, "/dev/zero", "missing.bin"),
    *("folder", "~/secret.bin", "file:///etc/passwd"),
)


def outside() -> Files:
    """Tensors beside a model that are not in its folder, or not there."""
    for k, location in enumerate(OUTSIDE):
        yield f"outside {k}.onnx", external(location)


def beside(seed: int) -> Files:
    """Tensors in a file beside a model, at places where it has no such bytes."""
    rng = random.Random(seed)
    told = (
        {"offset": str(rng.randrange(10**6, 10**17))},
        {"offset": "0", "length": str(rng.randrange(10**6, 10**17))},
        *({"offset": "-4", "length": "320"}, {"length": "-1"}, {"offset": "0x10"}),
        *({"offset": "1e3"}, {"length": "9" * 30}, {"offset": "٣"}, {"length": ""}),
        {"offset": "4", "length": "320"},
    )
    for k, place in enumerate(told):
        yield f"beside {k}.onnx", external("weights.bin", **place)


def twice() -> Files:
    """Two tensors of one name: which is meant depends on the reader."""
    proto = single(drawn())
    proto.graph.initializer.append(proto.graph.initializer[0])
    yield "twice.onnx", proto.SerializeToString()
    proto = single(drawn())
    value = numpy_helper.from_array(np.zeros((1, 4 * H, I), np.float32))
    constant = helper.make_node("Constant", [], ["W"], value=value)
    proto.graph.node.insert(0, constant)
    yield "constant, too.onnx", proto.SerializeToString()


def hostile(seed: int) -> dict[str, dict[str, bytes]]:
    """Files by what is wrong with them; each is refused."""
    good = single(drawn(seed)).SerializeToString()
    return {
        "cut off": dict(cut(good, seed)),
        "not ONNX": dict(wrong_bytes(seed)),
        "tensors that lie": dict(changed_tensors(seed)),
        "tensors outside": dict(outside()),
        "tensors beside that lie": dict(beside(seed)),
        "twice": dict(twice()),
    }
