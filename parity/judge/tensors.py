"""What the sides of a comparison share: names of tensors, and the axes of a batch."""

from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from parity.judge.cases import SETS, Problem

Array = np.ndarray
# A tensor, and whose gradient it is: one of `SETS`, or "" for an output.
Key = tuple[str, str]
Run = Callable[..., Any]
OUTPUTS = ("ys", "h_n", "c_n")


class Primals(NamedTuple):
    """What is differentiated, or the gradients with respect to it."""

    params: Any
    xs: Any
    state: Any
    reset_state: Any


def primals_of(problem: Problem) -> Primals:
    """The differentiable arrays of a problem."""
    return Primals(problem.params, problem.xs, problem.state, problem.reset_state)


def by_name(gradients: Primals) -> dict[str, Any]:
    """Gradients by name; a state of None has none."""
    pairs = {"d_h0 d_c0": gradients.state, "d_reset_h d_reset_c": gradients.reset_state}
    found = {"d_xs": gradients.xs}
    for names, state in pairs.items():
        if state is not None:
            found |= dict(zip(names.split(), state, strict=True))
    return found | {f"d_{name}": a for name, a in gradients.params.items()}


def by_key(outputs: Iterable[Any], gradients: list[dict[str, Any]]) -> dict[Key, Array]:
    """Outputs, and the gradients of each set of cotangents (or none), by `Key`."""
    values = {
        (name, ""): np.asarray(a) for name, a in zip(OUTPUTS, outputs, strict=True)
    }
    for name, found in zip(SETS if gradients else (), gradients, strict=True):
        values |= {(tensor, name): np.asarray(a) for tensor, a in found.items()}
    return values


def flatten_batch(array: Array, axes: int) -> Array:
    """`(X, *B, F)` with that many batch axes as `(X, B, F)`."""
    batch = array.shape[1 : 1 + axes]
    return array.reshape(array.shape[0], prod(batch), array.shape[-1])
