"""`to_onnx`: an LSTM as a model of ONNX, with a native node for each layer."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import lstm_jax
from lstm_jax import LSTMSpec
from parity.arrays import numpy_of, same_bits
from parity.convert.onnx.graph import Graph
from parity.convert.onnx.heads import Made, add_embedding, add_head, check_options
from parity.convert.onnx.nodes import nodes_in
from parity.convert.onnx.stacks import stacks_of
from parity.files.beside import beside
from parity.files.kinds.onnx import need_onnx, nothing_beside, scopes_of
from parity.files.read import read
from parity.frameworks.kinds.onnx import node_weights
from parity.frameworks.layers import layers_of
from parity.frameworks.losses import losses, refuse_losses
from parity.frameworks.portable import Kind, Portable, portable_of
from parity.names.prefixes import listed as names_of

_WHERE = "to_onnx"
_TYPES = ("float32", "float64", "float16")
_MOST_BYTES = 2**31 - 2**20  # protobuf ends at 2 GiB, names and nodes included
_HEAD = {"fc.weight", "fc.bias"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a graph has beside `xs` and `ys`: lengths, and states in and out."""

    lengths: bool = False
    state: bool = False


def to_onnx(
    source: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    lengths: bool = False,
    state: bool = False,
    streaming: bool = False,
    allow: str | Iterable[str] = (),
) -> Any:
    """An LSTM as a model of ONNX: one native `LSTM` node for each layer.

    Inputs are `xs`, then `lengths`, `h` and `c` where they are asked for; outputs are
    `ys`, `h_n` and `c_n`. Their names stay. The sizes of batch and time are free. `xs`
    and `ys` are `(T, B, ...)`, or `(B, T, ...)` of a module with `batch_first`, which
    the graph turns; states are `(L*D, B, H)`. A whole `LSTMModel` gives its prediction
    as `ys`, and states only with `state`.

    The opset is the lowest that holds the graph: 9, or 10 for the last steps by
    lengths; the IR version is the lowest of that opset. A row of length 0 keeps its
    state, in onnxruntime too, which forgets it by itself.

    Args:
        source: `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, or a flat mapping of torch's
            names to arrays. A cell is written as a stack of one layer.
        path: Where to write it; None writes nothing. It is written beside, checked by
            `onnx.checker`, read back bit for bit, and then renamed.
        lengths: Whether there is an input `lengths`, int32 `(B,)`: the steps of each
            row. Outputs past them are 0.
        state: Whether the state before is an input; else it is zero.
        streaming: Whether it is called with one piece of a sequence after the other:
            `state`, and one direction only.
        allow: Names of losses that are wanted all the same, see `parity.losses`.

    Returns:
        The `onnx.ModelProto`.

    Raises:
        NotImplementedError: If it has a projection, or is bidirectional and is to
            stream, or its type has no runtime.
        TypeError: If the source is none of these.
        ValueError: If it is too large for protobuf, or `allow` names no loss.
        ModuleNotFoundError: If `onnx` is not installed.

    Example:
        >>> model = to_onnx(lstm_jax.LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0)))
        >>> [node.op_type for node in model.graph.node]
        ['LSTM', 'Squeeze', 'LSTM', 'Squeeze', 'Concat', 'Concat']
    """
    need_onnx(_WHERE, "it makes the model")
    held = source if isinstance(source, Portable) else portable_of(_WHERE, source)
    portable = _named(held)
    refuse_losses(_WHERE, losses(portable.spec, "onnx"), allow)
    _refuse_streaming(portable, streaming)
    form = Form(lengths=lengths, state=state or streaming)
    model = model_of(portable, form)
    if path is not None:
        _write(model, Path(path))
    return model


def _named(portable: Portable) -> Portable:
    """The same, where a mapping has the kind that its names tell.

    Raises:
        ValueError: If it has names of no LSTM, cell or model.
    """
    if portable.kind != "mapping":
        return portable
    kinds: tuple[Kind, ...] = ("LSTM", "LSTMCell", "LSTMModel")
    names = set(portable.params)
    other = names - {n for n in names if LSTMSpec.parse_key(n)}
    if other:
        cell = all(LSTMSpec.parse_key(f"{n}_l0") for n in names)
        inside = {n for n in names if n.startswith("lstm.")}
        model = inside and names - inside - {"embedding.weight"} == _HEAD
        if not cell and not model:
            raise ValueError(
                f"{_WHERE}: source must have torch's names of one LSTM, LSTMCell or "
                f"LSTMModel: it has {names_of(other)}. Give the LSTM alone."
            )
        kinds = ("LSTMCell",) if cell else ("LSTMModel",)
    return Portable(kind=kinds[0], params=portable.params)


def model_of(portable: Portable, form: Form) -> Any:
    """The model of an LSTM, in memory.

    Raises:
        NotImplementedError: If its type has no runtime, or an option no operator.
        ValueError: If it is too large.
    """
    params = {n: numpy_of(n, a, _WHERE) for n, a in portable.params.items()}
    portable = Portable(kind=portable.kind, params=params, options=portable.options)
    check_options(_WHERE, portable.options)
    dtype = _dtype_of(params)
    graph = Graph()
    _Writer(graph, portable, form, dtype).write()
    config = {
        "format": 1,
        "class": portable.kind,
        "options": dict(portable.options),
        "inputs": [value.name for value in graph.inputs],
    }
    return graph.model(lstm_jax.__version__, {"config": json.dumps(config)})


def _dtype_of(params: Mapping[str, np.ndarray]) -> np.dtype:
    types = sorted({array.dtype.name for array in params.values()})
    if len(types) > 1 or types[0] not in _TYPES:
        raise NotImplementedError(
            f"{_WHERE}: the type of all parameters must be one of {', '.join(_TYPES)}, "
            f"not {', '.join(types)}: no runtime has another LSTM. Cast them first."
        )
    size = sum(array.nbytes for array in params.values())
    if size > _MOST_BYTES:
        raise ValueError(
            f"{_WHERE}: the parameters must have at most {_MOST_BYTES} bytes, not "
            f"{size}: protobuf ends there. Cast them to float16, or convert each layer."
        )
    return np.dtype(types[0])


def _refuse_streaming(portable: Portable, streaming: bool) -> None:
    if streaming and portable.spec.bidirectional:
        raise NotImplementedError(
            f"{_WHERE}: streaming=True must be of one direction: the reverse one "
            "starts at the end of a sequence, which has not come yet. Leave streaming "
            "out, and give whole sequences."
        )


class _Writer:
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
        for k, directions in enumerate(layers_of(self.portable.lstm)):
            w, r, b = node_weights(directions)
            given = [xs, self.graph.weight(f"W_l{k}", w)]
            given.append(self.graph.weight(f"R_l{k}", r))
            given.append("" if b is None else self.graph.weight(f"B_l{k}", b))
            given += [lengths, *before[k]]
            while not given[-1]:
                _ = given.pop()
            xs = self._layer(k, given)
            after.append((f"h_n_l{k}", f"c_n_l{k}"))
        return xs, after

    def _states_before(self) -> list[tuple[str, ...]]:
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
        empty = self._empty_rows() if self.form.lengths and self.form.state else ""
        for name, parts in zip(("h_n", "c_n"), zip(*states, strict=True), strict=True):
            made = parts[0]
            if len(parts) > 1:
                made = self.graph.add("Concat", parts, f"{name}_joined", axis=0)
            if empty:
                given = [empty, name.removesuffix("_n"), made]
                made = self.graph.add("Where", given, f"{name}_kept")
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


def _write(model: Any, path: Path) -> None:
    """Write beside, check, read back, then rename.

    Raises:
        ValueError: If what was read back differs.
    """
    onnx: Any = import_module("onnx")
    with beside(path.resolve()) as part:
        _ = part.write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(part), full_check=True)
        back, held = _weights_of(read(part).structure), _weights_of(_scopes(model))
        if back.keys() != held.keys() or not all(
            same_bits(back[name], held[name]) for name in held
        ):
            raise ValueError(
                f"{_WHERE}: {path} was not read back as it was written, so it was not "
                "made: the disk may be damaged. Write it elsewhere."
            )


def _scopes(model: Any) -> Any:
    return scopes_of(model, nothing_beside)


def _weights_of(scopes: Any) -> dict[str, np.ndarray]:
    """The weights of the LSTM, and every other tensor."""
    (stack,) = stacks_of(nodes_in(scopes)[0])
    others = {n: a for s in scopes for n, a in s.tensors.items()}
    return {**others, **{f"lstm.{n}": a for n, a in stack.params.items()}}
