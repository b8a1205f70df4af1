"""`python -m lstm_jax predict`: the predictions of a run for the rows of a file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from lstm_jax import train as training
from lstm_jax.cli.options import add_command, in_flags
from lstm_jax.cli.reading import read_static
from lstm_jax.cli.stream import answer
from lstm_jax.terminal import Screen, printable
from lstm_jax.train.saved.writing import write_whole

_DESCRIPTION = """Predict from every row that has enough rows before it. A line for each
step ahead has group (where there are groups), time (which is predicted for), step, the
target (empty where it is not known yet), TARGET_predicted, and quantiles where the run
has them. With FILE - rows are read from stdin, and each is answered at once.

exit code: 0 done, 2 bad use or an unreadable file"""
_EXAMPLES = """examples:
  python -m lstm_jax predict runs/weather new.csv --out predicted.csv
  tail -n +1 -f weather.csv | python -m lstm_jax predict runs/weather -
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    add = add_command(
        commands,
        "predict",
        run,
        help="predict for the rows of a file",
        usage="python -m lstm_jax predict DIR FILE [FILE ...] [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add("folder", type=Path, metavar="DIR", help="the folder of a run")
    add("files", nargs="+", metavar="FILE", help="CSV files, or - for stdin")
    add("--out", type=Path, metavar="CSV", help="where predictions go (the screen)")
    add("--static", metavar="CSV", help="a line for each group that training had not")
    add("--encoding", help="of the files, such as cp1252 (UTF-8)")


def refuse_unread(options: argparse.Namespace) -> None:
    """Refuse flags that rows from stdin have no use for."""
    for name in ("out", "static", "encoding"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"predict: --{name} must not come with FILE -: rows are read as UTF-8 "
                "and answered on the standard output. Leave it out, or give a file."
            )


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    with in_flags("predict"):
        made = training.load(options.folder)
        if options.files == ["-"]:
            refuse_unread(options)
            answer(made, sys.stdin, sys.stdout)
            return 0
        roles = made.recipe.roles if made.recipe else None
        table = training.read_csv(
            options.files,
            group=roles.group if roles else None,
            encoding=options.encoding,
        )
        static = read_static(options.static, table, options.encoding)
        found = made.predict(
            table.frame, static=static.held if options.static else None
        )
        if options.out is None:
            _ = sys.stdout.write(found.to_csv(index=False))
            return 0
        write_whole(options.out, found.to_csv(index=False))
    lines = f"{len(found):,} predictions"
    Screen().print(f"wrote {printable(options.out)}: {lines}")
    return 0
