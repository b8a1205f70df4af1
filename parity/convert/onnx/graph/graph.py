"""A graph of ONNX while it is built, and the lowest version that holds it."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

# The opset since which an operator is as it is used here.
_SINCE = {
    "Add": 7,
    "Cast": 9,
    "Concat": 4,
    "Div": 7,
    "Equal": 7,
    "Gather": 1,
    "Gemm": 7,
    "LSTM": 7,
    "MatMul": 9,
    "Max": 8,
    "ReduceMean": 1,
    "ReduceSum": 1,
    "Relu": 6,
    "Reshape": 5,
    "ReverseSequence": 10,
    "Sigmoid": 6,
    "Slice": 1,
    "Softmax": 1,
    "Split": 2,
    "Squeeze": 1,
    "Tanh": 6,
    "Transpose": 1,
    "Unsqueeze": 1,
    "Where": 9,
}
# The IR version that came with an opset. Before the IR of opset 9, every weight had to
# be listed among the inputs of the graph, too.
_IR = {9: 4, 10: 5}


class Graph:
    """Nodes and weights, in the order in which they are added."""

    def __init__(self) -> None:
        self.onnx: Any = import_module("onnx")
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def add(
        self, kind: str, given: Sequence[str], made: str | Sequence[str], **values: Any
    ) -> str:
        """Add a node, and give the name of its first output."""
        names = [made] if isinstance(made, str) else [*made]
        options = {"name": f"{names[0]}_{kind}", **values}
        self.nodes.append(self.onnx.helper.make_node(kind, given, names, **options))
        return names[0]

    def weight(self, name: str, array: np.ndarray) -> str:
        """Add a weight, and give its name."""
        self.weights[name] = array
        return name

    def input(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> str:
        """Add an input; a text in the shape is a size that is free."""
        self.inputs.append(self._value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> None:
        """Add an output, which a node makes."""
        self.outputs.append(self._value(name, dtype, shape))

    def _value(self, name: str, dtype: np.dtype, shape: Sequence[int | str]) -> Any:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def model(self, version: str, texts: dict[str, str]) -> Any:
        """The `onnx.ModelProto`, of the lowest opset and IR version that hold it."""
        helper = self.onnx.helper
        of_numpy = self.onnx.numpy_helper.from_array
        weights = [of_numpy(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(
            self.nodes, "lstm_jax", self.inputs, self.outputs, initializer=weights
        )
        opset = max(min(_IR), *(_SINCE[node.op_type] for node in self.nodes))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=_IR[opset],
            producer_name="lstm_jax",
            producer_version=version,
        )
        helper.set_model_props(model, texts)
        return model
