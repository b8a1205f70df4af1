"""The tensors of a model of ONNX: in it, or in files beside it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.arrays import TORCH
from parity.files.bounds import DamagedError
from parity.files.source import Leaf, Unreadable, view_of

# The names of types by their numbers in TensorProto.DataType, and the field of those
# that are not kept as bytes.
_TYPES = {
    1: ("float32", "float_data"),
    2: ("uint8", "int32_data"),
    3: ("int8", "int32_data"),
    4: ("uint16", "int32_data"),
    5: ("int16", "int32_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
    11: ("float64", "double_data"),
    12: ("uint32", "uint64_data"),
    13: ("uint64", "uint64_data"),
    16: ("bfloat16", "int32_data"),
}
_EXTERNAL = 1
_NUMBERS = {"value_float": np.float32, "value_floats": np.float32}
_NUMBERS |= {"value_int": np.int64, "value_ints": np.int64}
_FIELDS = {"value_float": "f", "value_floats": "floats"}
_FIELDS |= {"value_int": "i", "value_ints": "ints"}

# The bytes beside a model: of a place, from an offset.
Beside = Callable[[str], memoryview]


def constant_of(node: Any, beside: Beside) -> Leaf:
    """The tensor of a node that is one."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return leaf_of(attribute.t, beside)
        if attribute.name in _NUMBERS:
            numbers = getattr(attribute, _FIELDS[attribute.name])
            return np.array(numbers, _NUMBERS[attribute.name])
    return Unreadable("a constant that is no tensor of numbers")


def leaf_of(tensor: Any, beside: Beside) -> Leaf:
    """The array of a tensor, in memory or in a file beside the model.

    Raises:
        DamagedError: If its numbers are not as many as its shape says.
    """
    if tensor.data_type not in _TYPES:
        return Unreadable(f"numbers of ONNX's type {tensor.data_type}")
    name, field = _TYPES[tensor.data_type]
    dtype, shape = TORCH[name], list(tensor.dims)
    if tensor.data_location == _EXTERNAL:
        data: Any = _external(tensor, beside)
    elif tensor.HasField("raw_data"):
        data = tensor.raw_data
    else:
        data = _numbers(getattr(tensor, field), dtype, field)
    array = view_of(data, dtype, shape)
    if array.nbytes != len(data):
        raise DamagedError(
            f"{printable(tensor.name)!r} of shape {shape} needs {array.nbytes} bytes "
            f"and has {len(data)}"
        )
    return array


def _numbers(values: Any, dtype: np.dtype, field: str) -> bytes:
    """The bytes of numbers that are kept one by one."""
    half = field == "int32_data" and dtype.name in ("float16", "bfloat16")
    kept = np.dtype(np.uint16) if half else dtype
    wide = {"float_data": "f4", "double_data": "f8"}.get(field, "i8")
    if field == "uint64_data":
        wide = "u8"
    return np.array(values, wide).astype(kept).tobytes()


def _external(tensor: Any, beside: Beside) -> memoryview:
    """The bytes of a tensor that is kept in a file beside the model."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    view = beside(told.get("location", ""))
    start = _whole(told.get("offset", "0"))
    end = start + _whole(told["length"]) if "length" in told else len(view)
    if end > len(view):
        raise DamagedError(
            f"{printable(tensor.name)!r} ends at byte {end} of a file of {len(view)}"
        )
    return view[start:end]


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise DamagedError(f"a tensor is at {printable(text, 30)!r} of a file")
    return int(text)
