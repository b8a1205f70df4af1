"""One or several CSV files as one table."""

import hashlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lstm_jax.train.table.files.text import (
    check_shape,
    decode,
    find_decimal,
    find_separator,
)
from lstm_jax.train.table.notes import Notes, listed

STDIN = "-"
NAMES = ("group", "file", "name of the file")  # of a column of stems
PathLike = str | os.PathLike[str]


class Table(NamedTuple):
    """What was read of CSV files.

    Attributes:
        frame: Their rows, one file after the other.
        group: The column of groups: the one asked for, or for several files one that
            holds the file's stem; None for one file.
        sha256: SHA-256 of the bytes of each file, in hexadecimal, by its path.
        said: Sentences for the reader.
    """

    frame: pd.DataFrame
    group: str | None
    sha256: dict[str, str]
    said: tuple[str, ...]


def read_csv(
    paths: PathLike | Sequence[PathLike],
    *,
    group: str | None = None,
    encoding: str | None = None,
) -> Table:
    r"""Read CSV files: fields between `,`, `;`, `|` or tabs, decimals with `.` or `,`.

    Several files are several groups, named by their stems, unless they have the column
    `group`. The column of groups is read as text, so that `01` stays `01`.

    Args:
        paths: One path or several; "-" is the standard input.
        group: The column of groups; for several files without it, the name of the
            column that is made of their stems.
        encoding: How the text is encoded; None means UTF-8, or UTF-16 with its mark.

    Returns:
        The table, its column of groups, the files' SHA-256, and sentences.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is empty, is no text of the encoding, has lines of other
            lengths, doubled names or none; or the files have other columns or equal
            stems.

    Example:
        >>> from pathlib import Path
        >>> from lstm_jax.train import read_csv
        >>> folder = Path(getfixture("tmp_path"))
        >>> _ = (folder / "rhine.csv").write_text("day;flow\n1;2,5\n2;3\n")
        >>> read_csv(folder / "rhine.csv").frame.flow.tolist()
        [2.5, 3.0]
    """
    notes = Notes("read_csv")
    single = isinstance(paths, (str, os.PathLike))
    listed_paths: list[Any] = [paths] if single else list(paths)
    if not listed_paths:
        raise notes.wrong("paths=[] must name a file: there is none. Give one.")
    stems = [_stem(path) for path in listed_paths]
    _refuse_equal(notes, stems, listed_paths)
    sha256, frames = {}, []
    for path in listed_paths:
        raw = _bytes_of(notes, path)
        sha256[os.fspath(path)] = hashlib.sha256(raw).hexdigest()
        name = os.fspath(path) if path != STDIN else "stdin"
        frames.append(read_text(notes, name, decode(notes, name, raw, encoding), group))
    frame, group = _joined(notes, stems, frames, group)
    names = [Path(os.fspath(path)).name for path in listed_paths]
    counts = (len(held) for held in frames)
    frame.attrs["files"] = tuple(zip(names, counts, strict=True))
    return Table(frame, group, sha256, tuple(notes.said))


def _stem(path: PathLike) -> str:
    return "stdin" if path == STDIN else Path(path).stem


def _refuse_equal(notes: Notes, stems: list[str], paths: list[PathLike]) -> None:
    for k, stem in enumerate(stems):
        if stem in stems[:k]:
            first = os.fspath(paths[stems.index(stem)])
            raise notes.wrong(
                f"{first!r} and {os.fspath(paths[k])!r} must have different names: "
                f"each file is a group, and both are {stem!r}. Rename one."
            )


def _bytes_of(notes: Notes, path: PathLike) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise type(error)(
            f"{notes.where}: {os.fspath(path)!r} must be a file that can be read: "
            f"{why}. Give another path."
        ) from None


def read_text(notes: Notes, name: str, text: str, group: str | None) -> pd.DataFrame:
    """The table of a CSV text, its column of groups as text."""
    separator = find_separator(text)
    header = check_shape(notes, name, text, separator)
    several = len(header) > 1  # else a blank line is a missing value
    frame: Any = pd.read_csv(
        io.StringIO(text.strip("\r\n")),
        sep=separator,
        decimal=find_decimal(notes, name, text, separator),
        header=None,
        skiprows=1,
        names=range(len(header)),
        index_col=False,
        skipinitialspace=True,
        skip_blank_lines=several,
        dtype={k: str for k, held in enumerate(header) if group and held == group},
        low_memory=False,
    )
    frame.columns = header
    if "" in header:
        notes.say(f"Columns left out, for they have no name: {header.count('')}.")
        frame = frame.loc[:, [bool(held) for held in header]]
    return frame


def _joined(
    notes: Notes, stems: list[str], frames: list[pd.DataFrame], group: str | None
) -> tuple[pd.DataFrame, str | None]:
    """The rows of all files, with a column of groups where there are several."""
    first = frames[0]
    for stem, frame in zip(stems, frames, strict=True):
        if differ := set(first.columns) ^ set(frame.columns):
            raise notes.wrong(
                f"{stem!r} must have the columns of {stems[0]!r}: only one of them has "
                f"{listed(sorted(differ))}. Give all files the same columns."
            )
    if len(frames) == 1:
        return first, group
    joined = pd.concat(frames, ignore_index=True)
    if group is None or group not in first.columns:
        group = group or next(name for name in NAMES if name not in first.columns)
        counts = [len(frame) for frame in frames]
        pairs = zip(stems, counts, strict=True)
        joined[group] = [stem for stem, count in pairs for _ in range(count)]
    return joined, group
