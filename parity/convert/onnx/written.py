"""What `to_onnx` wrote: the module that it was, told by its config and by its graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity.convert.onnx.graph.lstm import Form
from parity.convert.onnx.stacks import Stack
from parity.convert.onnx.target import model_of
from parity.files.bounds import DamagedError
from parity.files.onnx.scopes import Scope
from parity.files.strict_json import parse_json
from parity.frameworks.portable import Kind, Portable

_KINDS: tuple[Kind, ...] = ("LSTM", "LSTMCell", "LSTMModel")
_OTHERS = ("embedding.weight", "fc.weight", "fc.bias")


def as_written(
    scopes: Sequence[Scope], stack: Stack, metadata: Mapping[str, str]
) -> Portable | None:
    """The module whose model this is, if `to_onnx` writes this very graph of it.

    The config of a file says which module it was, and may be wrong: the nodes of its
    graph must be those that are written of it.
    """
    if "config" not in metadata or len(scopes) != 1:
        return None
    portable, form = _claimed(metadata["config"], scopes[0], stack)
    if portable is None:
        return None
    try:
        graph = model_of(portable, form).graph
    except (NotImplementedError, ValueError, TypeError):
        return None
    held = scopes[0].graph
    return portable if _facts(graph) == _facts(held) else None


def _facts(graph: Any) -> list[bytes]:
    """Nodes, inputs and outputs; the weights are those of the module already."""
    parts = (*graph.node, *graph.input, *graph.output)
    return [part.SerializeToString(deterministic=True) for part in parts]


def _claimed(text: str, scope: Scope, stack: Stack) -> tuple[Portable | None, Form]:
    """The module that a config claims, and the form of its graph."""
    form = Form(lengths="lengths" in scope.inputs, state="h" in scope.inputs)
    try:
        config = parse_json(text.encode(), "config")
    except DamagedError:
        return None, form
    kind, options = config.get("class"), config.get("options")
    if kind not in _KINDS or not isinstance(options, dict):
        return None, form
    params = _params(kind, scope, stack)
    return Portable(kind=kind, params=params, options=options), form


def _params(kind: Kind, scope: Scope, stack: Stack) -> dict[str, np.ndarray]:
    """Torch's names of a class to the arrays of a graph."""
    if kind == "LSTM":
        return stack.params
    if kind == "LSTMCell":
        return {n.removesuffix("_l0"): a for n, a in stack.params.items()}
    others = {
        n: a for n in _OTHERS if isinstance(a := scope.tensors.get(n), np.ndarray)
    }
    return {**others, **{f"lstm.{n}": a for n, a in stack.params.items()}}
