"""The layers in a file of Keras: which arrays are of which layer, and its options."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from parity.convert.keras.config import Config, configs_in, parsed

# What Keras puts between a layer and the arrays of its cells.
_INSIDE = re.compile(
    r"vars|cells?|layer|(stacked_rnn_cells|lstm_cell|forward_\w+|backward_\w+)(_\d+)?"
)
_NUMBER = re.compile(r"(.*?)(?:_(\d+))?")
_NO_NAMES: dict[str, Any] = {}


@dataclass(frozen=True)
class KerasLayer:
    """A layer of Keras.

    Attributes:
        name: What the model calls it, or the file.
        kind: The name of its class; empty where a file does not say.
        options: What `get_config()` gives; None where a file does not say.
        arrays: Its weights, in the order of `get_weights()`.
        names: The names of the tensors that they are.
        version: Of Keras, where a file says.
        inputs: The names of the layers that it takes from, where a model says.
        is_output: Whether a model says that it gives what this layer gives.
    """

    name: str
    kind: str
    options: Mapping[str, Any] | None
    arrays: list[Any]
    names: list[str] = field(default_factory=list)
    version: str = ""
    inputs: frozenset[str] = frozenset()
    is_output: bool = False

    def saying(self, kind: str, options: Mapping[str, Any]) -> "KerasLayer":
        """The same layer, with a class and options."""
        return replace(self, kind=kind, options=options)


def layers_in_file(
    tensors: Mapping[str, Any], attributes: Mapping[str, Mapping[str, Any]]
) -> list[KerasLayer]:
    """The layers of a file of Keras: with arrays, or in its JSON; none in another.

    Args:
        tensors: The arrays of the file by their places, joined by dots.
        attributes: The texts of the file by place and name.

    Returns:
        In the order of the model, where the file has its JSON.
    """
    model = attributes.get("", _NO_NAMES)
    configs = configs_in(parsed(model.get("model_config")))
    places = _by_layer(tensors, attributes, configs)
    version = _version_of(attributes)
    order = [*configs, *(name for name in places if name not in configs)]
    return [
        KerasLayer(
            name=name,
            kind=config.kind,
            options=config.options,
            arrays=[tensors[n] for n in places.get(name, [])],
            names=places.get(name, []),
            version=version,
            inputs=config.inputs,
            is_output=config.is_output,
        )
        for name in (order if places else [])
        for config in [configs.get(name, Config())]
    ]


def _version_of(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    places = ("", "model_weights")
    found = [attributes.get(p, _NO_NAMES).get("keras_version") for p in places]
    return next((v for v in found if isinstance(v, str)), "")


def _by_layer(
    tensors: Mapping[str, Any],
    attributes: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Config],
) -> dict[str, list[str]]:
    """The names of the tensors of each layer, in the order of `get_weights()`."""
    for start in ("", "model_weights."):
        names = attributes.get(start[:-1], _NO_NAMES).get("layer_names")
        if isinstance(names, list):
            models = [n for n in names if not _is_layer(configs.get(n))]
            return dict(_before_keras_3(start, names, models, tensors, attributes))
    return _of_keras_3(tensors, attributes, configs)


def _is_layer(config: Config | None) -> bool:
    """Whether the JSON says that it is a layer: its parts may have any names."""
    options = config.options if config else None
    return options is not None and "layers" not in options


def _before_keras_3(
    start: str,
    layers: Sequence[str],
    models: Sequence[str],
    tensors: Mapping[str, Any],
    attributes: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, list[str]]]:
    """By the names that each layer has; one of `models` is cut into its layers."""
    for layer in layers:
        place = f"{start}{layer}".replace("/", ".")
        listed = attributes.get(place, _NO_NAMES).get("weight_names", [])
        names = [f"{place}.{one}".replace("/", ".") for one in listed]
        names = [name for name in names if name in tensors]
        owners = dict.fromkeys(names, place)
        if layer in models:
            owners = {n: _owner(n.rpartition(".")[0], place) for n in names}
        many = len(set(owners.values())) > 1
        for owner in dict.fromkeys(owners.values()):
            inner = f"{layer}.{owner.rpartition('.')[2]}" if many else layer
            yield inner, [n for n in names if owners[n] == owner]


def _owner(place: str, least: str) -> str:
    """The layer that an array is of: without the cells, and what wraps them."""
    while len(place) > len(least) and _INSIDE.fullmatch(place.rpartition(".")[2]):
        place = place.rpartition(".")[0]
    return place


def _of_keras_3(
    tensors: Mapping[str, Any],
    attributes: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Config],
) -> dict[str, list[str]]:
    """By places such as `layers.lstm_1.cell.vars.0`."""
    named = _names_by_class(configs)
    found: dict[str, list[str]] = {}
    for name in sorted(tensors, key=_natural):
        place, _, number = name.rpartition(".")
        if not number.isdecimal() or place.rpartition(".")[2] != "vars":
            continue
        owner = _owner(place, "")
        short = re.sub(r"^(layers|_layer_checkpoint_dependencies)\.", "", owner)
        title = attributes.get(f"{owner}.vars", _NO_NAMES).get("name", short)
        found.setdefault(named.get(short, str(title) or short), []).append(name)
    return found


def _natural(name: str) -> list[tuple[str, int]]:
    """What sorts names as Keras counts them; a forward layer before a backward one."""
    parts = name.replace("forward_layer", "a").replace("backward_layer", "b").split(".")
    counted = (_NUMBER.fullmatch(p) for p in parts)
    return [
        ("", int(m[0])) if m[0].isdecimal() else (m[1], int(m[2] or 0))
        for m in counted
        if m
    ]


def _names_by_class(configs: Mapping[str, Config]) -> dict[str, str]:
    """The places of layers in a file of Keras 3, which counts them by their class."""
    counts: dict[str, int] = {}
    found = {}
    for name, (kind, *_) in configs.items():
        snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
        count = counts[snake] = counts.get(snake, -1) + 1
        found[f"{snake}_{count}" if count else snake] = name
    return found
