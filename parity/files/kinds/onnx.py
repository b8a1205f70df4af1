"""ONNX: protobuf, parsed by the `onnx` package; its graphs, and the tensors in them."""

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from parity.files.bounds import MOST_ONNX, DamagedError
from parity.files.onnx.beside import files_beside
from parity.files.onnx.scopes import scopes_of
from parity.files.reading import Reading
from parity.files.source import Leaves

# The version of the format, then a text, which is the name of a program, or nothing,
# or the tag of another field.
_MAGIC = re.compile(
    rb"\x08[\x01-\x1f](\x12[\x80-\xff]*[\x00-\x7f][ -~]|\x12\x00"
    rb"|[\x1a\x22\x28\x32\x3a\x42])"
)


def is_onnx(reading: Reading) -> bool:
    """Whether it starts with a version of ONNX and another field of a model."""
    return _MAGIC.match(reading.start) is not None


def may_be_onnx(reading: Reading) -> bool:
    """Whether it has the suffix, by which a damaged file is told."""
    return reading.path.suffix == ".onnx"


def read_onnx(reading: Reading) -> Leaves:
    """Every initializer and constant; the graphs are the structure.

    Raises:
        ModuleNotFoundError: If `onnx` is not installed.
        DamagedError: If it is damaged, or tensors beside it are outside of its folder.
    """
    need_onnx(str(reading.path), "it is an ONNX model")
    model = parsed(reading)
    scopes = scopes_of(model, files_beside(reading))
    reading.structure.extend(scopes)
    reading.metadata.update(config_of(model))
    return {f"{s.path}{n}": leaf for s in scopes for n, leaf in s.tensors.items()}


def config_of(model: Any) -> dict[str, str]:
    """The text in which `to_onnx` states the options of a module, by its name."""
    return {p.key: p.value for p in model.metadata_props if p.key == "config"}


def need_onnx(where: str, why: str) -> None:
    """Refuse to go on where onnx is not installed.

    Raises:
        ModuleNotFoundError: In one sentence, with what to install.
    """
    if find_spec("onnx") is None:
        raise ModuleNotFoundError(
            f"{where}: onnx must be installed: {why}. Use pip install "
            "'lstm-jax[onnx]'.",
            name="onnx",
        )


def parsed(reading: Reading) -> Any:
    """The model of a file, without what is beside it.

    Raises:
        DamagedError: If it is too large, cut off, or no model.
    """
    source = reading.source
    if len(source) > MOST_ONNX:
        raise DamagedError(
            f"it has {len(source)} bytes, and protobuf ends at {MOST_ONNX}",
            "Save its tensors beside it: onnx.save(..., save_as_external_data=True).",
        )
    onnx: Any = import_module("onnx")
    errors: Any = import_module("google.protobuf.message")
    try:
        return onnx.load_model_from_string(bytes(source.view))
    except (errors.DecodeError, ValueError, RecursionError, RuntimeError):
        raise DamagedError("its protobuf is damaged, or cut off") from None
