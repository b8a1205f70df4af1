"""Nodes that feed each other, as exporters write the layers of one LSTM."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.convert.onnx.constants import NotConstantError, applied, constant
from parity.convert.onnx.nodes import Node
from parity.frameworks.kinds.onnx import layer_of
from parity.frameworks.layers import params_of

# Operators between two layers: a chain is as long as this at most.
_LONGEST = 8
_BETWEEN = ("Dropout", "Identity", "Reshape", "Squeeze", "Transpose")
_TIME, _ROWS = 5, 3  # of the numbers that are sent from one layer to the next
_BATCH_FIRST = (1, 0, 2)


@dataclass(frozen=True, eq=False)
class Stack:
    """An LSTM of a model: a node for each layer."""

    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        """The name of the first node."""
        return self.nodes[0].name

    @property
    def params(self) -> dict[str, np.ndarray]:
        """Torch's names to arrays."""
        return params_of([layer_of(node.weights) for node in self.nodes])

    @property
    def differs(self) -> dict[str, str]:
        """What a module does not do by itself, by name."""
        return {n: text for node in self.nodes for n, text in node.differs.items()}

    @property
    def batch_first(self) -> bool:
        """Whether its inputs come batch first, by the layout or by a Transpose."""
        first = self.nodes[0]
        if first.options["layout"] == 1:
            return True
        node = first.scope.made_by.get(first.input("X"))
        return node is not None and _turns_batch(node)


def _turns_batch(node: Any) -> bool:
    perms = [tuple(a.ints) for a in node.attribute if a.name == "perm"]
    return node.op_type == "Transpose" and perms == [_BATCH_FIRST]


def stacks_of(nodes: Sequence[Node]) -> list[Stack]:
    """The nodes, those that feed one the next together, in the order of the graph."""
    before = {node: first for node in nodes if (first := _feeder(node, nodes))}
    feeds: dict[Node, list[Node]] = {}
    for node, first in before.items():
        feeds.setdefault(first, []).append(node)
    after = {first: only[0] for first, only in feeds.items() if len(only) == 1}
    starts = [n for n in nodes if n not in after.values()]
    return [Stack(tuple(_chain(start, after))) for start in starts]


def _chain(node: Node, after: dict[Node, Node]) -> Iterator[Node]:
    """A node and those after it."""
    seen: set[Node] = set()
    while node not in seen:
        seen.add(node)
        yield node
        node = after.get(node, node)


def _feeder(node: Node, nodes: Sequence[Node]) -> Node | None:
    """The node that is the layer before, if it is one."""
    path, name = [], node.input("X")
    by_output = {n.output: n for n in nodes if n.scope is node.scope and n.output}
    while name not in by_output:
        made = node.scope.made_by.get(name)
        if made is None or made.op_type not in _BETWEEN or len(path) == _LONGEST:
            return None
        if not made.input or made.output[0] != name:
            return None
        path.append(made)
        name = made.input[0]
    first = by_output[name]
    fits = _alike(first, node) and _is_plain(first, node, path[::-1])
    return first if fits and first is not node else None


def _alike(first: Node, node: Node) -> bool:
    """Whether both may be layers of one LSTM of torch."""
    (w, r, b), (below_w, below_r, below_b) = node.weights, first.weights
    return (
        r.shape == below_r.shape
        and w.dtype == below_w.dtype
        and w.shape[2] == len(r) * r.shape[2]
        and (b is None) == (below_b is None)
        and first.options["direction"] == node.options["direction"]
        and first.options["layout"] == node.options["layout"]
        and first.input("sequence_lens") == node.input("sequence_lens")
    )


def _is_plain(first: Node, node: Node, path: Sequence[Any]) -> bool:
    """Whether the next layer reads outputs as torch's next layer does.

    Numbers in the shape of `Y` are sent through the operators between both.
    """
    directions, _, size = first.weights.r.shape
    numbers = np.arange(_TIME * directions * _ROWS * size)
    sent = numbers.reshape(_TIME, directions, _ROWS, size)
    expected = sent.swapaxes(1, 2).reshape(_TIME, _ROWS, -1)
    if node.options["layout"] == 1:
        sent, expected = sent.transpose(2, 0, 1, 3), expected.swapaxes(0, 1)
    try:
        for between in path:
            others = [constant(node.scope, n) for n in between.input[1:] if n]
            sent = applied(between, [sent, *others], node.scope.opset)
    except NotConstantError:
        return False
    return np.array_equal(sent, expected)
