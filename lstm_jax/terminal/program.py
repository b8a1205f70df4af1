"""A command line: what it says where it refuses, and its exit code."""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lstm_jax.terminal.screen import READER_GONE, print_anything, say, stop_printing
from lstm_jax.terminal.text import printable

BAD_USE, INTERRUPTED = 2, 130
LONGEST = 2000  # characters of a sentence
_FULL = (
    "memory must be larger: it is full. Use a smaller model, or a machine with more."
)


@dataclass(frozen=True)
class Program:
    """A command line that refuses in one sentence.

    Attributes:
        name: How it is called, `python -m parity`.
        parser: Makes the parser; each command sets `run`, which takes the options and
            returns the exit code. `options.command` is the line that was given.
        needs: The sentence for each package that may not be there, by its name; of any
            other the error is the program's own fault.
    """

    name: str
    parser: Callable[[], argparse.ArgumentParser]
    needs: Mapping[str, str] = field(default_factory=dict)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command line, and return its exit code; 2 is bad use."""
        print_anything()
        try:
            try:
                return self._main(sys.argv[1:] if arguments is None else arguments)
            finally:
                _ = sys.stdout.flush()
        except BrokenPipeError:
            stop_printing()
            return READER_GONE

    def _main(self, given: Sequence[str]) -> int:
        try:
            options = self.parser().parse_args(given)
            options.command = shlex.join([*self.name.split(), *given])
            return options.run(options)
        except BrokenPipeError:
            raise
        except OSError as error:
            return self._refuse(_of_the_system(error))
        except ModuleNotFoundError as error:
            return self._refuse(self._not_installed(error))
        except (ValueError, TypeError, NotImplementedError) as error:
            return self._refuse(printable(error, LONGEST))
        except MemoryError:
            return self._refuse(_FULL)
        except RuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):  # as XLA says it
                raise
            return self._refuse(_FULL)
        except KeyboardInterrupt:
            return INTERRUPTED

    def _not_installed(self, error: ModuleNotFoundError) -> str:
        """The sentence for a library that a command needs; others are our fault."""
        if "pip install" in str(error):
            return printable(error, LONGEST)
        package = (error.name or "").partition(".")[0]
        if package not in self.needs:
            raise error
        return self.needs[package]

    def _refuse(self, sentence: str) -> int:
        say(self.name, sentence)
        return BAD_USE


def _of_the_system(error: OSError) -> str:
    """Our own sentence, or one around what the system says."""
    if error.strerror is None:
        return printable(error, LONGEST)
    where = "the disk" if error.filename is None else error.filename
    return (
        f"{printable(where)}: {error.strerror.lower()}, says the system. "
        "Check the path, the rights and the room on the disk."
    )
