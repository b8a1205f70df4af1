"""The command line: `python -m parity`, also installed as `lstm-parity`."""

import argparse
import sys
from collections.abc import Sequence

from lstm_jax.terminal import Program
from parity.cli import bench, check, convert, inspect, train
from parity.cli.say import NAME
from parity.machine import INSTALL_TORCH, versions

_TORCH = f"torch must be installed: this command needs it here. Use {INSTALL_TORCH}."
_EXTRA = "{} must be installed: training needs it. Use pip install 'lstm-jax[train]'."
_TRAIN = {name: _EXTRA.format(name) for name in ("optax", "orbax", "pandas")}
_EXAMPLES = """examples:
  python -m parity inspect checkpoint.ckpt        every LSTM in a file
  python -m parity check                          the built-in cases
  python -m parity check model.safetensors        each of them, against torch
  python -m parity convert model.pt lstm.safetensors
  python -m parity check --random 300 --seed 1    drawn sizes and weights
  python -m parity train                          200 steps in torch and in JAX
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 for equal, 1 for not, 2 for bad use."""
    return Program(NAME, _parser, {"torch": _TORCH, **_TRAIN}).main(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Move LSTM weights between frameworks, and prove them equal.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _ = parser.add_argument("--version", action="version", version=versions())
    commands = parser.add_subparsers(metavar="command", required=True)
    inspect.add_to(commands)
    check.add_to(commands)
    convert.add_to(commands)
    train.add_to(commands)
    bench.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
