"""The table of the formats: a row each, and what is read off the rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.files.bounds import DamagedError, cannot
from parity.files.kinds import (
    index,
    msgpack,
    npz,
    orbax,
    plain_pickle,
    safetensors,
    torch_legacy,
    torch_zip,
)
from parity.files.reading import Reading, Recogniser
from parity.files.source import Leaves
from parity.files.strangers import STRANGERS
from parity.files.tensor import Writer
from parity.show import printable


def never(_: Reading) -> bool:
    """The test that no file passes."""
    return False


def only_read(*_: Any) -> None:
    """What stands for the writer of a format that has none."""
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of files.

    Attributes:
        name: What `--from` and `--to` call it; old and new files may share a name.
        words: What a file of it is, in a sentence.
        suffixes: The usual ones: they tell how to write a file, not how to read it.
        memory: How the tensors of a file get into memory.
        is_it: Whether a file is surely of it, by its whole magic.
        may_be: Whether a file that is of no other may be of it.
        read: Gives every tensor of a file.
        write: Writes tensors to a file.
        directory: Whether it is a directory of files.
    """

    name: str
    words: str
    suffixes: tuple[str, ...] = ()
    memory: str = "read"
    is_it: Recogniser = never
    may_be: Recogniser = never
    read: Callable[[Reading], Leaves]
    write: Writer = only_read
    directory: bool = False


# In the order in which they are tried.
FORMATS: tuple[Format, ...] = (
    Format(
        name="torch",
        words="a torch file",
        suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        memory="mapped",
        is_it=torch_zip.is_torch_zip,
        read=torch_zip.read_torch_zip,
        write=torch_zip.write_torch_zip,
    ),
    Format(
        name="torch",
        words="an old torch file",
        suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        memory="mapped",
        is_it=torch_legacy.is_torch_legacy,
        read=torch_legacy.read_torch_legacy,
    ),
    Format(
        name="torchscript",
        words="TorchScript",
        suffixes=(".jit", ".ts", ".pt"),
        memory="mapped",
        is_it=torch_zip.is_torchscript,
        read=torch_zip.read_torch_zip,
    ),
    Format(
        name="safetensors",
        words="safetensors",
        suffixes=(".safetensors",),
        memory="mapped",
        is_it=safetensors.is_safetensors,
        may_be=safetensors.may_be_safetensors,
        read=safetensors.read_safetensors,
        write=safetensors.write_safetensors,
    ),
    Format(
        name="index",
        words="an index of several files",
        suffixes=(".safetensors.index.json", ".bin.index.json"),
        memory="mapped",
        is_it=index.is_index,
        read=index.read_index,
    ),
    Format(
        name="npz",
        words="npz",
        suffixes=(".npz",),
        memory="mapped; compressed members are unpacked",
        is_it=npz.is_npz,
        read=npz.read_npz,
        write=npz.write_npz,
    ),
    Format(
        name="pickle",
        words="a pickle",
        suffixes=(".pkl", ".pickle"),
        is_it=plain_pickle.is_pickle,
        may_be=plain_pickle.may_be_pickle,
        read=plain_pickle.read_pickle,
    ),
    Format(
        name="msgpack",
        words="msgpack",
        suffixes=(".msgpack",),
        is_it=msgpack.is_msgpack,
        may_be=msgpack.may_be_msgpack,
        read=msgpack.read_msgpack,
        write=msgpack.write_msgpack,
    ),
    Format(
        name="orbax",
        words="an Orbax checkpoint",
        suffixes=(".orbax",),
        memory="read, by tensorstore",
        is_it=orbax.is_orbax,
        read=orbax.read_orbax,
        write=orbax.write_orbax,
        directory=True,
    ),
)


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


def names_read() -> list[str]:
    """What `--from` may be."""
    return list(dict.fromkeys(format.name for format in FORMATS))


def written() -> dict[str, Format]:
    """The formats that are written, by what `--to` may be."""
    return {format.name: format for format in FORMATS if format.write is not only_read}


def written_by_suffix() -> dict[str, Format]:
    """The same formats, by the suffix of what is written."""
    return {s: format for format in written().values() for s in format.suffixes}


def in_words() -> str:
    """What is read, for a sentence."""
    return one_of(format.words for format in FORMATS)


def one_of(words: Iterable[str]) -> str:
    """One of these words, for a sentence.

    Example:
        >>> one_of(["npz", "torch", "msgpack"])
        'npz, torch or msgpack'
    """
    *before, last = words
    return f"{', '.join(before)} or {last}" if before else last


def _recognised(reading: Reading) -> Format:
    for format in FORMATS:
        if format.is_it(reading):
            return format
    for stranger in STRANGERS:
        if stranger.is_it(reading):
            raise ValueError(
                f"{reading.path} must be a file of weights that is read here: it is "
                f"{stranger.name}. {stranger.cure}"
            )
    for format in FORMATS:
        if format.may_be(reading):
            return format
    raise _of_no_format(reading)


def _of_no_format(reading: Reading) -> ValueError:
    """The sentence for a file of an unknown format."""
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
