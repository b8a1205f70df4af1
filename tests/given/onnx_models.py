"""Small models of ONNX, as others write them."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import lstm_jax
from parity.arrays import same_bits
from parity.frameworks.kinds.onnx import node_weights
from parity.frameworks.layers import layers_of
from tests.given.inputs import B as B, H as H, I as I, T as T


def drawn(seed: int = 0, dtype: str = "float32", **options: Any) -> dict[str, Any]:
    """Torch's names to random arrays of NumPy."""
    spec = lstm_jax.LSTMSpec(input_size=I, hidden_size=H, **options)
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(-1, 1, shape).astype(dtype)
        for name, shape in spec.shapes().items()
    }


def single(params: Any, opset: int = 14, **values: Any) -> onnx.ModelProto:
    """A model of one node whose weights are those of one layer."""
    ((*directions,),) = layers_of(params)
    weights = node_weights(tuple(directions))
    tensors = {"W": weights.w, "R": weights.r, "B": weights.b}
    held = {n: a for n, a in tensors.items() if a is not None}
    names = ["X", *(n if n in held else "" for n in tensors)]
    extra = values.pop("extra", {})
    for place, name in enumerate(("lengths", "h", "c", "P"), 4):
        if name in extra:
            names += [""] * (place - len(names)) + [name]
    options = {"hidden_size": H, "name": "the node", **values}
    options = {n: v for n, v in options.items() if v is not None}
    node = helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], **options)
    return model([node], held | extra, opset=opset)


def model(
    nodes: list[Any], tensors: dict[str, Any], opset: int = 14, **parts: Any
) -> onnx.ModelProto:
    """A model with one input `X` and no declared shape of its outputs."""
    held = [numpy_helper.from_array(np.array(a), n) for n, a in tensors.items()]
    xs = helper.make_tensor_value_info("X", 1, ["time", "batch", I])
    last = helper.make_tensor_value_info(nodes[-1].output[0], 1, None)
    graph = helper.make_graph(nodes, "given", [xs], [last], initializer=held, **parts)
    ids = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=ids, ir_version=8)


def external(location: str, **told: str) -> bytes:
    """A model whose first weight is beside it."""
    proto = single(drawn())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **told}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return proto.SerializeToString()


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A model, ready to run on the CPU."""
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def same(found: Any, params: Any) -> bool:
    """Whether arrays of JAX are those of NumPy, by name and bit for bit."""
    assert found.keys() == params.keys()
    return all(same_bits(np.asarray(a), params[name]) for name, a in found.items())
