"""Layers of Keras in a row: an embedding, LSTMs, and a head, or what else there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lstm_jax.terminal import printable
from parity.arrays import is_floating
from parity.convert.keras.recurrent import Recurrent, recurrent_of
from parity.convert.keras.stored import KerasLayer

# What changes nothing, and what changes only training.
_NOTHING = ("InputLayer",)
TRAINING = ("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout")
# `xs[:, -1]` and `xs[:, -1, :]`, as a model writes them.
_ALL = {"class_name": "__slice__", "config": dict.fromkeys(("start", "stop", "step"))}
_LAST_STEP = [_ALL, -1], [_ALL, -1, _ALL]
_MOST = 5
_BRANCHES = "a layer that takes, or gives, more than its neighbour in the row"


@dataclass(kw_only=True)
class Row:
    """The parts of a model in their order; all but `lstms` may be missing.

    `steps` makes one of the outputs of all steps: their mean, or the last.
    """

    embedding: KerasLayer | None = None
    lstms: list[Recurrent] = field(default_factory=list)
    steps: KerasLayer | None = None
    head: KerasLayer | None = None
    activation: KerasLayer | None = None


def row_of(where: str, layers: Sequence[KerasLayer]) -> Row:
    """The layers by what they do.

    Raises:
        ValueError: If there is another layer, or they are not in a row.
    """
    left = [one for one in layers if one.kind not in (*_NOTHING, *TRAINING)]
    row = Row(embedding=_taken(left, "Embedding"))
    _ = _taken(left, "Masking")
    while left and (one := recurrent_of(left[0])) and one.parts:
        row.lstms.append(one)
        _ = left.pop(0)
    row.steps = _taken(left, "GlobalAveragePooling1D") or _taken(left, "GetItem")
    row.head = _taken(left, "Dense")
    row.activation = _taken(left, "Activation")
    if not any(recurrent_of(one) for one in layers):
        raise ValueError(
            f"{where}: source must be LSTMs in a row: there is no LSTM in it. Give a "
            "model that has one."
        )
    if left or not row.lstms:
        raise _others(where, left or [one for one in layers if _is_other(one)])
    if not _in_a_row(layers):
        raise _others(where, [])
    return row


def _taken(left: list[KerasLayer], kind: str) -> KerasLayer | None:
    """The next layer, if it is of a kind, and does what this kind does."""
    fits = left and left[0].kind == kind and _is_plain(left[0])
    return left.pop(0) if fits else None


def _is_plain(one: KerasLayer) -> bool:
    """Whether it has the arrays and options that are known here."""
    axes, options = [len(a.shape) for a in one.arrays], one.options or {}
    floating = all(is_floating(a.dtype) for a in one.arrays)
    match one.kind:
        case "Embedding":
            return axes == [2] and floating
        case "Dense":
            return axes in ([2], [2, 1]) and floating
        case "GetItem":
            return options.get("key") in _LAST_STEP
        case "GlobalAveragePooling1D":
            turned = options.get("data_format") == "channels_first"
            return not turned and not options.get("keepdims")
        case _:
            return True


def _is_other(one: KerasLayer) -> bool:
    return recurrent_of(one) is None and one.kind not in _NOTHING


def _others(where: str, others: Sequence[KerasLayer]) -> ValueError:
    """The error that lists the layers that have no place, with their arrays."""
    listed = "; ".join(_described(one) for one in others[:_MOST]) or _BRANCHES
    if len(others) > _MOST:
        listed += f"; and {len(others) - _MOST} more"
    return ValueError(
        f"{where}: source must be LSTMs in a row, after an Embedding and before a "
        f"Dense if there are: it also has {listed}. Use parity.find_lstms(path), which "
        "gives each LSTM of a file."
    )


def _described(one: KerasLayer) -> str:
    """A layer with its arrays."""
    shapes = ", ".join(" x ".join(map(str, a.shape)) for a in one.arrays)
    title = f"{one.kind or 'a layer'} {one.name!r}"
    return printable(f"{title} with {shapes or 'no arrays'}", 200)


def _in_a_row(layers: Sequence[KerasLayer]) -> bool:
    """Whether each layer takes only what the one before gives, where that is said."""
    said = all(
        not after.inputs or after.inputs == {before.name}
        for before, after in pairwise(layers)
    )
    return said and all(not one.is_output or one is layers[-1] for one in layers)
