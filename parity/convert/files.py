"""Tensors in files: safetensors (without torch) and torch state dicts, read safely."""

import os
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from parity.convert.torch import numpy_of

# What torch's unpickler is seen to raise on files that are no state dict.
_UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor in a file, by name, bit for bit; no code of the file is run.

    Args:
        path: A `.safetensors` file, or a torch state dict (`.pt`, `.pth`, `.bin`,
            `.ckpt`).

    Raises:
        ValueError: If the file cannot be read as what its suffix says.
        OSError: If it cannot be opened.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file. Check the path; quote it if it has spaces."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a directory: weights are read from one file. "
            "Name the file in it, such as model.safetensors."
        )
    if path.stat().st_size == 0:
        raise ValueError(
            f"{path} is empty: a download or a copy was cut off. Fetch it again."
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return _read_torch(path)
    raise ValueError(
        f"{path}: suffix {path.suffix!r} must be .safetensors or one of "
        f"{', '.join(TORCH_SUFFIXES)}: it tells the format. Rename the file, or save "
        "it as .safetensors."
    )


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
    arrays = {
        name: np.ascontiguousarray(numpy_of(name, tensors[name], "write_tensors"))
        for name in tensors
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(arrays, beside)
        _ = beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except (SafetensorError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors: {error}. "
            "Fetch or save it again; a torch pickle has another suffix."
        ) from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"{path}: reading a torch file needs torch. "
            "Use pip install 'lstm-jax[parity]', or a .safetensors file."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on files it cannot read
            found = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(
            f"{path} cannot be read as a torch state dict: it holds other things than "
            "tensors, or is damaged. Save it again with "
            "torch.save(module.state_dict(), path)."
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(a, torch.Tensor) for a in found.values()
    ):
        raise ValueError(
            f"{path} must hold a state dict, names to tensors, not "
            f"{type(found).__name__} of other things: it is read as weights alone. "
            "Save it with torch.save(module.state_dict(), path)."
        )
    return {str(name): numpy_of(str(name), tensor) for name, tensor in found.items()}
