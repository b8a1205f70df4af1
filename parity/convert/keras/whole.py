"""Layers of Keras in a row, as one LSTM, cell or model of `lstm_jax`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from parity.convert.keras.recurrent import Recurrent, lost, narrowed, unlike
from parity.convert.keras.rows import TRAINING, Row, row_of
from parity.convert.keras.stored import KerasLayer
from parity.frameworks.exchange import cell_names
from parity.frameworks.layers import Layers, params_of
from parity.frameworks.losses import refuse_losses
from parity.frameworks.portable import Portable

# Of a head: the functions that an `LSTMModel` has, too.
_ACTIVATIONS = ("relu", "sigmoid", "softmax", "tanh")
_EACH = "Convert each layer by itself."


def portable_of_layers(
    where: str, layers: Sequence[KerasLayer], allow: str | Iterable[str] = ()
) -> Portable:
    """One LSTM of layers in a row; a model, if something is before or after them.

    Args:
        where: The function that is called, for its errors.
        layers: In the order of the model; a lone `LSTMCell` is a cell.
        allow: Names of what may be lost.

    Raises:
        ValueError: If there is another layer, or the LSTMs are no stack.
        NotImplementedError: If a function is another one, or something would be lost.
    """
    row = row_of(where, layers)
    for one in row.lstms:
        for reason in unlike(one):
            raise NotImplementedError(
                f"{where}: the layer {one.layer.name!r} is an LSTM of another "
                f"function: {reason}. Train it anew with torch's functions."
            )
    _check_stack(where, row.lstms)
    refuse_losses(where, _losses(layers, row), allow)
    if row.embedding or row.steps or row.head or row.activation:
        return _model(where, row)
    params = params_of(_stack(row))
    if [one.layer.kind for one in row.lstms] == ["LSTMCell"]:
        return Portable(kind="LSTMCell", params=cell_names(params))
    first = not row.lstms[-1].outer.get("time_major", False)
    return Portable(kind="LSTM", params=params, options={"batch_first": first})


def _stack(row: Row) -> Layers:
    return [layer for one in row.lstms for layer in one.layers]


def _losses(layers: Sequence[KerasLayer], row: Row) -> dict[str, str]:
    """What the module does not do by itself: a name and a sentence for each."""
    found: dict[str, str] = {}
    for one in layers:
        which = f"the layer {one.name!r}"
        if one.kind in TRAINING:
            found["dropout"] = f"{which} changes its inputs in training."
        if one.kind == "Masking" or (one.options or {}).get("mask_zero"):
            found["masking"] = f"{which} masks steps, which lengths do here."
        if narrow := narrowed([one.options]):
            sentence = f"{which} multiplies in {narrow}, and has wider weights."
            found["dtype"] = sentence
    if row.head and len(row.head.arrays) == 1:
        which = f"the layer {row.head.name!r}"
        found["no bias"] = f"{which} has no bias: it is zeros here."
    for one in row.lstms:
        found |= lost(one)
    return found


def _check_stack(where: str, recurrent: Sequence[Recurrent]) -> None:
    """Refuse layers that are no stack: of other sizes, or after another order."""
    sizes = {
        (one.bidirectional, part.weight_hh.shape[1], part.bias_ih is None)
        for one in recurrent
        for part in one.parts
    }
    if len(sizes) > 1:
        raise ValueError(
            f"{where}: the LSTMs must have the same units, directions and biases: they "
            f"are the layers of one LSTM here. {_EACH}"
        )
    for one in recurrent[:-1]:
        name = one.layer.name
        if one.outer.get("return_sequences") is False:
            raise ValueError(
                f"{where}: the layer {name!r} must have return_sequences=True: an LSTM "
                f"comes after it. {_EACH}"
            )
        _check_merged(where, one, "an LSTM")
    for one in recurrent[1:]:
        if one.outer.get("go_backwards"):
            raise NotImplementedError(
                f"{where}: the layer {one.layer.name!r} reads the outputs of another "
                f"from the end (go_backwards): no layer of a stack does here. {_EACH}"
            )


def _check_merged(where: str, one: Recurrent, after: str) -> None:
    """Refuse directions that are added or multiplied for what comes after."""
    merge = one.outer.get("merge_mode", "concat")
    if one.bidirectional and merge != "concat":
        raise NotImplementedError(
            f"{where}: the layer {one.layer.name!r} gives {after} its directions by "
            f"merge_mode={merge!r}: only 'concat' is here. {_EACH}"
        )


def _model(where: str, row: Row) -> Portable:
    """An embedding, the LSTM and a head."""
    if row.head is None:
        raise ValueError(
            f"{where}: a model must end in a Dense: LSTMModel has such a head. "
            "Use parity.find_lstms(path), which gives each LSTM of a file."
        )
    last = row.lstms[-1]
    _check_merged(where, last, "a Dense")
    if last.outer.get("time_major"):
        raise NotImplementedError(
            f"{where}: the layer {last.layer.name!r} reads steps first (time_major): "
            f"an LSTMModel reads rows first. {_EACH}"
        )
    _check_steps(where, row)
    lstm = {f"lstm.{name}": array for name, array in params_of(_stack(row)).items()}
    params = {**dict(_embedding(row)), **lstm, **dict(_head(row.head))}
    defaults = {"outputs": "last", "activation": None}
    options = {"outputs": _outputs(row), "activation": _activation(where, row)}
    options = {n: v for n, v in options.items() if v != defaults[n]}
    return Portable(kind="LSTMModel", params=params, options=options)


def _check_steps(where: str, row: Row) -> None:
    """Refuse what is taken of the steps where there are none."""
    last = row.lstms[-1]
    if row.steps and last.outer.get("return_sequences") is False:
        raise ValueError(
            f"{where}: the layer {last.layer.name!r} must have return_sequences=True: "
            f"{row.steps.kind} takes the steps of it. {_EACH}"
        )


def _outputs(row: Row) -> str:
    """Which outputs the head takes: both directions' final ones, as Keras does."""
    last = row.lstms[-1]
    if row.steps:
        return "last" if row.steps.kind == "GetItem" else "mean"
    if last.outer.get("return_sequences"):
        return "all"
    return "final" if last.bidirectional else "last"


def _activation(where: str, row: Row) -> str | None:
    """The function of the head; None for a linear one.

    Raises:
        NotImplementedError: If it is one that LSTMModel has not, or two.
    """
    held = [one for one in (row.head, row.activation) if one is not None]
    names = [(one.options or {}).get("activation") for one in held]
    found = [name for name in names if name not in (None, "linear")]
    if found[1:] or any(name not in _ACTIVATIONS for name in found):
        shown = " and ".join(n if isinstance(n, str) else "its own" for n in found)
        known = ", ".join(_ACTIVATIONS)
        raise NotImplementedError(
            f"{where}: the layer {held[-1].name!r} has the function {shown}: LSTMModel "
            f"has one of {known}. Convert the LSTM, and write the head in JAX."
        )
    return found[0] if found else None


def _embedding(row: Row) -> Iterator[tuple[str, Any]]:
    if row.embedding is not None:
        yield "embedding.weight", row.embedding.arrays[0]


def _head(dense: KerasLayer) -> Iterator[tuple[str, Any]]:
    kernel, *bias = dense.arrays
    yield "fc.weight", kernel.T
    yield "fc.bias", bias[0] if bias else np.zeros(kernel.shape[1], kernel.dtype)
