"""An LSTM as every framework can be given it: a list of layers, with torch's arrays."""

from collections.abc import Callable, Mapping
from typing import Any

import lstm_jax
from lstm_jax import LayerParams, LSTMSpec

# Each layer is a tuple of its directions: forward, then reverse if there is one.
Layers = list[tuple[LayerParams, ...]]


def layers_of(params: Mapping[str, Any]) -> Layers:
    """The layers of a flat mapping of torch's names to arrays.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4, bidirectional=True)
        >>> ((forward, reverse),) = layers_of(params)
        >>> reverse.weight_ih.shape
        (16, 3)
    """
    spec = lstm_jax.spec_of(params)
    return [
        tuple(_direction(params, spec, layer, d) for d in range(spec.num_directions))
        for layer in range(spec.num_layers)
    ]


def _direction(
    params: Mapping[str, Any], spec: LSTMSpec, layer: int, direction: int
) -> LayerParams:
    arrays: list[Any] = [params.get(k) for k in spec.layer_keys(layer, direction)]
    return LayerParams(*arrays)


def params_of(layers: Layers) -> dict[str, Any]:
    """The inverse of `layers_of`: what `lstm_jax.lstm` takes."""
    return {
        str(lstm_jax.ParamKey(field, layer, direction)): array
        for layer, directions in enumerate(layers)
        for direction, params in enumerate(directions)
        for field, array in params._asdict().items()
        if array is not None
    }


def each_direction(function: Callable[[Any], Any], layers: Any) -> list[Any]:
    """A function of every direction of every layer, as layers are."""
    return [tuple(map(function, directions)) for directions in layers]
