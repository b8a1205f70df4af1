"""The name of a weight in a larger model: a prefix, and the short name after it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import lstm_jax

_STARTS = re.compile("weight_|bias_")
_LONGEST = len("weight_ih_l9999_reverse")


class Key(NamedTuple):
    """A weight of a recurrent layer: the prefix of the layer, and its short name there.

    `kind` is `LSTM` for a stack, whose names end in the number of a layer, and
    `LSTMCell` for a cell; a GRU and a plain RNN have the same names.
    """

    prefix: str
    kind: str
    short: str


def key_of(name: str) -> Key | None:
    """The parts of a name; None if it is of no recurrent layer.

    Example:
        >>> key_of("encoder.weight_ih_l0")
        Key(prefix='encoder.', kind='LSTM', short='weight_ih_l0')
    """
    for match in _STARTS.finditer(name, max(0, len(name) - _LONGEST)):
        prefix, short = name[: match.start()], name[match.start() :]
        if lstm_jax.LSTMSpec.parse_key(short):
            return Key(prefix, "LSTM", short)
        if lstm_jax.LSTMSpec.parse_key(f"{short}_l0"):
            return Key(prefix, "LSTMCell", short)
    return None


def flat(source: Mapping[Any, Any]) -> dict[str, Any]:
    """What nested dictionaries hold, by names joined by dots, as in a file.

    Example:
        >>> flat({"state_dict": {"lstm.weight_ih_l0": 1}, "epoch": 3})
        {'state_dict.lstm.weight_ih_l0': 1, 'epoch': 3}
    """
    return dict(pairs_of(source))


def pairs_of(source: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The same names and what they hold; a name may come twice."""
    for name, value in source.items():
        if isinstance(value, Mapping):
            yield from pairs_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


_KINDS = {1: ("RNN", "one gate"), 3: ("GRU", "three gates")}


def other_than_lstm(kind: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """What a layer is by the rows of its weights, and in words; empty for an LSTM.

    Args:
        kind: `LSTM` or `LSTMCell`, by the names.
        params: Short names to arrays.

    Example:
        >>> other_than_lstm("LSTMCell", {"weight_hh": np.ones((6, 2))})
        ('GRUCell', 'three gates')
    """
    name, gates = _KINDS.get(_gates_of(params), ("", ""))
    return name and kind.replace("LSTM", name), gates


def with_article(kind: str) -> str:
    """The kind of a layer with its article, for a sentence.

    Example:
        >>> with_article("GRU"), with_article("RNN")
        ('a GRU', 'an RNN')
    """
    return f"{'an' if kind[0] in 'RL' else 'a'} {kind}"


def _gates_of(params: Mapping[str, Any]) -> int:
    """How many gates the first weight of the state is of; 0 where that is not told."""
    for name, array in params.items():
        if name.startswith("weight_hh") and len(array.shape) == 2:
            rows, columns = array.shape
            return rows // columns if columns and rows % columns == 0 else 0
    return 0
