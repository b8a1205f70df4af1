"""Layers and models of Keras that are in memory: their options and weights."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from parity.arrays import numpy_of
from parity.convert.keras.config import Config, configs_in, kind_of, unwrapped
from parity.convert.keras.stored import KerasLayer
from parity.convert.keras.weights import parts_of
from parity.frameworks.exchange import no_lstm

_EXPECTED = (
    "a layer, a model or a list of layers of Keras, their weights, or the path of a "
    "file"
)


def is_weights(source: Any) -> bool:
    """Whether it is what `get_weights()` of a layer gives, or a list of such."""
    if not isinstance(source, list | tuple) or not source:
        return False
    return all(is_weights(one) or _is_array(one) for one in source)


def _is_array(one: Any) -> bool:
    return hasattr(one, "shape") and hasattr(one, "dtype") and not hasattr(one, "name")


def layers_of_weights(where: str, source: Any) -> list[KerasLayer]:
    """Layers of their weights alone: those of two directions are bidirectional.

    Raises:
        ValueError: If they are no LSTM's.
    """
    nested = [source] if _is_array(source[0]) else [*source]
    return [_of_weights(where, [*map(np.asarray, arrays)]) for arrays in nested]


def _of_weights(where: str, arrays: list[Any]) -> KerasLayer:
    count = len(parts_of(arrays))
    if 3 * count - len(arrays) not in (0, count) or count not in (1, 2):
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ValueError(
            f"{where}: the weights of a layer must be a kernel (I, 4H), a recurrent "
            f"kernel (H, 4H) and a bias (4H,) or none, of each direction, not "
            f"{shapes}: Keras's LSTM has these. Give layer.get_weights()."
        )
    cell = {"class_name": "LSTM", "config": {}}
    kind, options = ("LSTM", {}) if count == 1 else ("Bidirectional", {"layer": cell})
    return KerasLayer(name="", kind=kind, options=options, arrays=arrays)


def layers_in_object(where: str, source: Any) -> list[KerasLayer]:
    """The layers of a layer, of a list of them, or of a model, in a row.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a layer has no weights yet.
    """
    if isinstance(source, list | tuple):
        return [one for layer in source for one in layers_in_object(where, layer)]
    if not all(hasattr(source, name) for name in ("get_config", "weights")):
        raise no_lstm(where, _EXPECTED, source)
    options = source.get_config()
    if "layers" not in options or not hasattr(source, "layers"):
        kind, options = unwrapped(_kind(source), options)
        return [_layer(where, source, source.name, Config(kind, options))]
    by_name = {layer.name: layer for layer in source.layers}
    return [
        _layer(where, by_name.get(name), name, entry)
        for name, entry in configs_in({"config": options}).items()
    ]


def _kind(layer: Any) -> str:
    """The name of its class; with the module where it is not one of Keras's."""
    kind = type(layer)
    entry = {"class_name": kind.__name__, "config": {}}
    return kind_of(entry | {"registered_name": "", "module": kind.__module__})[0]


def _layer(where: str, layer: Any, name: str, config: Config) -> KerasLayer:
    """A layer with its arrays; an operation has none."""
    if layer is not None and not layer.built:
        raise ValueError(
            f"{where}: the layer {name!r} must have weights: it has seen no input yet. "
            "Call layer.build((None, None, features)) first."
        )
    held: Sequence[Any] = [] if layer is None else layer.weights
    return KerasLayer(
        name=name,
        kind=config.kind,
        options=config.options,
        arrays=[*map(_array_of, held)],
        version=str(getattr(sys.modules.get("keras"), "__version__", "")),
        inputs=config.inputs,
        is_output=config.is_output,
    )


def _array_of(variable: Any) -> np.ndarray:
    """The value of a variable: `get_weights()` warns with Keras 3 and NumPy 2."""
    value = variable.value
    value = value() if callable(value) else value
    return numpy_of("", value) if hasattr(value, "detach") else np.asarray(value)
