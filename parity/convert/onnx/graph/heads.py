"""What comes before and after the LSTM of a whole model: a row for each choice."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from parity.convert.onnx.graph.graph import Graph

_LAST = 2**63 - 1


class Made(NamedTuple):
    """What the LSTM of a graph made, by the names of the values.

    `ys` is `(T, B, D*H)`, `h` the state after the last layer, `(D, B, H)`; `lengths`
    is empty where the graph has none. `features` is `D*H`, `dtype` the type of all.
    """

    ys: str
    h: str
    lengths: str
    features: int
    dtype: np.dtype


def _last(graph: Graph, made: Made) -> str:
    """The outputs at the last step of each row, `(B, D*H)`."""
    if made.lengths:
        turned = graph.add(
            "ReverseSequence",
            [made.ys, _at_least_1(graph, made)],
            "turned",
            time_axis=0,
            batch_axis=1,
        )
        first = graph.weight("first", np.array(0))
        return graph.add("Gather", [turned, first], "last", axis=0)
    ends: dict[str, Any] = {"axes": [0], "starts": [-1], "ends": [_LAST]}
    step = graph.add("Slice", [made.ys], "last_step", **ends)
    return graph.add("Squeeze", [step], "last", axes=[0])


def _at_least_1(graph: Graph, made: Made) -> str:
    """The lengths in 64 bits: onnxruntime leaves a row of length 0 to chance."""
    wide = graph.add("Cast", [made.lengths], "wide_lengths", to=7)
    none, one = (graph.weight(f"length_{n}", np.array(n)) for n in (0, 1))
    empty = graph.add("Equal", [wide, none], "no_step")
    return graph.add("Where", [empty, one, wide], "lengths_at_least_1")


def _final(graph: Graph, made: Made) -> str:
    """The states of both directions after all of their steps, `(B, D*H)`."""
    rows = graph.add("Transpose", [made.h], "final_rows", perm=[1, 0, 2])
    shape = graph.weight("final_shape", np.array([0, made.features]))
    return graph.add("Reshape", [rows, shape], "final")


def _mean(graph: Graph, made: Made) -> str:
    """The mean over the steps of each row, `(B, D*H)`."""
    if not made.lengths:
        return graph.add("ReduceMean", [made.ys], "mean", axes=[0], keepdims=0)
    total = graph.add("ReduceSum", [made.ys], "total", axes=[0], keepdims=0)
    kind = graph.onnx.helper.np_dtype_to_tensor_dtype(made.dtype)
    count = graph.add("Cast", [made.lengths], "count", to=kind)
    one = graph.weight("one", np.array(1, made.dtype))  # for a row without a step
    count = graph.add("Max", [count, one], "count_at_least_1")
    column = graph.add("Unsqueeze", [count], "count_column", axes=[1])
    return graph.add("Div", [total, column], "mean")


def _all(_: Graph, made: Made) -> str:
    """The outputs of every step, `(T, B, D*H)`."""
    return made.ys


# By the option `outputs` of a model.
OUTPUTS: dict[str, Callable[[Graph, Made], str]] = {
    "last": _last,
    "final": _final,
    "mean": _mean,
    "all": _all,
}
# By the option `activation` of a model.
ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "tanh": "Tanh",
}


def check_options(where: str, options: Mapping[str, Any]) -> None:
    """Refuse an option that has no row here.

    Raises:
        NotImplementedError: With the rows that there are.
    """
    known = {"outputs": [*OUTPUTS], "activation": [*ACTIVATIONS, None]}
    for name, values in known.items():
        given = options.get(name, values[0] if name == "outputs" else None)
        if given not in values:
            shown = ", ".join(map(repr, values))
            raise NotImplementedError(
                f"{where}: {name}={given!r} must be one of {shown}: these are written "
                "as operators of ONNX. Use one of these, or give the LSTM alone."
            )


def add_embedding(graph: Graph, xs: str, weight: np.ndarray) -> str:
    """The rows of an embedding that tokens name: `(T, B)` to `(T, B, I)`."""
    table = graph.weight("embedding.weight", weight)
    return graph.add("Gather", [table, xs], "embedded", axis=0)


def add_head(
    graph: Graph,
    made: Made,
    params: Mapping[str, np.ndarray],
    options: Mapping[str, Any],
) -> str:
    """The prediction: the chosen outputs, a linear layer, an activation."""
    outputs = options.get("outputs", "last")
    chosen = OUTPUTS[outputs](graph, made)
    fc = [graph.weight(f"fc.{n}", params[f"fc.{n}"]) for n in ("weight", "bias")]
    if outputs == "all":
        turned = graph.add("Transpose", fc[:1], "fc_turned", perm=[1, 0])
        product = graph.add("MatMul", [chosen, turned], "fc_product")
        predicted = graph.add("Add", [product, fc[1]], "fc")
    else:
        predicted = graph.add("Gemm", [chosen, *fc], "fc", transB=1)
    kind = ACTIVATIONS.get(options.get("activation") or "")
    if kind is None:
        return predicted
    last_axis = {"axis": 2 if outputs == "all" else 1} if kind == "Softmax" else {}
    return graph.add(kind, [predicted], "activated", **last_axis)
