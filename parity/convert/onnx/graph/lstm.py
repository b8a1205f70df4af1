"""The nodes of an LSTM in a graph: a native one for each layer, states, lengths."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.convert.onnx.graph.graph import Graph
from parity.convert.onnx.graph.heads import Made, add_embedding, add_head
from parity.frameworks.kinds.onnx import node_weights
from parity.frameworks.layers import layers_of
from parity.frameworks.portable import Portable


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a graph has beside `xs` and `ys`: lengths, and states in and out."""

    lengths: bool = False
    state: bool = False


class LSTMWriter:
    """Adds the nodes of an LSTM to a graph."""

    def __init__(
        self, graph: Graph, portable: Portable, form: Form, dtype: np.dtype
    ) -> None:
        self.graph, self.portable, self.form = graph, portable, form
        self.dtype, self.spec = dtype, portable.spec
        self.whole = portable.kind == "LSTMModel"
        self.batch_first = portable.options.get("batch_first", self.whole)
        self.directions, self.size = self.spec.num_directions, self.spec.hidden_size

    def write(self) -> None:
        """All nodes, inputs and outputs."""
        graph, features = self.graph, self.directions * self.size
        xs = self._time_first(self._inputs())
        if "embedding.weight" in self.portable.params:
            table = self.portable.params["embedding.weight"]
            xs = add_embedding(graph, xs, np.asarray(table))
        lengths = "lengths" if self.form.lengths else ""
        ys, states = self._layers(xs, lengths)
        if self.whole:
            made = Made(ys, states[-1][0], lengths, features, self.dtype)
            params: Any = self.portable.params
            ys = add_head(graph, made, params, self.portable.options)
            features = len(params["fc.bias"])
        self._outputs(ys, features, states)

    def _inputs(self) -> str:
        """The inputs of the graph; the name of `xs`."""
        graph, tokens = self.graph, "embedding.weight" in self.portable.params
        shape: list[int | str] = [] if tokens else [self.spec.input_size]
        dtype = np.dtype(np.int64) if tokens else self.dtype
        xs = graph.input("xs", dtype, [*self._rows(), *shape])
        if self.form.lengths:
            _ = graph.input("lengths", np.dtype(np.int32), ["batch"])
        for name in ("h", "c") if self.form.state else ():
            _ = graph.input(name, self.dtype, self._state_shape())
        return xs

    def _rows(self) -> list[str]:
        return ["batch", "time"] if self.batch_first else ["time", "batch"]

    def _state_shape(self) -> list[int | str]:
        return [self.spec.num_layers * self.directions, "batch", self.size]

    def _time_first(self, xs: str) -> str:
        if not self.batch_first:
            return xs
        rest = [2] if "embedding.weight" not in self.portable.params else []
        return self.graph.add("Transpose", [xs], "xs_time_first", perm=[1, 0, *rest])

    def _layers(self, xs: str, lengths: str) -> tuple[str, list[tuple[str, str]]]:
        """Every layer: the name of its outputs, and those of the states after."""
        before, after = self._states_before(), []
        empty = self._empty_rows() if lengths and self.form.state else ""
        for k, directions in enumerate(layers_of(self.portable.lstm)):
            w, r, b = node_weights(directions)
            given = [xs, self.graph.weight(f"W_l{k}", w)]
            given.append(self.graph.weight(f"R_l{k}", r))
            given.append("" if b is None else self.graph.weight(f"B_l{k}", b))
            given += [lengths, *before[k]]
            while not given[-1]:
                _ = given.pop()
            xs = self._layer(k, given)
            after.append(self._states_after(k, before[k], empty))
        return xs, after

    def _states_after(
        self, k: int, before: tuple[str, str], empty: str
    ) -> tuple[str, str]:
        """The names of the states after a layer: those before in rows without steps."""
        after = f"h_n_l{k}", f"c_n_l{k}"
        if not empty:
            return after
        h, c = (
            self.graph.add("Where", [empty, old, new], f"{new}_kept")
            for old, new in zip(before, after, strict=True)
        )
        return h, c

    def _states_before(self) -> list[tuple[str, str]]:
        """The states that each layer starts from, empty for zeros."""
        layers = range(self.spec.num_layers)
        if not self.form.state:
            return [("", "") for _ in layers]
        if len(layers) == 1:
            return [("h", "c")]
        names = {s: [f"{s}_l{k}" for k in layers] for s in ("h", "c")}
        for s, parts in names.items():
            sizes = [self.directions] * len(parts)
            _ = self.graph.add("Split", [s], parts, axis=0, split=sizes)
        return [*zip(names["h"], names["c"], strict=True)]

    def _layer(self, k: int, given: list[str]) -> str:
        """One layer; the name of its outputs, `(T, B, D*H)`."""
        both = self.directions == 2
        values = {"hidden_size": self.size, "name": f"lstm_l{k}"}
        made = [f"ys_l{k}_apart", f"h_n_l{k}", f"c_n_l{k}"]
        way = "bidirectional" if both else "forward"
        ys = self.graph.add("LSTM", given, made, direction=way, **values)
        if not both:
            return self.graph.add("Squeeze", [ys], f"ys_l{k}", axes=[1])
        rows = self.graph.add("Transpose", [ys], f"ys_l{k}_rows", perm=[0, 2, 1, 3])
        shape = np.array([0, 0, self.directions * self.size])
        _ = self.graph.weight("shape", shape)
        return self.graph.add("Reshape", [rows, "shape"], f"ys_l{k}")

    def _outputs(self, ys: str, features: int, states: list[tuple[str, str]]) -> None:
        """The outputs of the graph, made of the last values under their own names."""
        steps = not self.whole or self.portable.options.get("outputs") == "all"
        if steps and self.batch_first:
            ys = self.graph.add("Transpose", [ys], "ys", perm=[1, 0, 2])
        self._renamed(ys, "ys")
        rows = self._rows() if steps else ["batch"]
        self.graph.output("ys", self.dtype, [*rows, features])
        if self.whole and not self.form.state:
            return
        for name, parts in zip(("h_n", "c_n"), zip(*states, strict=True), strict=True):
            made = parts[0]
            if len(parts) > 1:
                made = self.graph.add("Concat", parts, f"{name}_joined", axis=0)
            self._renamed(made, name)
            self.graph.output(name, self.dtype, self._state_shape())

    def _empty_rows(self) -> str:
        """Which rows have no step, `(1, B, 1)`: onnxruntime forgets their state."""
        zero = self.graph.weight("zero", np.array(0, np.int32))
        empty = self.graph.add("Equal", ["lengths", zero], "empty")
        return self.graph.add("Unsqueeze", [empty], "empty_rows", axes=[0, 2])

    def _renamed(self, name: str, new: str) -> None:
        """Let the node that makes a value, and those that read it, name it anew."""
        for node in self.graph.nodes:
            for names in (node.input, node.output):
                for k, old in enumerate(names):
                    if old == name:
                        names[k] = new
