"""What a file of Keras does not say of its LSTMs, and is given beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lstm_jax.terminal import printable
from parity.convert.keras.recurrent import recurrent_of, unsaid
from parity.convert.keras.stored import KerasLayer

_NEEDED = {"activation": "tanh", "recurrent_activation": "sigmoid"}
_NEEDED |= {"go_backwards": False}
_MORE = ("merge_mode", "return_sequences", "stateful", "dropout", "recurrent_dropout")


def with_options(
    where: str, layers: Sequence[KerasLayer], options: Mapping[str, Any]
) -> list[KerasLayer]:
    """LSTMs of a file that says nothing of them, with options that are given.

    Raises:
        ValueError: If an option is not Keras's, or one that is needed is missing.
    """
    _refuse_unknown(where, options)
    return [_with_options(one, options) for one in layers]


def _refuse_unknown(where: str, config: Mapping[str, Any]) -> None:
    unknown = sorted(config.keys() - _NEEDED.keys() - set(_MORE))
    missing = sorted(_NEEDED.keys() - config.keys())
    if unknown or missing:
        what = f"not have {unknown[0]!r}" if unknown else f"have {missing[0]!r}"
        raise ValueError(
            f"{where}: config must {what}: it has the options of Keras's LSTM that "
            f"weights do not tell. Give {_NEEDED}, if it was so."
        )


def _with_options(layer: KerasLayer, options: Mapping[str, Any]) -> KerasLayer:
    one = recurrent_of(layer)
    if layer.options is not None or one is None:
        return layer
    config: dict[str, Any] = {"return_sequences": True, **options}
    cell = {"class_name": "LSTM", "config": config}
    if one.bidirectional:
        return layer.saying("Bidirectional", {**config, "layer": cell})
    if len(one.parts) > 1:
        cells = {"cells": [cell] * len(one.parts)}
        stack = {"class_name": "StackedRNNCells", "config": cells}
        return layer.saying("RNN", {**config, "cell": stack})
    return layer.saying("LSTM", config)


def refuse_unsaid(where: str, path: Path, layers: Sequence[KerasLayer]) -> None:
    """Refuse a file that leaves open what its layers do.

    One with a model within is refused later, as no row: nothing more could be said.

    Raises:
        ValueError: With what is open, and how to say it.
    """
    if any("layers" in (layer.options or {}) for layer in layers):
        return
    for layer in layers:
        one = recurrent_of(layer)
        missing = unsaid(one) if one else ""
        if one is None and layer.options is None and layer.arrays:
            missing = "the file does not say what layer it is"
        if missing:
            name = printable(layer.name, 60)
            raise ValueError(
                f"{where}: {path} must say what its layers do: of {name!r}, "
                f"{missing}. Give config=model.to_json(); of LSTMs, what you know of "
                f"them, such as config={_NEEDED}."
            )
