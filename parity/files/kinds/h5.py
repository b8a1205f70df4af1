"""Keras's files: HDF5, and since Keras 3 an archive of JSON and HDF5."""

from typing import Any

from parity.files.bounds import MOST_HEADER, DamagedError
from parity.files.hdf5.listed import list_file
from parity.files.reading import Reading, starts
from parity.files.source import Bytes, Leaves
from parity.files.strict_json import parse_json

_MAGIC = b"\x89HDF\r\n\x1a\n"
_WEIGHTS, _CONFIG, _VERSION = "model.weights.h5", "config.json", "metadata.json"

is_h5 = starts(_MAGIC)


def is_keras(reading: Reading) -> bool:
    """Whether it is an archive with the weights of a model."""
    return _WEIGHTS in reading.names


def read_h5(reading: Reading) -> Leaves:
    """The arrays by their places, joined by dots, as views of the file.

    Raises:
        DamagedError: If it is damaged, leads out of itself or needs too much, or h5py
            is not installed.
    """
    leaves, attributes = list_file(reading.source)
    reading.structure.append(attributes)
    return leaves


def read_keras(reading: Reading) -> Leaves:
    """The arrays of the weights in the archive, as in a file of their own.

    Raises:
        DamagedError: As for `read_h5`; or if its JSON is none.
    """
    weights = Bytes(reading.members[_WEIGHTS])
    if bytes(weights.view[: len(_MAGIC)]) != _MAGIC:
        raise DamagedError(f"its {_WEIGHTS} is no HDF5")
    leaves, attributes = list_file(weights)
    model = attributes.setdefault("", {})
    model["model_config"] = _text(reading, _CONFIG)
    version = parse_json(_text(reading, _VERSION).encode(), _VERSION)
    model["keras_version"] = str(version.get("keras_version"))
    reading.structure.append(attributes)
    return leaves


def _text(reading: Reading, name: str) -> Any:
    """A text in the archive, not too long, and JSON."""
    data = reading.members[name]
    if len(data) > MOST_HEADER:
        raise DamagedError(f"its {name} has more than {MOST_HEADER} bytes")
    _ = parse_json(bytes(data), name)
    return bytes(data).decode()
