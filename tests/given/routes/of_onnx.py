"""ONNX, run by onnxruntime, which has no gradients."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import parity
from parity.frameworks.framework import Derived, Library, Outputs
from tests.given.routes.route import Route, sizes


def _own_onnx(seed: int, case: Any) -> Any:
    """A node of opset 14 for each layer, with what an exporter writes between them."""
    rng, name = np.random.default_rng(seed), "xs"
    d, h = 1 + case.bidirectional, case.hidden_size
    tensors = {"shape": np.array([0, 0, d * h])}
    nodes: list[Any] = []
    for k, inputs in enumerate(sizes(case)):
        shapes = {"W": (d, 4 * h, inputs), "R": (d, 4 * h, h), "B": (d, 8 * h)}
        held = {f"{n}{k}": shapes[n] for n in ("WRB" if case.bias else "WR")}
        tensors |= {n: rng.uniform(-0.5, 0.5, s).astype("f") for n, s in held.items()}
        way = "bidirectional" if case.bidirectional else "forward"
        made = [f"Y{k}", f"h{k}", f"c{k}"]
        options = {"hidden_size": h, "direction": way}
        nodes += [
            helper.make_node("LSTM", [name, *held], made, f"layer {k}", **options),
            helper.make_node("Transpose", made[:1], [f"t{k}"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"t{k}", "shape"], [f"ys{k}"]),
        ]
        name = f"ys{k}"
    nodes[-1].output[0] = "ys"
    for state in "hc":
        parts = [f"{state}{k}" for k in range(case.num_layers)]
        nodes.append(helper.make_node("Concat", parts, [f"{state}_n"], axis=0))
    info = helper.make_tensor_value_info
    xs = info("xs", 1, ["time", "batch", case.input_size])
    outputs = [info(n, 1, None) for n in ("ys", "h_n", "c_n")]
    held = [numpy_helper.from_array(a, n) for n, a in tensors.items()]
    graph = helper.make_graph(nodes, "own", [xs], outputs, initializer=held)
    ids = [helper.make_opsetid("", 14)]
    return helper.make_model(graph, opset_imports=ids, ir_version=8)


def _derive_onnx(model: onnx.ModelProto, xs: Any, _: Outputs) -> Derived:
    first = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    turned = first == "batch"
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rows = np.asarray(xs).swapaxes(0, 1) if turned else np.asarray(xs)
    found: Any = session.run(["ys", "h_n", "c_n"], {"xs": np.ascontiguousarray(rows)})
    ys, h, c = found
    return Derived(Outputs(ys.swapaxes(0, 1) if turned else ys, h, c), None, None)


ONNX = Route(
    name="onnx",
    target="onnx",
    library=Library("onnxruntime", "'lstm-jax[onnx]'"),
    write=parity.to_onnx,
    read=parity.from_onnx,
    own=_own_onnx,
    derive=_derive_onnx,
    slow=False,
)
