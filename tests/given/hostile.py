"""Hostile files, made from good ones: each is refused with a sentence, or harmless."""

import io
import json
import random
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.given.hostile_tables import joblibs, programs_of_export
from tests.given.pickled import (
    CONTAINERS,
    NUMBERS,
    TENSORS,
    archive,
    array,
    call,
    entries,
    named,
    storage,
    tensor,
    torch_old,
    torch_zip,
    value,
    whole,
    with_lstm,
)

HUGE = 10**13
Files = Iterator[tuple[str, bytes]]

# One a line would be a page.
PROGRAMS = """__builtin__.apply __builtin__.eval _io.FileIO _pickle.loads
builtins.__import__ builtins.breakpoint builtins.compile builtins.eval builtins.exec
builtins.getattr builtins.open builtins.setattr code.InteractiveInterpreter
ctypes.CDLL dill.loads importlib.import_module io.open joblib.load marshal.loads
multiprocessing.Process nt.system numpy.load numpy.testing._private.utils.runstring
operator.attrgetter os.system pdb.run pickle.loads posix.system pty.spawn
runpy.run_path shutil.rmtree socket.socket subprocess.Popen subprocess.check_output
sys.setrecursionlimit timeit.timeit torch.hub.load torch.jit.load torch.load
torch.serialization.load torch.utils.cpp_extension.load types.FunctionType
webbrowser.open"""


def programs(canary: str) -> Files:
    """Pickles that would run something, in each container and by each instruction."""
    run = value(f"touch {canary}")
    for place, name in enumerate(PROGRAMS.split()):
        module, _, attribute = name.rpartition(".")
        words = value(module) + value(attribute)
        ways = [
            call(name, run),
            words + b"\x93(" + run + b"tR",
            b"(" + run + f"i{module}\n{attribute}\n".encode(),
            b"(" + named(name) + run + b"o",
            named(name) + b"(" + run + b"t\x81",
            named(name) + b"(" + run + b"t}\x92",
            named("collections.OrderedDict")
            + b")R"
            + named(name)
            + b"("
            + run
            + b"tRb",
        ]
        for container, wrap in CONTAINERS.items():
            way = ways[(place + len(container)) % len(ways)]
            yield f"{name}-{container}", wrap(with_lstm(way))


def _laughs() -> bytes:
    """Ten times a list of ten of a list of ten: small as a file, endless as a tree."""
    layers = b"]q\x000"
    for place in range(12):
        layers += b"](" + bytes([104, place]) * 10 + b"eq" + bytes([place + 1]) + b"0"
    return layers + b"h\x0c"


def _bombs() -> dict[str, bytes]:
    """Fragments that would take memory or time without end."""
    long = value("x" * 10**6)
    return {
        "bytes": b"\x8e" + struct.pack("<Q", HUGE) + b"x",
        "text": b"\x8d" + struct.pack("<Q", HUGE) + b"x",
        "number": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x",
        "bytearray": b"\x96" + struct.pack("<Q", HUGE) + b"x",
        "allocates": call("builtins.bytearray", value(HUGE)),
        "encodes": long + b"q\x63" + call("_codecs.encode", b"h\x63") * 200,
        "copies": value([None] * 10**5)
        + b"q\x63"
        + call("builtins.set", b"h\x63") * 50,
        "laughs": _laughs(),
        "deep lists": b"]" * 20_000 + b"a" * 19_999,
        "deep tuples": b")" + b"\x85" * 20_000,
        "deep keys": b"}" + b")" + b"\x85" * 20_000 + b"Ns",
        "deep dictionaries": (b"}" + value("k")) * 300 + b"}" + b"s" * 300,
    }


def _broken() -> dict[str, bytes]:
    """Fragments that no pickler writes."""
    return {
        "extension 1": b"\x82\x01",
        "extension 2": b"\x83\x01\x00",
        "extension 4": b"\x84\x01\x00\x00\x00",
        "buffer": b"\x97",
        "read-only buffer": b"N\x98",
        "no such instruction": b"\xff",
        "no such memo": b"h\x70",
        "too few": b"R" * 9,
        "no mark": b"tttt",
        "append to none": b"NNa",
        "entries of none": b"NNNs",
        "odd entries": b"}(Nu",
        "list as key": b"}]Ns",
        "dictionary as key": b"}}Ns",
        "key twice": b"}(" + value("a") + b"N" + value("a") + b"Nu",
        "calls a number": value(7) + b")R",
        "calls without a tuple": named("a.b") + b"NR",
        "getattr": call("builtins.getattr", named("torch.FloatStorage"), value("x")),
        "persistent": b"NQ",
        "persistent text": b"Pabc\n",
        "negative length": b"\x8b" + struct.pack("<i", -9),
        "not utf-8": b"X\x02\x00\x00\x00\xff\xfe",
        "number of letters": b"Iabc\n",
        "class named by a number": value(1) + value(2) + b"\x93",
        "array with no bytes": _array_state(raw=7),
        "array of negative size": _array_state(shape=(-3,)),
        "array too large": _array_state(shape=(2**40,)),
        "array of a shape of text": _array_state(shape=("3",)),
        "array with no type": _array_state(dtype=b"N"),
        "array of no state": call("numpy.core.multiarray._reconstruct") + b"Nb",
        "old file of no torch": call("torch.storage._load_from_bytes", b"C\x03abc"),
    }


def _array_state(
    shape: Any = (3,), raw: Any = b"123456789012", dtype: bytes | None = None
) -> bytes:
    kind = call("numpy.dtype", value("f4")) if dtype is None else dtype
    state = value(1) + value(shape) + kind + value(False)
    data = b"C\x0c" + raw if isinstance(raw, bytes) else value(raw)
    return call("numpy.core.multiarray._reconstruct") + b"(" + state + data + b"tb"


def fragments() -> Files:
    for name, fragment in (_bombs() | _broken()).items():
        for container in ("plain.pkl", "new.pt", "old.pt"):
            yield f"{name}-{container}", CONTAINERS[container](with_lstm(fragment))


WRONG_TENSORS: dict[str, dict[str, Any]] = {
    "offset-negative": {"offset": -1},
    "offset-huge": {"offset": HUGE},
    "offset-past": {"offset": 38},
    "offset-text": {"offset": "0"},
    "size-negative": {"size": (-8, 2)},
    "size-huge": {"size": (2**40, 2**40)},
    "size-larger": {"size": (8, 6)},
    "size-beyond-64-bits": {"size": (2**70, 1)},
    "size-of-floats": {"size": (8.0, 2)},
    "size-of-flags": {"size": (True, 2)},
    "size-none": {"size": None},
    "size-of-many-axes": {"size": (1,) * 99, "stride": (1,) * 99},
    "stride-negative": {"stride": (2, -1)},
    "stride-huge": {"stride": (2**60, 1)},
    "stride-past": {"stride": (9, 1)},
    "stride-short": {"stride": (2,)},
    "storage-missing": {"held": storage("7")},
    "storage-climbs": {"held": storage("../../../etc/passwd")},
    "storage-of-a-class": {"held": storage(kind="collections.OrderedDict")},
    "storage-of-nothing": {"held": b"NQ"},
    "storage-of-another-kind": {"held": b"(" + value("file") + value("x") + b"tQ"},
}


def tensors() -> Files:
    """State dicts with one tensor that is not in its storage."""
    for name, wrong in WRONG_TENSORS.items():
        options = {"size": (8, 2), "stride": (2, 1), **wrong}
        made = with_lstm(b"N", tensor(**options))
        yield f"{name}-new.pt", torch_zip(made)
        yield f"{name}-old.pt", torch_old(made)


def header(**changes: Any) -> dict[str, Any]:
    """A good header of safetensors, but for one tensor."""
    bad = {"dtype": "F32", "shape": [8, 2], "data_offsets": [96, 160]} | changes
    good = {"dtype": "F32", "shape": [8, 3], "data_offsets": [0, 96]}
    return {"lstm.weight_ih_l0": good, "lstm.weight_hh_l0": bad}


def safetensors_of(text: str | bytes, length: int | None = None) -> bytes:
    text = text.encode() if isinstance(text, str) else text
    size = len(text) if length is None else length
    return struct.pack("<Q", size) + text + NUMBERS


def safetensors() -> Files:
    lengths = [0, 1, 7, 10**13, 2**62, 2**63, 2**64 - 1, 2**24 + 1, 900]
    for length in lengths:
        text = json.dumps(header())
        yield f"length-{length}.safetensors", safetensors_of(text, length)
    shapes = [[8, 3], [-8, -2], [2**62, 2**62], [8.0, 2], ["8", 2], [True, 16], None]
    shapes += ["8", {}, [[8], 2], [0, 2**60], [16] * 99, [2**80], [[]] * 3]
    for place, shape in enumerate(shapes):
        text = json.dumps(header(shape=shape))
        yield f"shape-{place}.safetensors", safetensors_of(text)
    offsets = [[96, 161], [95, 160], [160, 96], [-64, 0], [0, 96], [96], [96, 160, 1]]
    offsets += [None, "96", [96.0, 160.0], [2**63, 2**63 + 64], [97, 161], [0, 160]]
    for place, offset in enumerate(offsets):
        text = json.dumps(header(data_offsets=offset))
        yield f"offsets-{place}.safetensors", safetensors_of(text)
    texts = ["[]", "7", "{", '{"a": 1}', '{"a": {}}', "{" * 9000, '{"a":' * 9000]
    texts += [
        "[" * 100_000,
        '{"a": NaN}',
        "\ufeff{}",
        '{"a": 1e999}',
        "{}{}",
        '{"a":[]}',
    ]
    texts.append(json.dumps(header()).replace("weight_hh", "weight_ih"))
    for place, text in enumerate(texts):
        yield f"json-{place}.safetensors", safetensors_of(text)
    yield "not-text.safetensors", safetensors_of(b"{\xff\xfe}")


def zips() -> Files:
    good = with_lstm(b"N", tensor(size=(8, 2), stride=(2, 1)))
    for name in ("../x", "a/../../x", "/x", "\\x", "a/data/../../../x"):
        yield f"climbs-{len(name)}.pt", archive({name: b"x", "a/data.pkl": good})
        array = io.BytesIO()
        np.save(array, np.ones(3))
        yield f"climbs-{len(name)}.npz", archive({f"{name}.npy": array.getvalue()})
    zeros, options = bytes(10**8), {"compression": zipfile.ZIP_DEFLATED}
    held = {"a/data.pkl": good, "a/data/0": zeros}
    yield "bomb.pt", archive(held, **options)
    yield "bomb.npz", archive({"x.npy": zeros}, **options)
    yield "bomb-of-a-pickle.pt", archive({"a/data.pkl": zeros}, **options)
    yield "two.pt", archive({"a/data.pkl": good, "b/data.pkl": good})
    yield "none.pt", archive({"a/data/0": NUMBERS})
    yield "empty.pt", archive({})
    yield "old-script.pt", archive({"a/model.json": b"{}"})
    yield "order.pt", torch_zip(good, byteorder=b"middle")
    yield "cut-storage.pt", torch_zip(good, **{"data/0": NUMBERS[:-4]})
    twice = torch_zip(good, **{"data/9": NUMBERS}).replace(b"a/data/9", b"a/data/0")
    yield "twice.pt", twice
    for name, data in _edited(torch_zip(good)):
        yield f"{name}.pt", data
    for place, text in enumerate(NPY_HEADERS):
        yield f"header-{place}.npz", archive({"x.npy": npy(text)})
    shared = call("torch._utils._rebuild_tensor_v2", storage("1"), *_many())
    many = entries(**{f"x{place}": shared for place in range(300)})
    yield "shared.pt", torch_zip(whole(many), **{"data/1": bytes(4 * 10**4)})


def _many() -> list[bytes]:
    return [value(part) for part in (0, (10**4,), (1,), False, None)]


def _edited(good: bytes) -> Files:
    """The archive with a wrong number in its directory."""
    start = good.rindex(b"PK\1\2")
    fields = {
        "flags": (8, "<H", 1),
        "method": (10, "<H", 99),
        "size": (24, "<I", 2**31),
    }
    fields |= {
        "packed": (20, "<I", 7),
        "at": (42, "<I", 2**31),
    }
    for name, (at, kind, number) in fields.items():
        data = bytearray(good)
        struct.pack_into(kind, data, start + at, number)
        yield f"directory-{name}", bytes(data)


NPY_HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-40,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (41,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (39,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 40, }",
    "{'descr': '<f4', 'fortran_order': 7, 'shape': (40,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1e3,), }",
    "{'descr': '<f4', 'fortran_order': False}",
    "__import__('os').system('touch canary')",
    "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (4,)}",
    "[" * 9000,
    "(" * 5000 + ")" * 5000,
    "",
]


def npy(text: str, numbers: bytes = NUMBERS) -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + numbers


def old() -> Files:
    good = with_lstm(b"N", tensor(size=(8, 2), stride=(2, 1)))
    for count in (-1, 41, 2**62, -(2**63)):
        yield f"count{count}.pt", torch_old(good, count=count)
    for place, keys in enumerate([(), ("0", "0"), ("7",), ("0", "1"), (None,)]):
        yield f"keys-{place}.pt", torch_old(good, keys)
    yield "version.pt", torch_old(good, version=7)
    for place, part in enumerate([(0, -1, 4), ("k", -4, 8), ("k", 30, 20), (), "k"]):
        held = storage(more=value(part))
        made = with_lstm(b"N", tensor(0, (8, 2), (2, 1), held))
        yield f"view-{place}.pt", torch_old(made)


def indexes() -> Files:
    names: list[Any] = ["../x.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\b"]
    names += ["./good.safetensors", "c:x", "x\0y", 7, None, [], "none.safetensors"]
    names += ["a/../good.safetensors", "self.json", "garbage.pt", "x" * 300, {}]
    for place, name in enumerate(names):
        text = json.dumps({"weight_map": {"lstm.weight_ih_l0": name}})
        yield f"index-{place}.json", text.encode()
    texts = ["{}", '{"weight_map": {}}', '{"weight_map": []}', '{"weight_map": 7}', "{"]
    texts += ['{"weight_map": {"not.there": "good.safetensors"}}', '{"a":' * 9000]
    texts += ['{"weight_map": {"x": "good.safetensors", "x": "good.safetensors"}}']
    for place, text in enumerate(texts):
        yield f"index-text-{place}.json", text.encode()
    yield "self.json", b'{"weight_map": {"x": "self.json"}}'
    yield "large.json", b'{"weight_map": {}}' + b" " * 2**24


def msgpacks() -> Iterator[tuple[str, Any]]:
    import msgpack

    def of(shape: Any, name: Any = "float32", raw: Any = NUMBERS) -> Any:
        held = msgpack.packb([shape, name, raw])
        return msgpack.packb({"weight_ih_l0": msgpack.ExtType(1, held)})

    shapes = [[-40], [41], [39], [2**40], [2**63], [4.0], "40", None, [[40]], [1] * 99]
    for place, shape in enumerate(shapes):
        yield f"shape-{place}.msgpack", of(shape)
    yield "bytes.msgpack", of([40], raw="text")
    yield "type.msgpack", of([40], name=7)
    yield "array.msgpack", b"\x81\xa1a\xdd\xff\xff\xff\xff"
    yield "map.msgpack", b"\xdf\xff\xff\xff\xff"
    yield "text.msgpack", b"\x81\xa1a\xdb\xff\xff\xff\xff"
    yield "deep.msgpack", b"\x81\xa1a" + b"\x91" * 5000 + b"\xc0"
    yield "twice.msgpack", b"\x82\xa1a\xc0\xa1a\xc0"
    yield "key.msgpack", b"\x81\xc0\xc0"
    chunked = {"__msgpack_chunked_array__": True, "shape": {"0": 9}, "chunks": {}}
    yield "chunked.msgpack", msgpack.packb({"a": chunked})


def names() -> Files:
    lstm = {name: array(name) for name in TENSORS}
    collides = entries(**lstm, lstm=entries(weight_ih_l0=array("lstm.weight_ih_l0")))
    yield "collides.pkl", whole(collides)
    number = b"}(" + value(0) + lstm["lstm.weight_ih_l0"] + value("0")
    yield "number-and-text.pkl", whole(number + lstm["lstm.weight_ih_l0"] + b"u")


def nothing(seed: int) -> Files:
    draw = random.Random(seed)
    for suffix in ("pt", "safetensors", "npz", "pkl", "txt"):
        yield f"empty.{suffix}", b""
        yield f"zeros.{suffix}", bytes(4096)
        yield f"ones.{suffix}", b"\xff" * 4096
        yield f"noise.{suffix}", b"\xee" + draw.randbytes(999)
    magics = [b"\x89HDF\r\n\x1a\n", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"<html>"]
    magics += [b"GGUF", b"\x93NUMPY", b"version https:"]
    for place, magic in enumerate(magics):
        yield f"other-{place}.pt", magic + draw.randbytes(99)


def cut(good: dict[str, bytes], seed: int) -> Files:
    """Good files without their ends."""
    draw = random.Random(seed)
    for name, data in good.items():
        for size in sorted({1, 9, len(data) - 1, *draw.sample(range(len(data)), 7)}):
            yield f"cut-{size}-{name}", data[:size]


def flipped(good: dict[str, bytes], seed: int, count: int) -> Files:
    """Good files with one bit changed: some are harmless, a number is another."""
    draw = random.Random(seed)
    for name, data in good.items():
        for place in range(count):
            changed = bytearray(data)
            changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            yield f"flip-{place}-{name}", bytes(changed)


def made(canary: str, seed: int) -> Files:
    """Every file that must be refused, but those cut off."""
    kinds = [fragments, tensors, safetensors, zips, old, indexes, msgpacks, names]
    for kind in (*kinds, joblibs, programs_of_export):
        for name, data in kind():
            yield f"{kind.__name__}-{name}", data
    yield from programs(canary)
    yield from nothing(seed)
