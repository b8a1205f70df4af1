"""The command line: `python -m lstm_jax`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata

from lstm_jax.terminal import Program

NAME = "python -m lstm_jax"
NEEDS = {
    name: f"{name} must be installed. Use pip install 'lstm-jax[train]'."
    for name in ("matplotlib", "optax", "orbax", "pandas")
}
_EXAMPLES = """examples:
  python -m lstm_jax train weather.csv --target temp_max --time date
  python -m lstm_jax train basins/*.csv --target flow --time day --horizon 0
  python -m lstm_jax predict runs/weather new.csv --out predicted.csv
  python -m lstm_jax resume runs/weather
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0 for done, 2 for bad use."""
    return Program(NAME, _parser, NEEDS).main(arguments)


def _parser() -> argparse.ArgumentParser:
    from lstm_jax.cli import predict, resume, train

    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Train an LSTM on CSV files, and predict with it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"lstm_jax {metadata.version('lstm-jax')}"
    _ = parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in (train, predict, resume):
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
