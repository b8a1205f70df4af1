"""What the commands print: to any terminal, of any width, for as long as it is read."""

import codecs
import os
import shutil
import sys

from rich.console import Console

from lstm_jax.terminal.text import WIDTH

READER_GONE = 141  # as a shell says of any program that wrote to a closed pipe
_PLAIN = {"─": "-", "━": "-", "│": "|", "…": "..."}


class Screen(Console):
    """Prints text as it is: no markup, no colours, and no line of it cut."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(
            soft_wrap=True, highlight=False, markup=False, emoji=False, stderr=stderr
        )

    def on_broken_pipe(self) -> None:
        """Leave it to `main`: rich would exit with 1, which has another meaning."""
        raise BrokenPipeError


def say(program: str, sentence: str) -> None:
    """A sentence on the standard error, after the name of the program."""
    print(f"{program}: {sentence}", file=sys.stderr)  # noqa: T201


def width() -> int:
    """Characters that a table may take: those of the terminal, if there is one."""
    if "COLUMNS" not in os.environ and not sys.stdout.isatty():
        return WIDTH
    return max(20, shutil.get_terminal_size((WIDTH, 24)).columns)


def print_anything() -> None:
    """Make the standard output take every character, whatever its encoding is."""
    codecs.register_error("lstm_jax.plain", _plain)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="lstm_jax.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for a character that the encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in wrong), error.end


def stop_printing() -> None:
    """Drop what is still to be printed: its reader has gone."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
