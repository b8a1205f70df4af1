"""The graphs of a model of ONNX: what its nodes see, by name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.files.bounds import MOST_NAMES, DamagedError
from parity.files.onnx.tensors import Beside, constant_of, leaf_of
from parity.files.source import Leaf, Leaves, Unreadable

_GRAPH, _GRAPHS = 5, 10


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
        _add(tensors, tensor.name, leaf_of(tensor, beside))
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        _add(tensors, name, Unreadable("a sparse tensor"))
    made_by = {name: node for node in graph.node for name in node.output if name}
    for node in graph.node:
        if node.op_type == "Constant" and len(node.output) == 1:
            _add(tensors, node.output[0], constant_of(node, beside))
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
