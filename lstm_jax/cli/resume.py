"""`python -m lstm_jax resume`: go on with a run that was ended."""

import argparse
from pathlib import Path
from typing import Any

from lstm_jax import train as training
from lstm_jax.cli import train
from lstm_jax.cli.ending import end, resumable, resuming, show_nothing
from lstm_jax.cli.options import add_command, add_devices, in_flags
from lstm_jax.cli.processes import devices_of, together
from lstm_jax.terminal import Screen

_DESCRIPTION = """Go on with a run from its last checkpoint, on the same files. It ends
in the same weights, to the bit, as the run that was never ended.

exit code: 0 done, or nothing was left to do; 2 bad use, or the files have changed"""
_EXAMPLES = """examples:
  python -m lstm_jax resume runs/weather
  python -m lstm_jax resume runs/weather moved/weather.csv
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    add = add_command(
        commands,
        "resume",
        run,
        usage="python -m lstm_jax resume DIR [FILE ...] [options]",
        help="go on with a run",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    add("folder", type=Path, metavar="DIR", help="the folder of the run")
    add("files", nargs="*", metavar="FILE", help="its files, where they have moved")
    add("--torch", action="store_true", help="print how PyTorch loads the model")
    add_devices(add)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    go_on = resuming(options.folder)
    with in_flags("resume"), together("resume", go_on) as first:
        made = _resume(options, first)
        show = Screen().print if first else show_nothing
        end(made, show, torch=options.torch)
    return 0


def _resume(options: argparse.Namespace, first: bool) -> training.Run:
    section = training.section_of(options.folder)
    begun = argparse.Namespace(**read_flags(section, options.folder))
    if options.files:
        begun.files = options.files
    table, dataset = train.read(begun)
    refuse_changed(section, table)
    with resumable(options.folder, first):
        return training.resume(
            options.folder,
            dataset,
            fingerprint="".join(table.sha256.values()),
            minutes=begun.minutes,
            progress=True,
            devices=devices_of("resume", options.devices),
            unit_devices=options.unit_devices,
        )


def refuse_changed(section: dict[str, Any], table: training.Table) -> None:
    """Refuse a file that is not, byte by byte, the one that the run was begun with."""
    before, now = list(section["sha256"].values()), table.sha256
    if len(before) != len(now):
        raise ValueError(
            f"resume: FILE must be the files of the run, {len(before)}: there are "
            f"{len(now)}. Give them in their order, or leave FILE out."
        )
    for (name, mark), other in zip(now.items(), before, strict=True):
        if mark != other:
            raise ValueError(
                f"resume: {name!r} must be as it was when the run was begun: its bytes "
                "are others. Give the file of then, or train anew with another --out."
            )


def read_flags(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The flags that a run was begun with."""
    flags = section.get("flags")
    if not isinstance(flags, dict):
        raise ValueError(
            f"resume: {folder} must be a run of the command: it was begun by fit. Use "
            "lstm_jax.train.resume with its samples."
        )
    return {k: tuple(v) if isinstance(v, list) else v for k, v in flags.items()}
