"""Weights to begin with: those of a model that was trained before."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.flax import load_file

from lstm_jax.model import LSTMModel


def start_from(model: LSTMModel, start: str | os.PathLike[str] | Mapping) -> None:
    """Give a model the weights of another one of its sizes.

    Args:
        model: The model; what it held is replaced.
        start: A folder of `fit` or `save_pretrained`, a `.safetensors` file, or a
            mapping of the names of parameters to arrays.

    Raises:
        OSError: If there is no such file.
        ValueError: If it holds other parameters, or of other shapes.

    Example:
        >>> old = LSTMModel(3, 4, 1, rngs=nnx.Rngs(0))
        >>> new = LSTMModel(3, 4, 1, rngs=nnx.Rngs(1))
        >>> start_from(new, old.params())
        >>> bool((new.params()["fc.weight"] == old.params()["fc.weight"]).all())
        True
    """
    shown = "a mapping" if isinstance(start, Mapping) else repr(os.fspath(start))
    params = start if isinstance(start, Mapping) else _read(start)
    try:
        model.load_params(params)
    except ValueError as error:
        why = str(error).removeprefix("LSTMModel.load_params: ")
        raise ValueError(
            f"fit: start={shown} must be a model of the same sizes as the new one: "
            f"{why}"
        ) from None


def _read(start: str | os.PathLike[str]) -> Any:
    path = Path(start)
    if not path.exists():
        raise FileNotFoundError(
            f"fit: start={str(path)!r} must be a folder or a file: it is not there. "
            "Give the folder of a run, or a .safetensors file."
        )
    if path.is_dir():
        return LSTMModel.from_pretrained(path).params()
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"fit: start={str(path)!r} must be a .safetensors file: {error}. "
            "Give the folder of a run, or a file of save_pretrained."
        ) from None
