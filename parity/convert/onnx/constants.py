"""Values that a graph computes of constants only, by operators that move numbers."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.files.bounds import SHARED, SHARED_MORE
from parity.files.onnx.scopes import Scope

# Operators between a weight and its node: a chain is as long as this at most.
_LONGEST = 16
_WRONG = (ValueError, TypeError, IndexError)


class NotConstantError(ValueError):
    """A value is not made of constants by known operators; the text says of what."""


def constant(scope: Scope, name: str, left: int = _LONGEST) -> np.ndarray:
    """The value by that name in a graph or one around it.

    Raises:
        NotConstantError: If it is computed of inputs, or by an operator not known here.
    """
    if name in scope.tensors:
        held = scope.tensors[name]
        if isinstance(held, np.ndarray):
            return held
        raise NotConstantError(held.reason)
    node = scope.made_by.get(name)
    if node is not None:
        return _computed(scope, node, left)
    if scope.outer is not None and name not in scope.inputs:
        return constant(scope.outer, name, left)
    raise NotConstantError("an input of the graph")


def _computed(scope: Scope, node: Any, left: int) -> np.ndarray:
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx") or not left:
        raise NotConstantError(f"computed by {printable(node.op_type, 40)}")
    if node.output[0] not in scope.computed:
        given = [constant(scope, n, left - 1) if n else None for n in node.input]
        held = sum(array.nbytes for array in given if array is not None)
        held += sum(array.nbytes for array in scope.computed.values())
        if held > SHARED * _size(scope) + SHARED_MORE:
            raise NotConstantError("computed, and much larger than what it is made of")
        scope.computed[node.output[0]] = applied(node, given, scope.opset)
    return scope.computed[node.output[0]]


def _size(scope: Scope | None) -> int:
    """Bytes of the tensors that a graph sees."""
    if scope is None:
        return 0
    arrays = (a for a in scope.tensors.values() if isinstance(a, np.ndarray))
    return sum(array.nbytes for array in arrays) + _size(scope.outer)


def made_of(scope: Scope, name: str, left: int = _LONGEST) -> set[str]:
    """The tensors, by their names in the file, that a constant is made of."""
    if name in scope.tensors:
        return {f"{scope.path}{name}"}
    node = scope.made_by.get(name)
    if node is not None and left:
        parts = (made_of(scope, n, left - 1) for n in {*node.input} if n)
        return set().union(*parts)
    if node is None and scope.outer is not None and name not in scope.inputs:
        return made_of(scope.outer, name, left)
    return set()


def applied(node: Any, given: list[Any], opset: int) -> np.ndarray:
    """What one of `OPERATORS` makes of arrays.

    Raises:
        NotConstantError: If its arguments do not fit.
    """
    onnx: Any = import_module("onnx")
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if opset < 13 and node.op_type in ("Squeeze", "Unsqueeze") and "axes" in values:
        given = [*given, np.array(values["axes"])]
    try:
        return OPERATORS[node.op_type](values, *given)
    except (*_WRONG, KeyError, OverflowError, AttributeError, MemoryError):
        raise NotConstantError(f"computed by a wrong {node.op_type}") from None


def _concat(values: dict[str, Any], *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=values["axis"])


def _transpose(values: dict[str, Any], array: np.ndarray) -> np.ndarray:
    return array.transpose(values.get("perm"))


def _squeeze(_: dict[str, Any], array: np.ndarray, axes: Any = None) -> np.ndarray:
    return array.squeeze(None if axes is None else tuple(axes.tolist()))


def _unsqueeze(_: dict[str, Any], array: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.expand_dims(array, tuple(axes.tolist()))


def _reshape(values: dict[str, Any], array: np.ndarray, shape: Any) -> np.ndarray:
    sizes = shape.tolist()
    if not values.get("allowzero"):
        sizes = [array.shape[k] if n == 0 else n for k, n in enumerate(sizes)]
    return array.reshape(sizes)


def _slice(
    values: dict[str, Any],
    array: np.ndarray,
    starts: Any = None,
    ends: Any = None,
    axes: Any = None,
    steps: Any = None,
) -> np.ndarray:
    starts, ends = values.get("starts", starts), values.get("ends", ends)
    axes = range(len(starts)) if (a := values.get("axes", axes)) is None else a
    steps = [1] * len(starts) if steps is None else steps
    where = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[int(axis)] = slice(int(start), int(end), int(step))
    return array[tuple(where)]


def _identity(_: dict[str, Any], array: np.ndarray, *_ratio: Any) -> np.ndarray:
    return array


OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "Concat": _concat,
    "Dropout": _identity,
    "Identity": _identity,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
