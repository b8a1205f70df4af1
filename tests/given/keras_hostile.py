"""Hostile files of Keras and HDF5, of a seed: each is refused with a sentence."""

import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import h5py
import numpy as np

from tests.given.keras_files import (
    CELL,
    NAMES,
    archive,
    drawn,
    entry,
    keras_3,
    keras_3_weights,
    lstm,
    sequential,
)

Files = Iterator[tuple[str, bytes]]
OUTSIDE = (
    *("/etc/passwd", "../secret.h5", "other.h5", ".", "/proc/self/mem"),
    *("/dev/zero", "file:///etc/passwd", "~/secret.h5", "x" * 300),
)


def weights(change: Callable[[Any], None], **options: Any) -> bytes:
    """A good file of weights, changed while it is open."""
    held = io.BytesIO()
    with h5py.File(held, "w", **options) as file:
        for name, array in lstm().items():
            file[f"lstm/{name}"] = array
        file.attrs["layer_names"] = [b"lstm"]
        file["lstm"].attrs["weight_names"] = [name.encode() for name in NAMES]
        change(file)
    return held.getvalue()


def links(rng: random.Random) -> Files:
    """Links out of the file, to nothing, and in circles."""
    for k, outside in enumerate(OUTSIDE):
        place = rng.choice(("x", "lstm/bias:1", "a/b/c"))
        yield f"external {k}.h5", weights(_set(place, h5py.ExternalLink(outside, "/x")))
    for target in ("/lstm", "/nowhere", "/loop", "..", "/lstm/kernel:0"):
        yield f"soft {target}.h5", weights(_set("loop", h5py.SoftLink(target)))


def _set(place: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[place] = value

    return change


def circles(rng: random.Random) -> Files:
    """Groups that hold themselves, and depth without end."""

    def itself(file: Any) -> None:
        file["lstm/again"] = file[rng.choice(("/", "/lstm"))]

    def deep(file: Any) -> None:
        _ = file.create_group("/".join("a" * rng.randrange(60, 900)))

    def twice(file: Any) -> None:
        file["again"] = file[f"lstm/{NAMES[0]}"]

    for k in range(3):
        yield f"itself {k}.h5", weights(itself)
        yield f"deep {k}.h5", weights(deep)
    yield "twice.h5", weights(twice)


def with_array(shape: Any = None, **options: Any) -> bytes:
    """A good file with an array more."""
    kind = {} if "data" in options else {"dtype": "f4"}

    def add(file: Any) -> None:
        _ = file.create_dataset("x", shape, **(kind | options))

    return weights(add)


def _virtual(layout: Any, file: Any) -> None:
    file.create_virtual_dataset("x", layout)


def elsewhere(rng: random.Random) -> Files:
    """Arrays whose numbers are in other files."""
    for k, outside in enumerate(OUTSIDE):
        size = rng.randrange(1, 64)
        parts = [(outside.encode(), rng.randrange(100), 4 * size)]
        yield f"storage {k}.h5", with_array((size,), external=parts)
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource(outside, "x", shape=(4,))
        yield f"virtual {k}.h5", weights(partial(_virtual, layout))


def plugins(rng: random.Random) -> Files:
    """Filters that need a plugin: their number in place of gzip's."""
    good = with_array(data=np.arange(99.0), compression="gzip")
    start = good.index(b"deflate") - 8
    assert good[start] == 1
    known = (32001, 32004, 32008, 32013, 32015, 32026)
    for number in (*known, rng.randrange(300, 65000)):
        wide = number.to_bytes(2, "little")
        yield f"filter {number}.h5", good[:start] + wide + good[start + 2 :]


def large(rng: random.Random) -> Files:
    """Arrays that unpack to more than a file may."""
    for k in range(4):
        axes = rng.choice(((2**40,), (2**20, 2**21), (2**15, 2**14, 2**13)))
        packed = rng.choice(("gzip", "lzf", None))
        yield f"promised {k}.h5", with_array(axes, chunks=True, compression=packed)
    zeros = np.zeros(rng.randrange(100, 120) * 2**18, np.float32)
    packed = {"chunks": (2**20,), "compression": "gzip"}
    yield "packed zeros.h5", with_array(data=zeros, **packed)
    yield "contiguous.h5", with_array((2**38,))


def texts(rng: random.Random) -> Files:
    """Attributes that are no texts, or too many."""
    kind, text = h5py.string_dtype(), "x" * rng.randrange(20_000, 30_000)

    def long(file: Any) -> None:
        del file.attrs["layer_names"]
        for k in range(40):
            many = np.array([text] * 1000, object)
            file.attrs.create(f"layer_names{k}", many, dtype=kind)

    yield "long names.h5", weights(long)
    none = (np.arange(5), 3.0, np.array([(1, 2.0)], "i4,f4"), np.array([True]))
    for k, value in enumerate(none):
        yield f"no text {k}.h5", weights(partial(_named, value))


def _named(value: Any, file: Any) -> None:
    del file.attrs["layer_names"]
    file.attrs["layer_names"] = value


def cut(rng: random.Random) -> Files:
    """Good files, cut off anywhere."""
    h5 = keras_3_weights({"lstm/cell": [*lstm().values()]})
    whole = keras_3(sequential(entry("LSTM", "lstm", **CELL)), h5)
    for name, good in (("h5", h5), ("keras", whole)):
        for at in sorted(rng.sample(range(9, len(good) - 1), 10)):
            yield f"cut off at {at}.{name}", good[:at]


def headers(rng: random.Random) -> Files:
    """Sizes that lie: of an array, of the file, and of what is in it."""
    good = weights(lambda _: None)
    (kernel,) = (a for n, a in lstm().items() if n == NAMES[0])
    axes = b"".join(n.to_bytes(8, "little") for n in kernel.shape)
    assert good.count(2 * axes) == 1  # the shape, and the most that it may be
    for k in range(8):
        other = rng.choice((2**15, 2**33, 2**62, 2**64 - 2, 7)) + rng.randrange(2)
        lie = other.to_bytes(8, "little")[:8] + axes[8:]
        yield f"shape {k}.h5", good.replace(2 * axes, 2 * lie)
    size = kernel.nbytes.to_bytes(8, "little")
    assert size in good
    for k in range(4):
        lie = rng.randrange(2**30, 2**60).to_bytes(8, "little")
        yield f"size {k}.h5", good.replace(size, lie)
    for k in range(4):
        yield f"version {k}.h5", good[:8] + bytes([rng.randrange(9, 255)]) + good[9:]
    for k in range(4):
        noise = bytes(rng.randrange(256) for _ in range(40))
        yield f"superblock {k}.h5", good[:24] + noise + good[64:]


def zips(rng: random.Random) -> Files:
    """Archives that are bombs, or have other members than Keras's."""
    model = sequential(entry("LSTM", "lstm", **CELL))
    h5 = keras_3_weights({"lstm/cell": [*lstm().values()]})
    config, version = json.dumps(model).encode(), b'{"keras_version": "3.15.1"}'
    told = {"metadata.json": version, "config.json": config, "model.weights.h5": h5}
    for name in ("metadata.json", "config.json"):
        other = {k: v for k, v in told.items() if k != name}
        yield f"without {name}.keras", archive(other)
        yield f"{name} elsewhere.keras", archive(other | {f"../{name}": told[name]})
    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w") as made:
        warnings.simplefilter("ignore")
        for name, content in (*told.items(), ("model.weights.h5", h5[:-8])):
            made.writestr(name, content)
    yield "twice.keras", held.getvalue()
    for name, start in (
        ("model.weights.h5", b"\x89HDF\r\n\x1a\n"),
        ("config.json", b" "),
    ):
        held = io.BytesIO()
        zeros = start + bytes(rng.randrange(100, 150) * 2**20)
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
            for one, content in (told | {name: zeros}).items():
                made.writestr(one, content)
        yield f"bomb {name}.keras", held.getvalue()
    for k in range(4):
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(9, 3000)))
        content = rng.choice((b"", b"\x89HDF\r\n\x1a\n")) + noise
        yield f"no HDF5 {k}.keras", archive(told | {"model.weights.h5": content})


def jsons(rng: random.Random) -> Files:
    """JSON that is none, or is too deep, too long or ambiguous."""
    h5 = keras_3_weights({"lstm/cell": [*lstm().values()]})
    depth = rng.randrange(20_000, 90_000)
    bad = {
        "deep": b"[" * depth + b"]" * depth,
        "deep objects": b'{"a":' * depth + b"1" + b"}" * depth,
        "cut": b'{"class_name": "Seq',
        "list": b"[1, 2]",
        "number": b"7",
        "empty": b"",
        "twice": b'{"config": {}, "config": {}}',
        "no UTF-8": b'{"a": "\xff\xfe"}',
        "long": b'{"a": "' + b"x" * (17 * 2**20) + b'"}',
        "digits": b'{"a": ' + b"9" * rng.randrange(5000, 9000) + b"}",
    }
    for name, text in bad.items():
        for member in ("config.json", "metadata.json"):
            whole = {
                "metadata.json": b'{"keras_version": "3.15.1"}',
                "config.json": b"{}",
                "model.weights.h5": h5,
            }
            yield f"{name} {member}.keras", archive(whole | {member: text})


def code(canary: str) -> Files:
    """Models with code: the LSTM's own function is a lambda, or a file's module."""
    import base64
    import marshal

    program = compile(f"open({canary!r}, 'w')", "x", "eval")
    held = base64.b64encode(marshal.dumps(program)).decode()
    function = {"class_name": "__lambda__", "config": {"value": held}}
    call = {"module": "os", "class_name": "function", "config": "system"}
    pickled = {"class_name": "__numpy__", "config": {"value": f"touch {canary}"}}
    h5 = keras_3_weights({"lstm/cell": [*lstm().values()]})
    for k, theirs in enumerate((function, call, pickled, [function], 3)):
        for name in ("activation", "recurrent_activation"):
            cell = CELL | {name: theirs}
            model = sequential(entry("LSTM", "lstm", **cell))
            yield f"{name} {k}.keras", keras_3(model, h5)
    for module in ("os", "antigravity", f"{canary}.x"):
        layer = entry("LSTM", "lstm", **CELL) | {"module": module}
        layer |= {"registered_name": "LSTM"}
        yield f"module {module[:4]}.keras", keras_3(sequential(layer), h5)
    dense = {"dense": drawn((4, 3), (3,))}
    only = entry("Lambda", "lambda", function=function, arguments={})
    yield "lambda.keras", keras_3(sequential(only), keras_3_weights(dense))


def nothing(rng: random.Random) -> Files:
    """Files without an array of numbers."""

    def made(change: Callable[[Any], Any]) -> bytes:
        held = io.BytesIO()
        with h5py.File(held, "w") as file:
            _ = change(file)
        return held.getvalue()

    yield "empty.h5", made(lambda _: None)
    yield "no numbers.h5", made(lambda f: f.create_dataset("x", data=b"text"))
    kind = np.dtype([("a", "f4"), ("b", "i4")])
    yield "records.h5", made(lambda f: f.create_dataset("x", (rng.randrange(9),), kind))
    yield "no space.h5", made(lambda f: f.create_dataset("x", data=h5py.Empty("f4")))
    yield "no HDF5.h5", b"\x89HDF\r\n\x1a\n" + bytes(rng.randrange(1, 4096))


def hostile(
    seed: int, canary: str, leave_out: tuple[str, ...] = ()
) -> dict[str, dict[str, bytes]]:
    """Files by what is wrong with them; `check` refuses each."""
    rng = random.Random(seed)
    kinds = {
        "links": links,
        "circles and depth": circles,
        "numbers elsewhere": elsewhere,
        "filters of plugins": plugins,
        "more than a file may": large,
        "texts": texts,
        "cut off": cut,
        "headers that lie": headers,
        "archives": zips,
        "JSON": jsons,
        "nothing": nothing,
    }
    found = {
        kind: dict(made(rng)) for kind, made in kinds.items() if kind not in leave_out
    }
    return found | {"code": dict(code(canary))}
