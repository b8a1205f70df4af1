"""The LSTM nodes of a model: their weights, and what no LSTM of torch can do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.convert.onnx.constants import NotConstantError, constant
from parity.files.onnx.scopes import Scope
from parity.frameworks.kinds.onnx import NodeWeights

# The inputs of a node, in order.
_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_ACTIVATIONS = ["sigmoid", "tanh", "tanh"]
_TYPES = ("float64", "float32", "float16", "bfloat16")
_DIRECTIONS = {"": 1, "forward": 1, "reverse": 1, "bidirectional": 2}


class RefusedError(ValueError):
    """Why a node is no LSTM of torch: half a sentence about it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """An LSTM node.

    Attributes:
        name: Of the node, or of its first output; each once in a model.
        scope: The graph that it is in.
        proto: The `onnx.NodeProto`.
        weights: The inputs that are weights.
        options: What its attributes say: `direction`, `layout`.
        differs: What a module of its weights does not do by itself: a name and a
            sentence for each.
    """

    name: str
    scope: Scope
    proto: Any
    weights: NodeWeights
    options: dict[str, Any]
    differs: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The name of `Y`, empty if nobody reads it."""
        return next(iter(self.proto.output), "")

    def input(self, name: str) -> str:
        """What an input of the operator, such as `X`, is called in the graph."""
        return _inputs(self.proto)[name]


def nodes_in(scopes: Sequence[Scope]) -> tuple[list[Node], dict[str, str]]:
    """The LSTM nodes of graphs, and why others are none, by name."""
    found, refused = [], {}
    for name, scope, proto in _named(scopes):
        try:
            found.append(_node(name, scope, proto))
        except RefusedError as error:
            refused[name] = f"the LSTM node {printable(name)!r}: {error}"
    return found, refused


def _named(scopes: Sequence[Scope]) -> Iterator[tuple[str, Scope, Any]]:
    taken: set[str] = set()
    for scope in scopes:
        for proto in scope.graph.node:
            if proto.op_type == "LSTM" and proto.domain in ("", "ai.onnx"):
                name = proto.name or next(filter(None, proto.output), "LSTM")
                name = name if name not in taken else f"{scope.path}{name}"
                while name in taken:
                    name += "'"
                taken.add(name)
                yield name, scope, proto


def _node(name: str, scope: Scope, proto: Any) -> Node:
    options, hidden = _options(proto)
    weights = _weights(scope, proto, _DIRECTIONS[options["direction"]], hidden)
    _refuse_peepholes(scope, proto)
    differs = dict(_differs(scope, proto, options))
    return Node(
        name=name,
        scope=scope,
        proto=proto,
        weights=weights,
        options=options,
        differs=differs,
    )


def _inputs(proto: Any) -> dict[str, str]:
    names = [*proto.input[: len(_INPUTS)]]
    return dict(zip(_INPUTS, names + [""] * (len(_INPUTS) - len(names)), strict=True))


def _options(proto: Any) -> tuple[dict[str, Any], int]:
    """Direction and layout, and the size that is stated; the rest must be torch's."""
    held = {attribute.name: attribute for attribute in proto.attribute}
    direction = held["direction"].s.decode("latin-1") if "direction" in held else ""
    if direction not in _DIRECTIONS:
        raise RefusedError(f"its direction is {printable(direction, 40)!r}")
    wanted = _ACTIVATIONS * _DIRECTIONS[direction]
    if "activations" in held:
        given = [text.decode("latin-1") for text in held["activations"].strings]
        if [name.lower() for name in given] != wanted:
            shown = printable(", ".join(given), 60)
            raise RefusedError(f"its activations are {shown}, not Sigmoid, Tanh, Tanh")
    if "clip" in held:
        raise RefusedError(f"it clips its gates at {held['clip'].f:g}")
    if "input_forget" in held and held["input_forget"].i:
        raise RefusedError("its input and forget gates are coupled (input_forget)")
    layout = held["layout"].i if "layout" in held else 0
    if layout not in (0, 1):
        raise RefusedError(f"its layout is {layout}, neither 0 nor 1")
    size = held["hidden_size"].i if "hidden_size" in held else -1
    return {"direction": direction or "forward", "layout": layout}, size


def _weights(scope: Scope, proto: Any, directions: int, hidden: int) -> NodeWeights:
    w, r = _weight(scope, proto, "W"), _weight(scope, proto, "R")
    size = r.shape[-1]
    b = _weight(scope, proto, "B") if _inputs(proto)["B"] else None
    inputs = w.shape[-1] if w.ndim == 3 else 0
    expected = {"W": (directions, 4 * size, inputs), "R": (directions, 4 * size, size)}
    expected["B"] = (directions, 8 * size)
    for name, array in zip("WRB", (w, r, b), strict=True):
        if array is not None and (array.shape != expected[name] or 0 in array.shape):
            shapes = f"{list(array.shape)}, not {list(expected[name])}"
            raise RefusedError(f"the shape of its {name} is {shapes}")
        if array is not None and array.dtype != w.dtype:
            types = f"{array.dtype.name}, and that of its W {w.dtype.name}"
            raise RefusedError(f"the type of its {name} is {types}")
    if hidden not in (-1, size):
        raise RefusedError(f"its hidden_size is {hidden}, and its R has {size} columns")
    return NodeWeights(w, r, b)


def _weight(scope: Scope, proto: Any, name: str) -> np.ndarray:
    """An input that is a weight."""
    given = _inputs(proto)[name]
    if not given:
        raise RefusedError(f"it has no {name}")
    try:
        array = constant(scope, given)
    except NotConstantError as error:
        raise RefusedError(f"its {name} is no constant: it is {error}") from None
    if array.dtype.name not in _TYPES or array.ndim < 2:
        shape = f"{array.dtype.name}{list(array.shape)}"
        raise RefusedError(f"its {name} is {shape}, no weights of an LSTM")
    return array


def _refuse_peepholes(scope: Scope, proto: Any) -> None:
    """Refuse peepholes, unless all of them are zero."""
    given = _inputs(proto)["P"]
    if given and not (is_constant(scope, given) and not constant(scope, given).any()):
        raise RefusedError("it has peepholes (P), and torch's LSTM has none")


def is_constant(scope: Scope, name: str) -> bool:
    """Whether a value is made of constants."""
    try:
        return constant(scope, name) is not None
    except NotConstantError:
        return False


def _differs(
    scope: Scope, proto: Any, options: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """What a module does only if its caller does it."""
    if options["direction"] == "reverse":
        yield "reverse", "runs in reverse only: a module needs its inputs turned around"
    given = _inputs(proto)
    states = [given[name] for name in ("initial_h", "initial_c") if given[name]]
    held = [constant(scope, name) for name in states if is_constant(scope, name)]
    if any(state.any() for state in held):
        yield "initial state", "starts from a state of its own: a module starts at zero"
    lengths = given["sequence_lens"]
    if lengths and is_constant(scope, lengths):
        yield "lengths", "has lengths of its own: a module is given them at each call"
