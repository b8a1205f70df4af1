"""What the JSON of a model of Keras says of its layers; nothing of it is run."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class Config(NamedTuple):
    """What is said of a layer.

    `inputs` has the layers that it takes from; `is_output` says whether the model
    gives what it gives.
    """

    kind: str = ""
    options: Mapping[str, Any] | None = None
    inputs: frozenset[str] = frozenset()
    is_output: bool = False


def parsed(text: Any) -> Any:
    """The JSON of a model, a list of layers in Keras 1; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def configs_in(model: Any) -> dict[str, Config]:
    """What is said of each layer by name, in the order of the model."""
    config = model.get("config") if isinstance(model, Mapping) else None
    listed = config.get("layers") if isinstance(config, Mapping) else config
    outputs = config.get("output_layers") if isinstance(config, Mapping) else None
    return dict(_configs(listed, frozenset(_taken(outputs))))


def _configs(listed: Any, outputs: frozenset[str]) -> Iterator[tuple[str, Config]]:
    for entry in listed if isinstance(listed, list) else ():
        kind, options = kind_of(entry)
        name = options.get("name", entry.get("name")) if kind else None
        if isinstance(name, str):
            inputs = frozenset(_taken(entry.get("inbound_nodes")))
            if kind == "GetItem":
                options = {**options, "key": _key_of(entry.get("inbound_nodes"))}
            yield name, Config(*unwrapped(kind, options), inputs, name in outputs)


def kind_of(entry: Any) -> tuple[str, dict[str, Any]]:
    """The class and the options of a layer; empty where it is none.

    A class of someone else's has its module, too: it may be called LSTM and be none.
    """
    match entry:
        case {"class_name": str(kind), "config": dict(options)}:
            module = entry.get("module")
            theirs = "registered_name" in entry and not is_of_keras(module)
            return (f"{module}.{kind}" if theirs else kind), options
        case _:
            return "", {}


def _key_of(nodes: Any) -> Any:
    """What stands between the brackets of `xs[:, -1]`, as JSON has it."""
    match nodes:
        case [{"args": [_, [*parts]]}]:
            return [_as_json(part) for part in parts]
        case _:
            return None


def _as_json(part: Any) -> Any:
    if not isinstance(part, slice):
        return part
    names = ("start", "stop", "step")
    config = {name: getattr(part, name) for name in names}
    return {"class_name": "__slice__", "config": config}


def is_of_keras(module: Any) -> bool:
    """Whether a module is Keras's own."""
    packages = ("keras", "tf_keras", "tensorflow")
    return isinstance(module, str) and module.partition(".")[0] in packages


def unwrapped(kind: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A Dense of every step is a Dense: it takes the last axis anyway."""
    inner, held = kind_of(options.get("layer"))
    wrapped = kind == "TimeDistributed" and inner == "Dense"
    return (inner, held) if wrapped else (kind, options)


def _taken(nodes: Any) -> Iterator[str]:
    """The layers that one takes from: `["name", 0, 0]`, at any depth.

    What a layer gives beside its first output has a name of its own, and so has what it
    gives when it is called again.
    """
    match nodes:
        case [str(name), int(call), int(output), *rest]:
            yield name if call == output == 0 else f"{name}[{call}, {output}]"
            yield from _taken(rest)
        case [*parts]:
            yield from _of_all(parts)
        case {**parts}:
            yield from _of_all(parts.values())


def _of_all(parts: Iterable[Any]) -> Iterator[str]:
    for part in parts:
        yield from _taken(part)
