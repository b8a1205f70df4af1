"""Changes of weights that turn an LSTM into another: what the known mistakes do."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from lstm_jax import LSTMSpec, ParamKey
from parity.frameworks.layouts import GATES

Params = dict[str, Any]
Change = Callable[[Params, LSTMSpec], Params]


def unchanged(params: Params, spec: LSTMSpec) -> Params:
    """The right weights."""
    del spec
    return params


def by_place(params: Params) -> dict[ParamKey, Any]:
    """The parameters by their field, layer and direction."""
    places = {name: LSTMSpec.parse_key(name) for name in params}
    return {place: params[name] for name, place in places.items() if place}


def of_each(change: Callable[[str, Any, LSTMSpec], Any]) -> Change:
    """A change of each parameter by itself: of its field and array."""

    def changed(params: Params, spec: LSTMSpec) -> Params:
        return {
            str(place): change(place.field, jnp.asarray(array), spec)
            for place, array in by_place(params).items()
        }

    return changed


_GATED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def reorder(order: tuple[str, ...], fields: tuple[str, ...] = _GATED) -> Change:
    """Stack the gates of these fields in another order."""

    def change(field: str, array: Any, spec: LSTMSpec) -> Any:
        del spec
        if field not in fields:
            return array
        blocks = dict(zip(GATES, jnp.split(array, 4), strict=True))
        return jnp.concatenate([blocks[gate] for gate in order])

    return of_each(change)


def transpose(kind: str) -> Change:
    """Transpose each gate's block of one kind of weight, where it is square."""

    def change(field: str, array: Any, spec: LSTMSpec) -> Any:
        if field != kind or array.shape[1] != spec.hidden_size:
            return array
        return jnp.concatenate([block.T for block in jnp.split(array, 4)])

    return of_each(change)


def cudnn_blocks(field: str, array: Any, spec: LSTMSpec) -> Any:
    """The blocks that a reader of Keras's LSTM makes of CuDNNLSTM's kernels.

    It transposes what is stored, `(I, H)` or `(H, H)`, and the numbers lie there in the
    order of a block that is `(H, I)` already.
    """
    if field not in ("weight_ih", "weight_hh"):
        return array
    blocks = [b.reshape(b.shape[::-1]).T for b in jnp.split(array, 4)]
    del spec
    return jnp.concatenate(blocks)


def scale_biases(**scales: float) -> Change:
    """Multiply `bias_ih` or `bias_hh`."""
    return of_each(lambda field, array, _: scales.get(field, 1.0) * array)


def add_to_gate(gate: str, value: float) -> Change:
    """Add a number to one gate's part of `bias_ih`."""

    def change(field: str, array: Any, spec: LSTMSpec) -> Any:
        if field != "bias_ih":
            return array
        start = GATES.index(gate) * spec.hidden_size
        return array.at[start : start + spec.hidden_size].add(value)

    return of_each(change)


def take(other_of: Callable[[ParamKey], ParamKey]) -> Change:
    """Take another parameter for each, where there is one of the same shape."""

    def changed(params: Params, spec: LSTMSpec) -> Params:
        del spec
        arrays, found = by_place(params), {}
        for place, array in arrays.items():
            other = arrays.get(other_of(place), array)
            found[str(place)] = other if other.shape == array.shape else array
        return found

    return changed


def bias_ih(place: ParamKey) -> ParamKey:
    """`bias_ih` for `bias_hh`, and every other parameter as it is."""
    return place._replace(field=place.field.replace("bias_hh", "bias_ih"))


def other_direction(place: ParamKey) -> ParamKey:
    """The parameter of the other direction."""
    return place._replace(direction=1 - place.direction)


def forward(place: ParamKey) -> ParamKey:
    """The parameter of the forward direction."""
    return place._replace(direction=0)


def other_layer(place: ParamKey) -> ParamKey:
    """The parameter of layer 2 for one of layer 1, and the other way round."""
    return place._replace(layer={1: 2, 2: 1}.get(place.layer, place.layer))
