"""The command line: `python -m parity`, also installed as `lstm-parity`."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from parity.cli import bench, check, convert, inspect
from parity.cli.screen import PROGRAM, READER_GONE, print_anything, say, stop_printing
from parity.machine import INSTALL_TORCH, versions
from parity.show import printable

_EXAMPLES = """examples:
  python -m parity inspect checkpoint.ckpt        every LSTM in a file
  python -m parity check                          the built-in cases
  python -m parity check model.safetensors        each of them, against torch
  python -m parity convert model.pt lstm.safetensors
  python -m parity check --random 300 --seed 1    drawn sizes and weights
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 for equal, 1 for not, 2 for bad use."""
    print_anything()
    try:
        try:
            return _main(sys.argv[1:] if arguments is None else list(arguments))
        finally:
            _ = sys.stdout.flush()
    except BrokenPipeError:
        stop_printing()
        return READER_GONE


def _main(given: list[str]) -> int:
    try:
        options = _parser().parse_args(given)
        options.command = shlex.join(["python", "-m", "parity", *given])
        return options.run(options)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _refuse(_of_the_system(error))
    except ModuleNotFoundError as error:
        return _refuse(_not_installed(error))
    except (ValueError, TypeError, NotImplementedError) as error:
        return _refuse(printable(error, 2000))
    except MemoryError:
        return _refuse("memory must be larger: it is full. Use a machine with more.")
    except KeyboardInterrupt:
        return 130


def _of_the_system(error: OSError) -> str:
    """Our own sentence, or one around what the system says."""
    if error.strerror is None:
        return printable(error, 2000)
    where = "the disk" if error.filename is None else error.filename
    return (
        f"{printable(where)}: {error.strerror.lower()}, says the system. "
        "Check the path, the rights and the room on the disk."
    )


def _not_installed(error: ModuleNotFoundError) -> str:
    """The sentence for a library that this command needs; anything else is our fault.

    Raises:
        ModuleNotFoundError: If it is another module than torch, without a cure.
    """
    if "pip install" in str(error):
        return printable(error, 2000)
    if error.name is None or error.name.partition(".")[0] != "torch":
        raise error
    return f"torch must be installed: this command needs it here. Use {INSTALL_TORCH}."


def _refuse(sentence: str) -> int:
    say(sentence)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Move LSTM weights between frameworks, and prove them equal.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _ = parser.add_argument("--version", action="version", version=versions())
    commands = parser.add_subparsers(metavar="command", required=True)
    inspect.add_to(commands)
    check.add_to(commands)
    convert.add_to(commands)
    bench.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
