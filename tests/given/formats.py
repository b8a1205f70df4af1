"""A small file of each format, and of each stranger, by its public magic."""

import io
import json
import pickle
import zlib
from pathlib import Path

import numpy as np
from flax.serialization import msgpack_serialize
from safetensors.numpy import save

from tests.given import keras_files, pickled

_DRAW = np.random.default_rng(0)
ARRAYS = {
    name: _DRAW.standard_normal(shape, np.float32)
    for name, shape in {
        "bias_hh_l0": (8,),
        "bias_ih_l0": (8,),
        "weight_hh_l0": (8, 2),
        "weight_ih_l0": (8, 3),
    }.items()
}
_OF_PT2 = {
    "config": {
        name: {
            "path_name": name,
            "use_pickle": False,
            "tensor_meta": {
                "dtype": 7,
                "sizes": [{"as_int": size} for size in array.shape],
                "strides": [{"as_int": step // 4} for step in array.strides],
                "storage_offset": {"as_int": 0},
            },
        }
        for name, array in ARRAYS.items()
    }
}
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"


def torch_bytes(**options) -> bytes:
    """What torch saves; it needs torch."""
    import torch

    file = io.BytesIO()
    torch.save({n: torch.tensor(a) for n, a in ARRAYS.items()}, file, **options)
    return file.getvalue()


def npz_bytes() -> bytes:
    file = io.BytesIO()
    np.savez(file, **ARRAYS)
    return file.getvalue()


def pt2_bytes(**members: bytes) -> bytes:
    """What `torch.export.save` writes, or in its place what older ones did."""
    weights = {f"a/data/weights/{n}": a.tobytes() for n, a in ARRAYS.items()}
    table = {"a/data/weights/model_weights_config.json": json.dumps(_OF_PT2).encode()}
    start = {"a/models/model.json": b"{}", "a/archive_format": b"pt2"}
    return pickled.archive(members or start | weights | table)


def joblib_bytes(arrays=ARRAYS, padding: int | None = 5) -> bytes:
    """What `joblib.dump` writes: each array's bytes follow what describes it."""
    parts = []
    for name, array in arrays.items():
        order = "C" if array.flags.c_contiguous else "F"
        state = {"shape": array.shape, "order": order, "dtype": array.dtype}
        if padding is not None:
            state["numpy_array_alignment_bytes"] = 16
        parts += [pickled.value(name), pickled.named(WRAPPER), b")\x81"]
        parts += [pickled.value(state), b"b"]
        parts += [] if padding is None else [bytes([padding]), b"\xff" * padding]
        parts.append(array.tobytes(order))
    return pickled.whole(b"}(" + b"".join(parts) + b"u")


def python2_bytes(protocol: int) -> bytes:
    """What Python 2 pickles: the numbers are a text, whose letters are bytes."""
    parts = []
    for name, array in ARRAYS.items():
        rows = b"(" + b"".join(b"I%d\n" % size for size in array.shape) + b"t"
        raw = array.tobytes()
        key, text = (b"S" + repr(t)[1:].encode() + b"\n" for t in (name.encode(), raw))
        if protocol == 1:
            key = b"U" + bytes([len(name)]) + name.encode()
            text = b"T" + len(raw).to_bytes(4, "little") + raw
        kind = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
        made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        parts.append(key + made)
        parts.append(b"(I1\n" + rows + kind + b"I00\n" + text + b"tbs")
    return (b"(d" if protocol == 0 else b"}") + b"".join(parts) + b"."


def onnx_bytes() -> bytes:
    """A model that has only tensors, under torch's names."""
    import onnx

    tensors = [onnx.numpy_helper.from_array(a, name) for name, a in ARRAYS.items()]
    graph = onnx.helper.make_graph([], "good", [], [], initializer=tensors)
    opset = onnx.helper.make_opsetid("", 9)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=4)
    return model.SerializeToString()


_INDEX = b'{"weight_map": {"bias_hh_l0": "part.safetensors"}}'


def good() -> dict[str, bytes]:
    """A file of each format that is a file, by what it is in words."""
    return {
        "a torch file": torch_bytes(),
        "an old torch file": torch_bytes(_use_new_zipfile_serialization=False),
        "TorchScript": pickled.torch_zip(pickled.with_lstm(b"N"), **{"code/x.py": b""}),
        "a program of torch.export": pt2_bytes(),
        "safetensors": save(ARRAYS),
        "an index of several files": _INDEX,
        "npz": npz_bytes(),
        "a pickle": pickle.dumps(ARRAYS),
        "msgpack": msgpack_serialize(dict(ARRAYS)),
        "ONNX": onnx_bytes(),
        **keras_files.good(),
    }


def _two_archives() -> bytes:
    """What a distributed checkpoint has in a part: archives one after the other."""
    return 2 * pickled.torch_zip(pickled.with_lstm(b"N"))


_METADATA = pickled.named("torch.distributed.checkpoint.metadata.Metadata")
_WITH_NAMES_OF_BYTES = b"\x81\xc4\x02nd\xc3"
# Bytes of a file, or the files of a directory.
STRANGE: dict[str, bytes | dict[str, bytes]] = {
    "TorchScript from before torch 1.4": pickled.archive({"a/model.json": b"{}"}),
    "a part of a distributed checkpoint of torch": _two_archives(),
    "the index of a distributed checkpoint of torch": pickled.whole(
        _METADATA + b")\x81"
    ),
    "a distributed checkpoint of torch": {".metadata": b"x", "__0_0.distcp": b"x"},
    "a SavedModel of TensorFlow": {"saved_model.pb": b"x"},
    "CoreML": b"\x08\x05\x12\xa3\x01\x0a\x0c\x0a\x05input" + bytes(999),
    "a package of CoreML": {"Manifest.json": b"{}"},
    "TensorFlow Lite": b"\x1c\0\0\0TFL3\x14\0\x20\0" + bytes(999),
    "GGUF": b"GGUF\3" + bytes(999),
    "msgpack of msgpack-numpy, as spaCy writes it": _WITH_NAMES_OF_BYTES,
    "a file of MATLAB": b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(999),
    "one array without a name": b"\x93NUMPY\1\0" + bytes(999),
    "gzip": b"\x1f\x8b\x08" + bytes(999),
    "Zstandard": b"\x28\xb5\x2f\xfd" + bytes(999),
    "bzip2": b"BZh91AY&SY" + bytes(999),
    "xz": b"\xfd7zXZ\0" + bytes(999),
    "LZMA": b"\x5d\0\0\x80\0" + b"\xff" * 8 + bytes(999),
    "LZ4": b"\x04\x22\x4d\x18" + bytes(999),
    "7-Zip": b"7z\xbc\xaf\x27\x1c" + bytes(999),
    "zlib, as joblib compresses": zlib.compress(bytes(99), 3),
    "a pointer of Git LFS": b"version https:" + bytes(9),
    "a shortcut of Windows": b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0" + bytes(99),
    "a page of the web": b"<!doctype html>" + bytes(99),
}
# More files that go by a name of the table.
ALSO: dict[str, list[bytes]] = {
    "CoreML": [b"\x08\x01\x12\x20\x0a\x1e" + bytes(99)],
    "the index of a distributed checkpoint of torch": [
        b"\x80\x04\x95" + bytes(8) + b"\x8c\x25torch.distributed.checkpoint.metadata"
    ],
    "zlib, as joblib compresses": [
        zlib.compress(bytes(99), level) for level in (1, 6, 9)
    ],
    "a page of the web": [b"\xef\xbb\xbf\r\n  <html>", b"\n<?xml version='1.0'?>"],
}


def write(path: Path, held: bytes | dict[str, bytes]) -> Path:
    """A file, or a directory of files."""
    if isinstance(held, bytes):
        _ = path.write_bytes(held)
        return path
    path.mkdir()
    for name, part in held.items():
        _ = (path / name).write_bytes(part)
    return path
