"""A module in a folder, `config.json` and `model.safetensors`, or in one file.

The config is `{"format": 1, "class": "LSTM", "options": {...}}`; other sections of it
belong to others, and stay. A lone `.safetensors` file has the same object as text in
its metadata, under `config`; beside `model.safetensors`, a config.json counts. The
tensors have torch's names.
"""

import json
import os
import shutil
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from safetensors import SafetensorError, safe_open
from safetensors.flax import load_file, save_file

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
SUFFIX = ".safetensors"
LARGEST_CONFIG = 2**24  # bytes

PathLike = str | os.PathLike[str]


def write(
    where: str,
    path: PathLike,
    kind: str,
    options: Mapping[str, Any],
    params: Mapping[str, Array],
) -> None:
    """Write a module of class `kind` beside `path`, then rename.

    In a folder that is there already, the two files are replaced one after the other,
    and the other sections of the config are kept.
    """
    if not os.fspath(path):
        raise ValueError(
            f"{where}: path='' must be a folder, or a file that ends in {SUFFIX}: it "
            "is empty. Use '.' for the working directory."
        )
    path = Path(path)
    plain = {name: _plain(where, name, value) for name, value in options.items()}
    held = {name: value for name, value in plain.items() if value is not None}
    config = {"format": FORMAT, "class": kind, "options": held}
    tensors = dict(params)
    if path.suffix.lower() == SUFFIX:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_weights(path, tensors, {"config": json.dumps(config)})
    elif path.exists():
        config = _others(where, path) | config
        _write_weights(path / WEIGHTS, tensors, None)
        _write_config(path / CONFIG, config)
    else:
        _write_folder(path, tensors, config)


def _plain(where: str, name: str, value: Any) -> Any:
    """An option as JSON holds it."""
    if name == "dtype" and value is not None:
        return np.dtype(value).name
    if isinstance(value, jax.lax.Precision):
        return value.name.lower()
    value = value.item() if isinstance(value, np.generic) else value
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(
            f"{where}: {name}={value!r} must be a name, a number or a flag: JSON holds "
            f"no other. Set {name} to its name first."
        )
    return value


def _others(where: str, path: Path) -> dict[str, Any]:
    """The sections of a config that is there already."""
    if not path.is_dir():
        raise ValueError(
            f"{where}: path={str(path)!r} must be a folder, or end in {SUFFIX}: a "
            "module is two files, or one. Use another path."
        )
    if not (path / CONFIG).exists():
        if (path / WEIGHTS).exists():
            raise ValueError(
                f"{where}: path={str(path)!r} must hold no {WEIGHTS} of another "
                f"program: there is no {CONFIG} beside it, and it would be "
                "overwritten. Use another folder."
            )
        return {}
    config = _parse(where, path / CONFIG, _text_of(where, path / CONFIG))
    if not {"format", "class", "options"} <= set(config):
        raise ValueError(
            f"{where}: path={str(path)!r} must hold no {CONFIG} of another program: it "
            "would be overwritten. Use another folder."
        )
    return config


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _write_weights(path: Path, params: dict[str, Array], metadata: Any) -> None:
    new = _beside(path)
    try:
        new.touch()
        mode = new.stat().st_mode
        save_file(dict(params), new, metadata=metadata)  # it changes the dict
        new.chmod(mode)  # safetensors lets nobody else read what it writes
        _ = new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _write_config(path: Path, config: dict[str, Any]) -> None:
    new = _beside(path)
    try:
        _ = new.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        _ = new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _write_folder(path: Path, params: dict[str, Array], config: dict) -> None:
    new = _beside(path)
    new.mkdir(parents=True)
    try:
        _write_weights(new / WEIGHTS, params, None)
        _write_config(new / CONFIG, config)
        _ = new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read(
    where: str, path: PathLike, kind: str, known: Collection[str]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Options and parameters of a module of class `kind`, from a folder or a file.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If the config or the file is not one of `kind`, written by `write`.
    """
    path = Path(path)
    weights = path / WEIGHTS if path.is_dir() else path
    config = weights.parent / CONFIG
    for needed in (weights, config) if path.is_dir() else (weights,):
        if not needed.is_file():
            cure = "Use save_pretrained."
            if needed == config:
                cure = (
                    "Use from_params on what safetensors.flax.load_file returns of "
                    f"{WEIGHTS}."
                )
            raise FileNotFoundError(
                f"{where}: {str(needed)!r} must be there: a module is a folder with "
                f"{CONFIG} and {WEIGHTS}, or one {SUFFIX} file. {cure}"
            )
    lone = weights.name != WEIGHTS or not config.is_file()
    text = _metadata(where, weights) if lone else _text_of(where, config)
    source = weights if lone else config
    options = _options(where, source, _parse(where, source, text), kind)
    if unknown := sorted(set(options) - set(known)):
        listed = ", ".join(sorted(known))
        raise ValueError(
            f"{where}: options of {str(source)!r} must be among {listed}, "
            f"not {', '.join(map(repr, unknown))}: {kind} has no others. Use the "
            "version that wrote them."
        )
    return options, _load(where, weights)


def _text_of(where: str, path: Path) -> str:
    if path.stat().st_size > LARGEST_CONFIG:
        raise ValueError(f"{where}: {_not_ours(path, 'it is too large')}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{where}: {_not_ours(path, 'it is no text')}") from None


def _metadata(where: str, path: Path) -> str:
    """The config in the metadata of a lone file."""
    try:
        with safe_open(path, framework="flax") as file:
            held = (file.metadata() or {}).get("config")
    except SafetensorError as error:
        raise ValueError(f"{where}: {_not_ours(path, str(error))}") from None
    if held is None:
        raise ValueError(
            f"{where}: {str(path)!r} must have the options in its metadata: it has "
            "tensors only. Use from_params on what safetensors.flax.load_file returns."
        )
    return held


def _parse(where: str, path: Path, text: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{where}: {_not_ours(path, 'it is no JSON')}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{where}: {_not_ours(path, 'it is no object')}")
    return config


def _not_ours(path: Path, reason: str) -> str:
    return (
        f"{str(path)!r} must be what save_pretrained writes: {reason}. Save the module "
        "anew."
    )


def _options(where: str, path: Path, config: dict, kind: str) -> dict[str, Any]:
    """The options of a config of this format and class."""
    found = config.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"{where}: {_not_ours(path, 'it has no format')}")
    if found > FORMAT:
        raise ValueError(
            f"{where}: format={found} of {str(path)!r} must be {FORMAT}: a newer "
            "version wrote it. Use that version of lstm_jax."
        )
    held = config.get("class")
    if held != kind:
        known = held in ("LSTM", "LSTMCell", "LSTMModel")
        cure = f"Use {held}.from_pretrained." if known else "Use another path."
        raise ValueError(
            f"{where}: class={held!r} of {str(path)!r} must be {kind!r}: the class "
            f"that loads it is the one that was saved. {cure}"
        )
    if not isinstance(config.get("options"), dict):
        raise ValueError(f"{where}: {_not_ours(path, 'it has no options')}")
    return config["options"]


def _load(where: str, path: Path) -> dict[str, Array]:
    try:
        _refuse_rounding(where, path)
        return load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: {_not_ours(path, str(error))}") from None


def _refuse_rounding(where: str, path: Path) -> None:
    """Refuse tensors of 64 bits that JAX would round without a word."""
    with safe_open(path, framework="flax") as file:
        names = list(file.keys())
        types = {name: file.get_slice(name).get_dtype() for name in names}
    wide = [name for name in types if types[name] == "F64"]
    if wide and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"{where}: {wide[0]} of {str(path)!r} must have at most 32 bits: "
            "jax_enable_x64 is off and JAX would round it. Use "
            "jax.config.update('jax_enable_x64', True)."
        )


def check_sizes(where: str, options: dict[str, Any], sizes: dict[str, Any]) -> dict:
    """The options that are no sizes; the sizes must be those of the tensors."""
    for name, size in sizes.items():
        if options.get(name, size) != size:
            raise ValueError(
                f"{where}: {name}={options[name]!r} must be {size}: the tensors have "
                "this size. Use the config that was written with them."
            )
    return {name: value for name, value in options.items() if name not in sizes}
