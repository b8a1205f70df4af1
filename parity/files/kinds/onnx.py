"""ONNX: protobuf, parsed by the `onnx` package; its graphs, and the tensors in them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from parity.arrays import TORCH
from parity.files.bounds import MOST_NAMES, MOST_ONNX, DamagedError
from parity.files.reading import Reading
from parity.files.source import Leaf, Leaves, Unreadable, view_of
from parity.show import printable

# The version of the format, then a text, which is the name of a program, or nothing,
# or the tag of another field.
_MAGIC = re.compile(
    rb"\x08[\x01-\x1f](\x12[\x80-\xff]*[\x00-\x7f][ -~]|\x12\x00"
    rb"|[\x1a\x22\x28\x32\x3a\x42])"
)
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
_EXTERNAL, _GRAPH, _GRAPHS = 1, 5, 10
_NUMBERS = {"value_float": np.float32, "value_floats": np.float32}
_NUMBERS |= {"value_int": np.int64, "value_ints": np.int64}
_FIELDS = {"value_float": "f", "value_floats": "floats"}
_FIELDS |= {"value_int": "i", "value_ints": "ints"}

# The bytes beside a model: of a place, from an offset.
Beside = Callable[[str], memoryview]


@dataclass(frozen=True, eq=False)
class Scope:
    """A graph of a model: what its nodes see, by name.

    `path` is empty for the model's own graph, and leads to those inside of its nodes.
    `tensors` are the initializers and constants, `made_by` has the node of each value
    that is computed, `outer` is the graph around it, `computed` has what was made of
    constants so far.
    """

    path: str
    graph: Any
    tensors: Leaves
    made_by: dict[str, Any]
    opset: int
    outer: "Scope | None" = None
    computed: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def inputs(self) -> list[str]:
        """The names of what the graph is given."""
        return [value.name for value in self.graph.input]


def is_onnx(reading: Reading) -> bool:
    """Whether it starts with a version of ONNX and another field of a model."""
    return _MAGIC.match(reading.start) is not None


def may_be_onnx(reading: Reading) -> bool:
    """Whether it has the suffix, by which a damaged file is told."""
    return reading.path.suffix == ".onnx"


def read_onnx(reading: Reading) -> Leaves:
    """Every initializer and constant; the graphs are the structure.

    Raises:
        ModuleNotFoundError: If `onnx` is not installed.
        DamagedError: If it is damaged, or tensors beside it are outside of its folder.
    """
    need_onnx(str(reading.path), "it is an ONNX model")
    model = parsed(reading)
    scopes = scopes_of(model, _beside(reading))
    reading.structure.extend(scopes)
    reading.metadata.update(config_of(model))
    return {f"{s.path}{n}": leaf for s in scopes for n, leaf in s.tensors.items()}


def config_of(model: Any) -> dict[str, str]:
    """The text in which `to_onnx` states the options of a module, by its name."""
    return {p.key: p.value for p in model.metadata_props if p.key == "config"}


def need_onnx(where: str, why: str) -> None:
    """Refuse to go on where onnx is not installed.

    Raises:
        ModuleNotFoundError: In one sentence, with what to install.
    """
    if find_spec("onnx") is None:
        raise ModuleNotFoundError(
            f"{where}: onnx must be installed: {why}. Use pip install "
            "'lstm-jax[onnx]'.",
            name="onnx",
        )


def parsed(reading: Reading) -> Any:
    """The model of a file, without what is beside it.

    Raises:
        DamagedError: If it is too large, cut off, or no model.
    """
    source = reading.source
    if len(source) > MOST_ONNX:
        raise DamagedError(
            f"it has {len(source)} bytes, and protobuf ends at {MOST_ONNX}",
            "Save its tensors beside it: onnx.save(..., save_as_external_data=True).",
        )
    onnx: Any = import_module("onnx")
    errors: Any = import_module("google.protobuf.message")
    try:
        return onnx.load_model_from_string(bytes(source.view))
    except (errors.DecodeError, ValueError, RecursionError, RuntimeError):
        raise DamagedError("its protobuf is damaged, or cut off") from None


def scopes_of(model: Any, beside: Beside) -> list[Scope]:
    """The graph of a model, then those inside of its nodes.

    Args:
        model: An `onnx.ModelProto`.
        beside: Gives the bytes of a file beside the model.

    Raises:
        DamagedError: If it has no graph or no version of its operators, or a tensor is
            not whole.
    """
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not model.HasField("graph") or not model.opset_import:
        raise DamagedError("it has no graph, or no version of its operators")
    return [*_scopes(model.graph, "", max(versions, default=0), None, beside)]


def _scopes(
    graph: Any, path: str, opset: int, outer: Scope | None, beside: Beside
) -> Iterator[Scope]:
    if len(graph.node) + len(graph.initializer) > MOST_NAMES:
        raise DamagedError(f"it has more than {MOST_NAMES} nodes and tensors")
    tensors: Leaves = {}
    for tensor in graph.initializer:
        _add(tensors, tensor.name, _leaf(tensor, beside))
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        _add(tensors, name, Unreadable("a sparse tensor"))
    made_by = {name: node for node in graph.node for name in node.output if name}
    for node in graph.node:
        if node.op_type == "Constant" and len(node.output) == 1:
            _add(tensors, node.output[0], _constant(node, beside))
    scope = Scope(path, graph, tensors, made_by, opset, outer)
    yield scope
    for node in graph.node:
        for name, inner in _graphs_in(node):
            below = f"{path}{node.name or node.op_type}.{name}."
            yield from _scopes(inner, below, opset, scope, beside)


def _add(tensors: Leaves, name: str, leaf: Leaf) -> None:
    if name in tensors:
        raise DamagedError(f"it has the tensor {printable(name)!r} twice")
    tensors[name] = leaf


def _graphs_in(node: Any) -> Iterator[tuple[str, Any]]:
    for attribute in node.attribute:
        if attribute.type == _GRAPH:
            yield attribute.name, attribute.g
        elif attribute.type == _GRAPHS:
            for k, graph in enumerate(attribute.graphs):
                yield f"{attribute.name}.{k}", graph


def _constant(node: Any, beside: Beside) -> Leaf:
    """The tensor of a node that is one."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return _leaf(attribute.t, beside)
        if attribute.name in _NUMBERS:
            numbers = getattr(attribute, _FIELDS[attribute.name])
            return np.array(numbers, _NUMBERS[attribute.name])
    return Unreadable("a constant that is no tensor of numbers")


def _leaf(tensor: Any, beside: Beside) -> Leaf:
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


def _beside(reading: Reading) -> Beside:
    """Files in the folder of a model, each mapped once; no other is opened."""
    views: dict[str, memoryview] = {}

    def view(location: str) -> memoryview:
        if location not in views:
            views[location] = _inside(reading, location).source.view
        return views[location]

    return view


def _inside(reading: Reading, location: str) -> Reading:
    """The reading of a file within the folder of the model.

    Raises:
        DamagedError: If it is elsewhere, by its name or by a link, or is not there.
    """
    folder, place = reading.path.parent.resolve(), Path(location)
    odd = not location or "\0" in location or "\\" in location or len(location) > 255
    if not odd and not place.is_absolute() and ".." not in place.parts:
        target = (folder / place).resolve()
        if target.is_relative_to(folder) and target != reading.path.resolve():
            if target.is_file() and target.stat().st_size:
                return reading.part(location)
            raise DamagedError(
                f"its tensors are in {printable(location)!r}, which is not beside it",
                "Fetch that file, too.",
            )
    raise DamagedError(
        f"its tensors are in {printable(location, 60)!r}, outside of its folder",
        "Do not load it, and ask who made it.",
    )


def nothing_beside(location: str) -> memoryview:
    """What a model in memory has beside it.

    Raises:
        DamagedError: Always.
    """
    raise DamagedError(
        f"its tensors are in {printable(location, 60)!r}, and a model in memory has "
        "no folder",
        "Give the path of the file.",
    )
