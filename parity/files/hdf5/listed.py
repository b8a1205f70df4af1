"""An HDF5 file through the lister: its arrays, mapped, and the texts beside them."""

import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from lstm_jax.terminal import printable
from parity.files.bounds import UNPACKED, UNPACKED_MORE, DamagedError
from parity.files.source import Bytes, Leaf, Leaves, Source, Unreadable, view_of
from parity.files.tree import flatten

LISTER = Path(__file__).with_name("lister.py")
# Of the processor: to start, and for so many bytes that may be unpacked.
SECONDS, BYTES_PER_SECOND = 5, 2**26


class Listed(NamedTuple):
    """Arrays by place, with dots, and texts by place and name."""

    leaves: Leaves
    attributes: dict[str, dict[str, Any]]


def list_file(source: Source | Bytes) -> Listed:
    """What is in an HDF5 file.

    Raises:
        DamagedError: If it is damaged, leads out of itself or needs too much, or h5py
            is not installed.
    """
    if find_spec("h5py") is None:
        raise DamagedError(
            "h5py is not installed, and it reads HDF5",
            "Install it: pip install 'lstm-jax[keras]'.",
        )
    answer, numbers = _asked(source)
    if answer["wrong"]:
        raise DamagedError(*(printable(part, 200) for part in answer["wrong"]))
    held, leaves = len(source) + len(numbers), list[tuple[str, Leaf]]()
    for facts in answer["arrays"]:
        leaf, numbers = _leaf(facts, source.view, numbers)
        leaves.append((_dotted(facts["name"]), leaf))
    if len(dict(leaves)) < len(leaves):
        raise DamagedError("two of its arrays have one name, but for dots and slashes")
    attributes = {_dotted(p): texts for p, texts in answer["attributes"].items()}
    return Listed(flatten(dict(leaves), held), attributes)


def _dotted(place: str) -> str:
    return place.replace("/", ".")


def _asked(source: Source | Bytes) -> tuple[dict[str, Any], memoryview]:
    """The answer of the lister, and the numbers after it."""
    left = UNPACKED * len(source) + UNPACKED_MORE
    seconds = SECONDS + left // BYTES_PER_SECOND
    command = [sys.executable, "-P", str(LISTER), str(left), str(seconds)]
    try:
        with _opened(source) as file:
            answer = subprocess.run(
                command,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=10 * seconds,
                check=True,
            ).stdout
    except subprocess.SubprocessError:
        raise DamagedError(
            "its HDF5 is damaged (h5py falls in it, or finds no end)"
        ) from None
    (length,) = struct.unpack("<Q", answer[:8])
    return json.loads(answer[8 : 8 + length]), memoryview(answer)[8 + length :]


@contextmanager
def _opened(source: Source | Bytes) -> Iterator[IO[bytes]]:
    """The file, or what is in an archive as a file without a name."""
    if isinstance(source, Source):
        with source.open() as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        _ = file.write(source.view)
        file.flush()
        yield file


def _leaf(
    facts: dict[str, Any], data: memoryview, numbers: memoryview
) -> tuple[Leaf, memoryview]:
    """An array, as a view of the file or of `numbers`, and the rest of these."""
    if not facts["dtype"]:
        return Unreadable("no array of numbers"), numbers
    dtype = np.dtype(facts["dtype"])
    swapped, native = not dtype.isnative, dtype.newbyteorder("=")
    if "offset" in facts:
        return _view(data[facts["offset"] :], native, facts, swapped), numbers
    size = facts["bytes"]
    return _view(numbers[:size], native, facts, swapped), numbers[size:]


def _view(
    data: memoryview, dtype: np.dtype, facts: dict[str, Any], swapped: bool
) -> np.ndarray:
    return view_of(data, dtype, facts["shape"], swapped=swapped)
