"""What the commands share: their texts, numbers, and paths checked before the work."""

import argparse
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], **texts: str
) -> Callable[..., Any]:
    """Add a command with its texts, and give the function that adds its options."""
    parser = commands.add_parser(
        name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts
    )
    parser.set_defaults(run=run)
    return parser.add_argument


def filled(text: str) -> str:
    """Paragraphs, in lines that fit a screen."""
    return "\n\n".join(textwrap.fill(part, 88) for part in text.split("\n\n"))


def whole(text: str, least: int = 0, most: int | None = None) -> int:
    """A whole number of an option."""
    asked = f"of {least} or more" if most is None else f"from {least} to {most}"
    end = float("inf") if most is None else most
    if not text.isdecimal() or not least <= int(text) <= end:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number {asked}")
    return int(text)


def count(text: str) -> int:
    """A whole number of an option that is at least one."""
    return whole(text, least=1)


# The suffixes of a report in JSON; a device has none.
JSON = (".json", "")


def check_report(
    command: str,
    name: str,
    path: Path,
    suffixes: tuple[str, ...],
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse a path that a report cannot or should not be written to.

    Raises:
        ValueError: If it cannot be written, its name says that it is something else, or
            it is the file that is read, or in the directory that is read.
    """
    check_other(command, name, path, source)
    check_writable(command, name, path)
    check_suffix(command, name, path, suffixes)


def check_writable(command: str, name: str, path: Path) -> None:
    """Refuse a path that cannot be written to, before the work and not after it.

    Raises:
        ValueError: If it is a directory, or the system forbids to write it.
    """
    if path.is_dir():
        raise ValueError(
            f"{command}: --{name} {path} must be a file: it is a directory. Name one "
            "in it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_rights(command, name, path, path if path.exists() else path.parent)


def check_suffix(
    command: str, name: str, path: Path, suffixes: tuple[str, ...]
) -> None:
    """Refuse a file whose name says that it is something else.

    Raises:
        ValueError: If its suffix is none of these; an empty one allows no suffix.
    """
    if path.suffix not in suffixes or str(path) == "-":
        raise ValueError(
            f"{command}: --{name} {path} must end in "
            f"{', '.join(filter(None, suffixes))}: the suffix tells what is in it. "
            "Rename it."
        )


def check_other(
    command: str, name: str, path: Path, source: str | os.PathLike[str] | None
) -> None:
    """Refuse to write over the file that is read, or into the directory that is.

    Raises:
        ValueError: If both are the same file, or one is in the other.
    """
    if source is None or not Path(source).exists():
        return
    if Path(source).is_dir() and path.resolve().is_relative_to(Path(source).resolve()):
        raise ValueError(
            f"{command}: --{name} {path} must not be in FILE: it is a checkpoint. Name "
            "another place."
        )
    if path.exists() and path.samefile(source):
        raise ValueError(
            f"{command}: --{name} {path} must not be FILE: it would be replaced. "
            "Name another."
        )


def check_directory(command: str, name: str, path: Path) -> None:
    """Refuse a directory that cannot be made or written into, before the work.

    Raises:
        ValueError: If it or what it is to be in is a file, or the system forbids it.
    """
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir():
        what = "it" if there == path else there
        raise ValueError(
            f"{command}: --{name} {path} must be a directory: {what} is a file. Name "
            "another."
        )
    _check_rights(command, name, path, there)


def _check_rights(command: str, name: str, path: Path, where: Path) -> None:
    if not os.access(where, os.W_OK):
        raise ValueError(
            f"{command}: --{name} {path} must be writable: the rights on it, or on its "
            "directory, forbid it. Give another path."
        )
