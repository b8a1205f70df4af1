"""What the commands share: their texts, the values of flags, and errors in flags."""

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Arguments that are flags; a column of a table may have any other name.
_FLAGS = {
    *("target", "inputs", "future", "static", "time", "group", "window", "horizon"),
    *("split", "calendar", "fill", "past", "predict", "scale", "max_gap", "duplicates"),
    *("encoding", "quantiles", "hidden_size", "num_layers", "dropout", "batch", "clip"),
    *("epochs", "patience", "rate", "minutes", "seed", "start", "trainable", "folder"),
    *("paths", "remat", "truncate", "unit_devices"),
}
# Those of the library by another name than the flag's.
_OTHER = {"folder": "out", "paths": "FILE"}
_ARGUMENT = re.compile(r"(?<![\w.'])([a-z_]+)=('[^']*'|\[[^\]]*\]|\([^)]*\)|[\w.+-]*)")
LARGEST = 2**31 - 1  # of whole numbers: a seed has 32 bits
_WHERE = re.compile(r"^(windows|read_csv|fit|resume|recipe\.windows|load): ")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], **texts: str
) -> Callable[..., Any]:
    """Add a command with its texts, and give the function that adds its options."""
    parser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    parser.set_defaults(run=run)
    return parser.add_argument


def add_devices(add: Callable[..., Any]) -> None:
    """Add the number of devices: a run goes on with any."""
    text = "of this machine that share each batch (1)"
    _ = add("--devices", type=whole, metavar="N", help=text)
    text = "that share the units of the LSTM, for one too large for a device (1)"
    _ = add("--unit-devices", type=whole, default=1, metavar="N", help=text)


def whole(text: str) -> int:
    """A whole number of an option."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    if int(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} must be at most {LARGEST}")
    return int(text)


def number(text: str) -> float:
    """A number of an option above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return value


def fraction(text: str) -> float:
    """A share from 0 to below 1."""
    value = 0.0 if text in ("0", "0.0") else number(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be below 1")
    return value


def remat(text: str) -> int | str:
    """Rows between the states that are kept: a whole number, or "sqrt"."""
    if text == "sqrt" or (text.isdecimal() and 0 < int(text) <= LARGEST):
        return text if text == "sqrt" else int(text)
    raise argparse.ArgumentTypeError(
        f"{text!r} must be a whole number from 1 up, or sqrt"
    )


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them; none in an empty text."""
    if not text:
        return ()
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} must be names, commas between them")
    return found


def quantiles(text: str) -> tuple[float, ...]:
    """Levels that grow, the median among them."""
    levels = tuple(number(part) for part in text.split(","))
    growing = list(levels) == sorted(set(levels)) and levels[-1] < 1
    if not growing or 0.5 not in levels:
        raise argparse.ArgumentTypeError(
            f"{text!r} must grow, lie between 0 and 1 and hold 0.5, the prediction"
        )
    return levels


@contextmanager
def in_flags(command: str = "train") -> Iterator[None]:
    """Errors of the library in the words of the command line: `--fill last`."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(flagged(command, str(error))) from error
    except OSError as error:
        if error.strerror is not None:
            raise
        raise type(error)(flagged(command, str(error))) from error


def flagged(command: str, sentence: str) -> str:
    """A sentence of the library with flags in place of arguments.

    Example:
        >>> flagged("train", "windows: window=9 must be less. Use fill='last'.")
        'train: --window 9 must be less. Use --fill last.'
    """
    text = _WHERE.sub(f"{command}: ", sentence)
    return _ARGUMENT.sub(_flag, text)


def _flag(match: re.Match[str]) -> str:
    name, value = match.groups()
    if name not in _FLAGS:
        return match[0]
    if name == "past":
        return "--no-past"
    word = _OTHER.get(name, name).replace("_", "-")
    flag = word if word.isupper() else f"--{word}"
    if value == "[]":
        return f"{flag} ''"
    end = "." * value.endswith(".")
    bare = ",".join(part.strip(" '") for part in value.strip("[().]").split(","))
    return f"{flag} {bare}{end}" if bare else f"{flag}{end}"
