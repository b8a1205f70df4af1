"""`python -m lstm_jax train`: from CSV files to a model in a folder."""

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lstm_jax import train as training
from lstm_jax.cli.ending import end, resumable, resuming, show_nothing
from lstm_jax.cli.options import (
    add_command,
    add_devices,
    flagged,
    fraction,
    in_flags,
    names,
    number,
    quantiles,
    remat,
    whole,
)
from lstm_jax.cli.processes import devices_of, together
from lstm_jax.cli.reading import is_file, read_static
from lstm_jax.terminal import Screen, printable

_DESCRIPTION = """Train an LSTM on one CSV file or several, each a group of its own. Row
t predicts the target one step after it (--horizon), from the rows up to t. What the
model is worth is measured on the test part alone, beside persistence, the seasonal
naive, the training mean and ridge regression on the same windows.

exit code: 0 done, also where a baseline is better; 2 bad use or an unreadable file;
130 interrupted, 143 ended by SIGTERM or SIGUSR1, both after a checkpoint: `resume`
goes on. In several processes: docs/scale.md"""
_EXAMPLES = """examples:
  python -m lstm_jax train weather.csv --target temp_max --time date
  python -m lstm_jax train basins/*.csv --target flow --time day --horizon 0
  python -m lstm_jax train shops.csv --target sold --future price --group shop \\
      --time day --horizon 7 --quantiles 0.1,0.5,0.9
  python -m lstm_jax train river.csv --target flow --window 100000 --remat sqrt
  python -m lstm_jax train river.csv --target flow --truncate 1000
"""
# The arguments of `windows` that are flags of the same name.
CUTS = (
    *("target", "inputs", "future", "time", "window", "horizon", "split", "calendar"),
    *("fill", "past", "predict", "scale", "max_gap", "duplicates"),
)
FITS = (
    *("batch", "clip", "epochs", "minutes", "patience", "rate", "seed", "trainable"),
    "truncate",
)


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    add = add_command(
        commands,
        "train",
        run,
        help="train on CSV files",
        usage="python -m lstm_jax train FILE [FILE ...] --target A,B [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add("files", nargs="+", metavar="FILE", help="a CSV file with a line of names")
    add("--out", type=Path, metavar="DIR", help="where the run is kept (runs/FILE)")
    add("--encoding", help="of the files, such as cp1252 (UTF-8)")
    _add_columns(add)
    _add_windows(add)
    _add_model(add)
    _add_memory(add)
    add("--torch", action="store_true", help="print how PyTorch loads the model")
    add_devices(add)


def _add_columns(add: Callable[..., Any]) -> None:
    add("--target", type=names, required=True, metavar="A,B", help="what to predict")
    add("--inputs", type=names, metavar="A,B", help="known up to now (all numbers)")
    add("--future", type=names, default=(), metavar="A,B", help="known ahead, too")
    text = "constant within a group: columns, or a CSV with a line for each group"
    add("--static", metavar="A,B|CSV", help=text)
    add("--time", metavar="A", help="the column of dates or numbers")
    add("--group", metavar="A", help="the column of groups (the files)")


def _add_windows(add: Callable[..., Any]) -> None:
    add("--window", type=whole, metavar="N", help="rows that are seen (a season)")
    add("--horizon", type=whole, default=1, metavar="N", help="steps ahead (1)")
    add("--split", default="time", metavar="time|group|A", help="the parts (time)")
    add("--calendar", choices=("auto", "none"), default="auto", help="columns of dates")
    add("--fill", choices=("last",), help="what stands for missing inputs")
    add("--no-past", dest="past", action="store_false", help="do not read the target")
    add("--predict", choices=("change", "level"), help="what the outputs are")
    add("--scale", choices=("group", "all"), help="of the target")
    add("--max-gap", type=whole, default=1, metavar="N", help="steps to cross (1)")
    add("--duplicates", choices=("first",), help="which row of a time is kept")


def _add_model(add: Callable[..., Any]) -> None:
    add("--quantiles", type=quantiles, default=(), metavar="P,Q", help="0.1,0.5,0.9")
    add("--hidden-size", type=whole, default=64, metavar="N", help="units (64)")
    add("--num-layers", type=whole, default=1, metavar="N", help="layers (1)")
    add("--dropout", type=fraction, default=0.0, metavar="P", help="between layers (0)")
    add("--batch", type=whole, default=64, metavar="N", help="windows of a step (64)")
    add("--epochs", type=whole, default=50, metavar="N", help="at most (50)")
    text = "epochs without a better validation (10)"
    add("--patience", type=whole, default=10, metavar="N", help=text)
    add("--rate", type=number, default=1e-3, metavar="X", help="of Adam (0.001)")
    add("--clip", type=number, default=1.0, metavar="X", help="norm of gradients (1)")
    add("--minutes", type=number, metavar="X", help="end the run after so many")
    add("--seed", type=whole, default=0, metavar="N", help="of weights and order (0)")
    add("--start", metavar="DIR|FILE", help="a model to go on from")
    text = "beginnings of names that are trained: fc for the head (all)"
    add("--trainable", type=names, metavar="A,B", help=text)


def _add_memory(add: Callable[..., Any]) -> None:
    text = (
        "memory for long windows: keep the LSTM's state at every Nth row only (sqrt: "
        "at the root of --window) and compute the others again for the gradients; "
        "slower, the same results (every row is kept)"
    )
    add("--remat", type=remat, metavar="N|sqrt", help=text)
    text = (
        "memory for long series: read each series in order, N rows at a step. The "
        "state goes on from chunk to chunk, gradients do not (truncated "
        "back-propagation); predictions, too, start at a series' first row (windows)"
    )
    add("--truncate", type=whole, metavar="N", help=text)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    out = options.out or Path("runs") / Path(options.files[0]).stem
    with in_flags(), together("train", resuming(out)) as first:
        show = Screen().print if first else show_nothing
        made = _fit(options, out, show, first)
        end(made, show, torch=options.torch)
    return 0


def _fit(
    options: argparse.Namespace, out: Path, show: Callable[[str], None], first: bool
) -> training.Run:
    refuse_run(out)
    table, dataset = read(options)
    model = _model(options, dataset)
    levels = options.quantiles
    loss = training.pinball(levels) if levels else "squared_error"
    for line in roles(dataset, table):
        show(printable(line, 500))
    show("")
    chosen = {name: getattr(options, name) for name in FITS}
    with resumable(out, first):
        return training.fit(
            model,
            dataset,
            loss=loss,
            folder=out,
            fingerprint="".join(table.sha256.values()),
            section=section(options, table),
            progress=True,
            devices=devices_of("train", options.devices),
            unit_devices=options.unit_devices,
            **chosen,
        )


def refuse_run(out: Path) -> None:
    """Refuse a folder that holds a run, before anything is read."""
    if (out / "config.json").is_file():
        raise ValueError(
            f"train: --out {out} must be new: there is a run in it. Use python -m "
            f"lstm_jax resume {shlex.quote(str(out))} to go on with it, or another "
            "--out."
        )


def read(options: argparse.Namespace) -> tuple[training.Table, training.Dataset]:
    """The table and its windows."""
    table = training.read_csv(
        options.files, group=options.group, encoding=options.encoding
    )
    static = read_static(options.static, table, options.encoding)
    cut: Any = {name: getattr(options, name) for name in CUTS} | {"group": table.group}
    table = table._replace(sha256=table.sha256 | static.sha256)
    return table, training.windows(table.frame, static=static.held, **cut)


def _model(options: argparse.Namespace, dataset: training.Dataset) -> Any:
    sizes = ("hidden_size", "num_layers", "dropout", "quantiles", "remat", "seed")
    outputs: Any = "last" if options.truncate is None else "all"
    chosen = {name: getattr(options, name) for name in sizes}
    made = training.model_for(dataset, outputs=outputs, **chosen)
    if options.start is not None:
        training.start_from(made, options.start)
    return made


def section(options: argparse.Namespace, table: training.Table) -> dict[str, Any]:
    """What `resume` and `predict` need to know of this call."""
    flags = {
        name: value
        for name, value in vars(options).items()
        if name not in ("run", "command", "out", "torch", "devices", "unit_devices")
    }
    flags["files"] = [str(Path(name).resolve()) for name in options.files]
    if options.static is not None and is_file(options.static, table):
        flags["static"] = str(Path(options.static).resolve())
    return {"command": options.command, "flags": flags, "sha256": table.sha256}


def roles(dataset: training.Dataset, table: training.Table) -> list[str]:
    """What each column is to the model, and what was said of the table."""
    recipe = dataset.recipe
    found = recipe.roles
    past = " (its own past is an input)" if recipe.options.past else ""
    lines = [f"target: {', '.join(found.target)}{past}"]
    others = {name: getattr(found, name) for name in ("inputs", "future", "static")}
    lines += [f"{name}: {', '.join(held)}" for name, held in others.items() if held]
    if recipe.calendar:
        lines.append(f"calendar: {', '.join(recipe.calendar)}")
    sizes = ", ".join(
        f"{len(getattr(dataset, part)):,} {part}" for part in ("train", "valid", "test")
    )
    lines.append(f"windows of {recipe.window} rows: {sizes}")
    said = [*table.said, *dataset.said]
    return [*lines, *(flagged("train", sentence) for sentence in said)]
