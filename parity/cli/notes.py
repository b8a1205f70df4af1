"""What a reader should know of LSTMs in a file, beside their sizes."""

from collections.abc import Mapping, Sequence

from parity.convert.found import Found
from parity.files.bounds import DamagedError
from parity.files.strict_json import parse_json
from parity.show import printable

_MOST_LINES = 10
_NOT_THERE = (
    "not in the file: batch_first and dropout, which are no weights. Give them to the "
    "module, as in LSTM.from_params(params, batch_first=True)"
)
NOT_KEPT = "not kept: the options beside the tensors, which are for others than these"


def notes_on(lstms: Sequence[Found], metadata: Mapping[str, str]) -> list[str]:
    """How weights in parts were read, and the options that a file has or has not."""
    notes = [
        f"{one.prefix}{name}: {note}"
        for one in lstms
        for name, note in one.notes.items()
    ]
    lines = some([printable(note, 300) for note in notes], "notes")
    return lines + ([_options(metadata)] if lstms else [])


def some(lines: list[str], what: str) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - _MOST_LINES
    rest = [f"and {more} {what} more"] if more > 0 else []
    return lines[:_MOST_LINES] + rest


def _options(metadata: Mapping[str, str]) -> str:
    """The options of a module that was saved whole; else that there are none."""
    if "config" not in metadata:
        return _NOT_THERE
    try:
        config = parse_json(metadata["config"].encode(), "config")
    except DamagedError as error:
        return f"options: {error.reason}"
    options = config.get("options")
    pairs = options.items() if isinstance(options, dict) else ()
    listed = ", ".join(f"{name}={value!r}" for name, value in pairs)
    return printable(f"options: {config.get('class')}({listed})", 500)
