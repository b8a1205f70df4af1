"""ONNX: the weights of an `LSTM` node, which is one layer in one or both directions."""

from typing import Any, NamedTuple

import numpy as np

from lstm_jax import LayerParams
from parity.frameworks.layouts import GATES, LAYOUTS
from parity.frameworks.stacked import reordered

ONNX = LAYOUTS["ONNX"]


class NodeWeights(NamedTuple):
    """The inputs of a node that are weights, as NumPy arrays.

    `w` is `(D, 4H, I)`, `r` `(D, 4H, H)`, `b` `(D, 8H)` or None for zeros.
    """

    w: np.ndarray
    r: np.ndarray
    b: np.ndarray | None


def node_weights(directions: tuple[LayerParams, ...]) -> NodeWeights:
    """The weights of a node, given a layer with NumPy's arrays and no projection."""

    def stacked(*names: str) -> np.ndarray:
        return np.stack(
            [
                np.concatenate(
                    [reordered(getattr(one, n), GATES, ONNX.gates) for n in names]
                )
                for one in directions
            ]
        )

    bias = directions[0].bias_ih is not None
    b = stacked("bias_ih", "bias_hh") if bias else None
    return NodeWeights(stacked("weight_ih"), stacked("weight_hh"), b)


def layer_of(weights: NodeWeights) -> tuple[LayerParams, ...]:
    """The inverse of `node_weights`."""
    return tuple(_direction(weights, d) for d in range(len(weights.w)))


def _direction(weights: NodeWeights, d: int) -> LayerParams:
    biases: list[Any] = [] if weights.b is None else np.split(weights.b[d], 2)
    arrays = (weights.w[d], weights.r[d], *biases)
    return LayerParams(*(reordered(a, ONNX.gates, GATES) for a in arrays))
