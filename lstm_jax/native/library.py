"""The compiled library: whether it is there, and what it runs."""

import ctypes
import os
import re
from functools import cache
from pathlib import Path

import jax

FILE = Path(__file__).parent / "kernel.so"
REASON = Path(__file__).parent / "not_compiled.txt"
HANDLERS = ("lstm_jax_forward", "lstm_jax_backward")


def missing() -> str | None:
    """Why the kernel cannot be called here, a clause; None where it can.

    The first call that finds the library registers its handlers.
    """
    if os.environ.get("LSTM_JAX_NATIVE") == "0":
        return "LSTM_JAX_NATIVE=0 turns it off"
    return _registered()


def kernel() -> str:
    """The vectors that the kernel is of here, such as "avx512"."""
    return _library().lstm_jax_kernel().decode()


@cache
def _registered() -> str | None:
    if not FILE.exists():
        said = REASON.read_text(encoding="utf-8") if REASON.exists() else ""
        reason = said.strip().rstrip(".") or "it was installed from a source tree"
        return f"it was not compiled when lstm-jax was installed ({reason})"
    library = _library()
    if not library.lstm_jax_kernel():
        return "this processor has neither AVX2 nor NEON"
    compiled = library.lstm_jax_ffi_major(), library.lstm_jax_ffi_minor()
    # A handler of a newer interface does not fail alone: JAX's CPU would not start.
    if compiled[0] != _interface()[0] or compiled > _interface():
        return f"it was compiled for another jaxlib (interface {compiled})"
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return None


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(FILE))
    library.lstm_jax_kernel.restype = ctypes.c_char_p
    return library


@cache
def _interface() -> tuple[int, int]:
    """The version of XLA's interface that the installed jaxlib has."""
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    text = header.read_text(encoding="utf-8")
    defined = r"#define XLA_FFI_API_(?:MAJOR|MINOR) (\d+)"
    major, minor = map(int, re.findall(defined, text))
    return major, minor
