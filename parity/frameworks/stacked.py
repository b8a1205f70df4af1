"""One direction of a layer as a layout stacks it: its gates, its axes, its biases."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lstm_jax import LayerParams
from parity.frameworks.layouts import GATES, Layout


class Stacked(NamedTuple):
    """The kernels of a direction, its gates stacked, and none, one or two biases."""

    weight_ih: Any
    weight_hh: Any
    biases: tuple[Any, ...]


def to_layout(params: LayerParams, layout: Layout) -> Stacked:
    """Torch's arrays as the layout stacks them; a projection is left out."""
    weight_ih, weight_hh, *biases = (
        reordered(array, GATES, layout.gates)
        for array in (*params[:2], *_biases(params, layout))
    )
    if biases and layout.forget_bias:
        biases[0] -= _forget_bias(biases[0], layout)
    if layout.transposed:
        weight_ih, weight_hh = weight_ih.T, weight_hh.T
    return Stacked(weight_ih, weight_hh, tuple(biases))


def from_layout(stacked: Stacked, layout: Layout) -> LayerParams:
    """Torch's arrays again; of one bias, `bias_ih` is that one and `bias_hh` zeros."""
    weight_ih, weight_hh, biases = *stacked[:2], [*stacked.biases]
    if layout.transposed:
        weight_ih, weight_hh = weight_ih.T, weight_hh.T
    if biases and layout.forget_bias:
        biases[0] += _forget_bias(biases[0], layout)
    if len(biases) == 1:
        biases.append(jnp.zeros_like(biases[0]))
    arrays = (weight_ih, weight_hh, *biases)
    return LayerParams(*(reordered(a, layout.gates, GATES) for a in arrays))


def _biases(params: LayerParams, layout: Layout) -> list[Any]:
    """As many biases as the layout has."""
    if params.bias_ih is None or params.bias_hh is None:
        zeros = jnp.zeros_like(params.weight_hh[:, 0])
        return [] if layout.bias_optional else [zeros] * layout.biases
    if layout.biases == 1:
        return [jnp.add(params.bias_ih, params.bias_hh)]
    return [params.bias_ih, params.bias_hh]


def _forget_bias(bias: Any, layout: Layout) -> Any:
    """What the cell adds by itself, in the layout's order."""
    added = [layout.forget_bias * (gate == "f") for gate in layout.gates]
    return jnp.repeat(jnp.array(added, bias.dtype), len(bias) // 4)


def reordered(array: Any, before: str, after: str) -> Any:
    """The blocks of the gates on the first axis, in another order; NumPy's stay so."""
    blocks = array.reshape(4, len(array) // 4, *array.shape[1:])
    return blocks[np.array([*map(before.index, after)])].reshape(array.shape)
