"""Tensors in files of every format: told by the bytes, and no code of a file is run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from parity.arrays import numpy_of
from parity.files.beside import Tensor, beside, write_safetensors
from parity.files.bounds import SHARED, SHARED_MORE, DamagedError, cannot
from parity.files.formats import Leaves, Reading
from parity.files.kinds.orbax import is_orbax, read_orbax
from parity.files.pickle.inert import Unreadable
from parity.files.source import Source, native, open_source


@dataclass(frozen=True)
class Contents:
    """What is in a file.

    `tensors` are views of the file, read when they are looked at, so the file must not
    be written to meanwhile. `unreadable` has the reason for each tensor of a kind that
    is not read, `unknown` the classes that were not imported.
    """

    format: str
    tensors: dict[str, np.ndarray]
    unreadable: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()

    def release(self) -> None:
        """Let go of the memory of tensors that were looked at."""
        for source in self.sources:
            source.release()


def read(path: str | os.PathLike[str]) -> Contents:
    """Everything in a file that is a tensor, mapped; no code of the file is run.

    Args:
        path: As for `read_tensors`.

    Raises:
        ValueError: If it is no file of weights, is damaged, or needs too much memory.
        OSError: If it cannot be opened.
    """
    path = Path(path)
    if path.is_dir() and is_orbax(path):
        return _read_orbax(path)
    reading = Reading(open_source(path))
    leaves = reading.leaves()
    try:
        _check_sizes(leaves, sum(map(len, reading.sources)))
    except DamagedError as error:
        raise cannot(path, reading.format, error) from None
    return Contents(
        reading.format,
        *_split(leaves),
        tuple(sorted(reading.globals.unknown)),
        tuple(reading.sources),
    )


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor in a file, by name, bit for bit; no code of the file is run.

    Names of nested dictionaries are joined by dots: `state_dict.lstm.weight_ih_l0`.

    Args:
        path: A torch file, old or new, TorchScript, safetensors, an index of several
            files, npz, or a pickle. The bytes tell which; the suffix does not matter.

    Returns:
        Names to arrays, copies that need the file no more.

    Raises:
        ValueError: If it is no file of weights, is damaged, or needs too much memory.
        OSError: If it cannot be opened.
    """
    return {name: np.array(array) for name, array in read(path).tensors.items()}


def write_tensors(tensors: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a `.safetensors` file, bit for bit; never a half-written one.

    Args:
        tensors: Names to JAX, NumPy or torch arrays.
        path: Where to; an existing file is replaced only once the new one is whole.

    Raises:
        ValueError: If the suffix is not `.safetensors`.
        TypeError: If a value is not an array.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{path}: suffix {path.suffix!r} must be .safetensors: it is the format "
            "that is written. Rename it; for torch's own format, use "
            "torch.save(parity.to_torch(params), path)."
        )
    arrays = {n: numpy_of(str(n), tensors[n], "write_tensors") for n in tensors}
    with beside(path) as part:
        write_safetensors([Tensor(n, a, a.dtype) for n, a in arrays.items()], part)


def _read_orbax(path: Path) -> Contents:
    try:
        leaves = read_orbax(path)
    except DamagedError as error:
        raise cannot(path, "an Orbax checkpoint", error) from None
    arrays, unreadable = _split(leaves)
    return Contents("an Orbax checkpoint", arrays, unreadable)


def _split(leaves: Leaves) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays, in this machine's order of bytes, and why others are not read."""
    arrays = {n: native(a) for n, a in leaves.items() if not isinstance(a, Unreadable)}
    reasons = {n: a.reason for n, a in leaves.items() if isinstance(a, Unreadable)}
    return arrays, reasons


def _check_sizes(leaves: Leaves, held: int) -> None:
    """Refuse tensors that are much more than the file, since they share its bytes."""
    arrays = [a for a in leaves.values() if not isinstance(a, Unreadable)]
    size = sum(array.nbytes for array in arrays)
    if size > SHARED * held + SHARED_MORE:
        raise DamagedError(
            f"its tensors share bytes, and are {size} bytes out of a file of {held}",
            "Save a .clone() of each tensor.",
        )
