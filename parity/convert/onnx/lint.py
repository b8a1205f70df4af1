"""`onnx_lint`: what runtimes are known to do wrong with the LSTM nodes of a model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from parity.convert.onnx.nodes import Node, nodes_in
from parity.convert.onnx.source import opened
from parity.files.onnx.scopes import Scope


class Rule(NamedTuple):
    """A sentence, and the test for models that it is about."""

    applies: Callable[[Sequence[Node]], bool]
    sentence: str


def _any(test: Callable[[Node], bool]) -> Callable[[Sequence[Node]], bool]:
    return lambda nodes: any(map(test, nodes))


def _of_type(name: str) -> Callable[[Sequence[Node]], bool]:
    return _any(lambda node: node.weights.w.dtype.name == name)


def _forgets(node: Node) -> bool:
    """Whether the state after is that of the node, with lengths and a state before."""
    given = node.input("sequence_lens") and node.input("initial_h")
    return bool(given) and not _kept(node)


def _kept(node: Node) -> bool:
    """Whether the graph puts back the state of a row without a step."""
    after = {*node.proto.output[1:]} - {""}
    chosen = [n for n in node.scope.graph.node if n.op_type == "Where"]
    return all(any(name in n.input for n in chosen) for name in after)


def _has_fixed(axis_words: tuple[str, ...]) -> Callable[[Sequence[Node]], bool]:
    """Whether `X` of a node is an input of the graph with a fixed size on an axis."""

    def test(node: Node) -> bool:
        sizes = _sizes_of(node.scope, node.input("X"))
        order = ("batch", "time") if node.options["layout"] == 1 else ("time", "batch")
        fixed = {word for word, size in zip(order, sizes, strict=False) if size}
        return bool(fixed & {*axis_words})

    return _any(test)


def _sizes_of(scope: Scope, name: str) -> list[int]:
    """The sizes of an input of the graph, through a Transpose; 0 where one is free."""
    made: Any = scope.made_by.get(name)
    perm: list[int] = []
    if made is not None and made.op_type == "Transpose":
        perm = [k for a in made.attribute if a.name == "perm" for k in a.ints]
        name = made.input[0]
    for value in scope.graph.input:
        if value.name == name:
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            return [sizes[k] for k in perm if k < len(sizes)] if perm else sizes
    return []


# Each sentence about onnxruntime was seen in its 1.20 and 1.31, on a CPU.
RULES = (
    Rule(
        bool,
        "onnxruntime ends the process where an LSTM is given a batch of 0 rows, and "
        "gives a state of zeros after 0 steps: give it at least one of both.",
    ),
    Rule(
        _any(_forgets),
        "onnxruntime gives a state of zeros, not the one before, for a row of length "
        "0: leave such rows out.",
    ),
    Rule(
        _any(lambda node: bool(node.input("sequence_lens"))),
        "onnxruntime refuses a length over the steps that there are, and older ones a "
        "length of 0 (onnxruntime#10768): check the lengths first.",
    ),
    Rule(
        _any(lambda node: node.options["layout"] == 1),
        "onnxruntime refuses layout=1, and OpenVINO ignores it silently "
        "(openvino#37820): write layout=0 with a Transpose around it, as to_onnx does.",
    ),
    Rule(
        _of_type("float64"),
        "onnxruntime has no LSTM of float64: cast it to float32.",
    ),
    Rule(
        _of_type("bfloat16"),
        "ONNX has an LSTM of bfloat16 only from opset 22, and onnxruntime none: cast "
        "it to float32.",
    ),
    Rule(
        _of_type("float16"),
        "onnxruntime runs an LSTM of float16 in float32 on a CPU, and other devices in "
        "half precision: compare the numbers on the device that you ship to.",
    ),
    Rule(
        _has_fixed(("batch",)),
        "its batch is fixed: other sizes of a batch are refused (torch-mlir#4741). "
        "Export it with a free batch.",
    ),
    Rule(
        _has_fixed(("time",)),
        "its time is fixed: sequences of another length are refused (pytorch#191855). "
        "Export it with a free time.",
    ),
)


def onnx_lint(source: Any) -> list[str]:
    """What runtimes are known to do wrong with the LSTM nodes of a model.

    It says what was seen or reported, and knows no other fault. `parity.losses` says
    what no ONNX model can hold.

    Args:
        source: The path of an `.onnx` file, or an `onnx.ModelProto`.

    Returns:
        Sentences, each with a cure; none where there is no LSTM node.

    Raises:
        TypeError: If the source is neither.
        ValueError: If it is no model.
        ModuleNotFoundError: If `onnx` is not installed.

    Example:
        >>> module = lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0))
        >>> [len(onnx_lint(to_onnx(module, lengths=given))) for given in (False, True)]
        [1, 2]
    """
    scopes, _ = opened("onnx_lint", source)
    nodes, _ = nodes_in(scopes)
    return [rule.sentence for rule in RULES if rule.applies(nodes)]
