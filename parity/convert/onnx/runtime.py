"""onnxruntime on the LSTM nodes of a file themselves, with inputs that are given."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.terminal import printable
from parity.convert.onnx.nodes import Node

_FREE = ("X", "sequence_lens", "initial_h", "initial_c")


class NodeOutputs(NamedTuple):
    """`(T, B, D*H)`, `(L*D, B, H)` and `(L*D, B, H)`."""

    ys: np.ndarray
    h: np.ndarray
    c: np.ndarray


def runs_here(nodes: Sequence[Node]) -> bool:
    """Whether onnxruntime is installed and has an LSTM of these nodes' kind."""
    return find_spec("onnxruntime") is not None and all(
        node.weights.w.dtype == np.float32 and node.options["layout"] == 0
        for node in nodes
    )


def version() -> str:
    """The version of onnxruntime."""
    return import_module("onnxruntime").__version__


def run_nodes(
    nodes: Sequence[Node], xs: np.ndarray, h: np.ndarray, c: np.ndarray
) -> NodeOutputs:
    """What onnxruntime makes of the nodes, each a layer, as they are in the file.

    Args:
        nodes: The nodes, the first layer first.
        xs: `(T, B, I)`, float32.
        h: `(L*D, B, H)`.
        c: `(L*D, B, H)`.
    """
    states = []
    rows = len(nodes[0].weights.w)
    for k, node in enumerate(nodes):
        part = slice(k * rows, (k + 1) * rows)
        reverse = node.options["direction"] == "reverse"
        given = {"X": xs[::-1] if reverse else xs}
        given |= {"initial_h": h[part], "initial_c": c[part]}
        ys, *state = _run(node, given)
        ys = ys[::-1] if reverse else ys
        xs = ys.swapaxes(1, 2).reshape(*ys.shape[:1], ys.shape[2], -1)
        states.append(state)
    after = (np.concatenate(parts) for parts in zip(*states, strict=True))
    return NodeOutputs(xs, *after)


def _run(node: Node, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of one node.

    Raises:
        ValueError: If onnxruntime refuses it.
    """
    state: Any = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented")
    errors = tuple(getattr(state, name) for name in (*names, "RuntimeException"))
    try:
        return _session(node).run(None, given)
    except errors as error:
        raise ValueError(
            f"check: onnxruntime must run the LSTM node {printable(node.name)!r}: it "
            f"says {printable(error, 300)}. Check it without onnxruntime installed."
        ) from None


def _session(node: Node) -> Any:
    """A session of a model of this one node, with its own attributes and version."""
    onnx: Any = import_module("onnx")
    runtime: Any = import_module("onnxruntime")
    proto, weights = onnx.NodeProto(), node.weights._asdict()
    proto.CopyFrom(node.proto)
    del proto.input[:], proto.output[:]
    names = [*("X", "W", "R", "B"), "", "initial_h", "initial_c"]
    if weights["b"] is None:
        names[3] = ""
    proto.input.extend(names)
    proto.output.extend(("Y", "Y_h", "Y_c"))
    held = {n.upper(): a for n, a in weights.items() if a is not None}
    of_numpy = onnx.numpy_helper.from_array
    info = onnx.helper.make_tensor_value_info
    free = [info(n, 1, [None] * 3) for n in names if n in _FREE]
    made = [info(n, 1, [None] * k) for n, k in (("Y", 4), ("Y_h", 3), ("Y_c", 3))]
    kept = [of_numpy(np.ascontiguousarray(a), n) for n, a in held.items()]
    graph = onnx.helper.make_graph([proto], "node", free, made, initializer=kept)
    opset = onnx.helper.make_opsetid("", max(node.scope.opset, 7))
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=4)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    return runtime.InferenceSession(
        model.SerializeToString(), options, providers=providers
    )
