"""Objects that look like Keras's, for what is read of them where Keras is missing."""

from types import SimpleNamespace
from typing import Any

from tests.given.inputs import H, I
from tests.given.keras_files import CELL, drawn, lstm


def fake(kind: str, arrays: Any = (), module: str = "keras.x", **config: Any) -> Any:
    """A layer with these weights and options."""
    name = config.setdefault("name", kind.lower())

    def get_config(_: Any) -> dict[str, Any]:
        return config

    held = {
        "name": name,
        "built": True,
        "weights": [SimpleNamespace(value=array) for array in arrays],
        "get_config": get_config,
        "__module__": module,
    }
    return type(kind, (), held)()


def fake_lstm(
    name: str = "lstm", inputs: int = I, units: int = H, **config: Any
) -> Any:
    arrays = lstm(inputs, units).values()
    return fake("LSTM", arrays, name=name, **(CELL | config))


def fake_both(**config: Any) -> Any:
    arrays = [*lstm().values(), *lstm(seed=4).values()]
    cell = {"class_name": "LSTM", "config": {"return_sequences": True, **CELL}}
    return fake("Bidirectional", arrays, **{"layer": cell, **config})


def fake_dense(features: int = H, bias: bool = True, **config: Any) -> Any:
    arrays = drawn((features, 3), (3,))[: 1 + bias]
    return fake("Dense", arrays, **{"activation": "linear", **config})


def fake_embedding(**config: Any) -> Any:
    return fake("Embedding", drawn((9, I)), **config)


def fake_model(
    *layers: Any, output: tuple[str, int, int] | None = None, state: bool = False
) -> Any:
    """A functional model in which each layer takes what the one before gives.

    With `state` the first of them takes a second input, too.
    """
    before, given = "input", ["input", *["state"] * state]
    entries: list[Any] = [
        {"class_name": "InputLayer", "config": {"name": name}, "inbound_nodes": []}
        for name in given
    ]
    for layer in layers:
        name, kind = layer.name, type(layer).__name__
        entries.append(
            {
                "class_name": kind,
                "config": layer.get_config(),
                "name": name,
                "inbound_nodes": [[[one, 0, 0, {}] for one in given]],
            }
        )
        before, given = name, [name]
    outputs = [[*(output or (before, 0, 0))]]
    model = fake("Functional", name="model", layers=entries, output_layers=outputs)
    model.layers = [*layers]
    return model
