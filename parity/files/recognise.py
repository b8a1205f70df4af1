"""Which format a file is of, and every tensor in it."""

from collections.abc import Callable
from pathlib import Path

from lstm_jax.terminal import printable
from parity.files import formats
from parity.files.bounds import DamagedError, cannot
from parity.files.formats import Format, names_read, one_of
from parity.files.reading import Reading, Recogniser
from parity.files.source import Leaves
from parity.files.strangers import STRANGERS


def format_of(reading: Reading) -> Format:
    """The format of a file, by its bytes.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is of no format that is read here.
    """
    try:
        return _recognised(reading)
    except DamagedError as error:
        raise cannot(reading.path, "a file of weights", error) from None


def read_as(format: Format, reading: Reading) -> Leaves:
    """Every tensor in a file of a format.

    Raises:
        ValueError: If it is damaged, or needs too much memory.
    """
    try:
        return format.read(reading)
    except DamagedError as error:
        raise cannot(reading.path, format.words, error) from None


def read_any(reading: Reading) -> Leaves:
    """Every tensor in a file, of whichever format."""
    return read_as(format_of(reading), reading)


def is_of(format: Format, path: Path) -> bool:
    """Whether a file or directory is surely of a format."""
    return format.is_it(Reading(path, read_any))


def _recognised(reading: Reading) -> Format:
    sure = _first(reading, lambda format: format.is_it)
    if sure is None:
        _refuse_stranger(reading)
    found = sure or _first(reading, lambda format: format.looks_like)
    found = found or _first(reading, lambda format: format.may_be)
    if found is None:
        raise _of_no_format(reading)
    return found


def _first(reading: Reading, test: Callable[[Format], Recogniser]) -> Format | None:
    return next((format for format in formats.FORMATS if test(format)(reading)), None)


def _refuse_stranger(reading: Reading) -> None:
    for stranger in STRANGERS:
        if stranger.is_it(reading):
            raise ValueError(
                f"{reading.path} must be a file of weights that is read here: it is "
                f"{stranger.name}. {stranger.cure}"
            )


def _readable_in(directory: Path) -> list[str]:
    """Files and checkpoints in a directory, the last step of an Orbax manager first."""
    indexes = [*directory.glob("*/_METADATA"), *directory.glob("*/*/_METADATA")]
    orbax = [index.parent.relative_to(directory) for index in indexes]
    orbax.sort(key=lambda place: (len(place.parts[0]), str(place)), reverse=True)
    suffixes = {suffix for format in formats.FORMATS for suffix in format.suffixes}
    files = [p for p in sorted(directory.glob("*")) if p.is_file()]
    named = [Path(p.name) for p in files if p.name.endswith(tuple(suffixes))]
    return [*map(str, orbax), *map(str, named)]


def _of_no_format(reading: Reading) -> ValueError | OSError:
    """The sentence for a file of an unknown format, or for a directory."""
    inside = _readable_in(reading.path)
    if inside:
        shown = ", ".join(repr(printable(name, 60)) for name in inside[:3])
        more = len(inside) - 3
        shown += f" and {more} more" if more > 0 else ""
        return IsADirectoryError(
            f"{reading.path} is a directory: weights are read from one file or "
            f"checkpoint. Name one in it: {shown}."
        )
    what = f"starts with the bytes {bytes(reading.source.view[:4]).hex(' ')}"
    cure = "Fetch it again, or give another file."
    if reading.is_archive:
        held = ", ".join(printable(name, 40) for name in reading.names[:3])
        what = f"is an archive of {held or 'nothing'}"
        cure = "Unpack it, and give the file of weights in it."
    return ValueError(
        f"{reading.path} must be a file of weights ({one_of(names_read())}): "
        f"it {what}, unlike any of these. {cure}"
    )
