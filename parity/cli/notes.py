"""What a reader should know of LSTMs in a file, beside their sizes."""

import re
from collections.abc import Mapping, Sequence

from lstm_jax.terminal import printable
from parity.convert.found import Found
from parity.convert.meaning import MEANINGS
from parity.files.bounds import DamagedError
from parity.files.read import Contents
from parity.files.strict_json import parse_json

_MOST_LINES = 10
# A script's class has a number where the process had scripted one before.
_STACK = re.compile(r"torch\.nn\.modules\.rnn\.(___torch_mangle_\d+\.)?LSTM$")
# What a file does not hold, for each kind of module.
_NOT_THERE = {
    "LSTM": "not in the file: batch_first and dropout, which are no weights. Give them "
    "to the module, as in LSTM.from_params(params, batch_first=True)",
    "LSTMCell": "an LSTMCell has no options that are not in the file. Use "
    "LSTMCell.from_params(params)",
}
_NOT_READ = (
    "not read: batch_first and dropout, which the module in the file has beside its "
    "weights. Give them to the module, as in LSTM.from_params(params, batch_first=True)"
)
_READ_WITH = "its options, batch_first among them, come with the module of {}"
NOT_KEPT = "not kept: the options beside the tensors, which are for others than these"


def notes_on(lstms: Sequence[Found]) -> list[str]:
    """How weights in parts were read."""
    notes = [
        f"{one.prefix}{name}: {note}"
        for one in lstms
        for name, note in one.notes.items()
    ]
    return some([printable(note, 300) for note in notes], "notes")


def _is_stack(name: str) -> bool:
    """Whether a class that was not imported is torch's LSTM, by itself or scripted."""
    return _STACK.search(name) is not None


def some(lines: list[str], what: str) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - _MOST_LINES
    rest = [f"and {more} {what} more"] if more > 0 else []
    return lines[:_MOST_LINES] + rest


def options_of(
    lstms: Sequence[Found], metadata: Mapping[str, str], contents: Contents
) -> list[str]:
    """The options that a file has, or what is not there or not read for these."""
    kinds = {one.kind for one in lstms}
    if kinds and "config" in metadata:
        return [_saved(metadata["config"])]
    if kinds and contents.format.name in MEANINGS:
        return [_READ_WITH.format(MEANINGS[contents.format.name].reader)]
    said = _NOT_THERE
    if any(map(_is_stack, contents.unknown)):
        said = said | {"LSTM": _NOT_READ}
    return [sentence for kind, sentence in said.items() if kind in kinds]


def _saved(text: str) -> str:
    """The options of a module that was saved whole."""
    try:
        config = parse_json(text.encode(), "config")
    except DamagedError as error:
        return f"options: {error.reason}"
    options = config.get("options")
    pairs = options.items() if isinstance(options, dict) else ()
    listed = ", ".join(f"{name}={value!r}" for name, value in pairs)
    return printable(f"options: {config.get('class')}({listed})", 500)
