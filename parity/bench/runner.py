"""What a runner is, and the names there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import numpy as np

from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.cases import Problem

Array = np.ndarray


class Unsupported(Exception):  # noqa: N818
    """A runner cannot do a work; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A work made ready: arrays placed, code compiled.

    `call` does the work once and returns when it is done, or, on a GPU, when it is
    queued; `finish` waits for what `call` returned. `values` runs it on a given problem
    of the same shapes and names the results as torch does. `facts` are seconds of
    compiling, bytes, the backend.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Any]
    values: Callable[[Problem], Mapping[str, Array]]
    facts: Mapping[str, Any] = field(default_factory=dict)


Build = Callable[[Work, Problem, Settings], Program]

# A runner's name, and the module and arguments that build its programs.
RUNNERS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "lstm_jax": ("ours", ("auto",)),
    "lstm_jax devices": ("ours", ("auto", "jit")),
    "lstm_jax shard_map": ("ours", ("auto", "shard_map")),
    "lstm_jax xla": ("ours", ("xla",)),
    "lstm_jax cudnn": ("ours", ("cudnn",)),
    "torch": ("torch", ()),
    "linen LSTMCell": ("flax", ("linen", "LSTMCell")),
    "linen OptimizedLSTMCell": ("flax", ("linen", "OptimizedLSTMCell")),
    "nnx LSTMCell": ("flax", ("nnx", "LSTMCell")),
    "nnx OptimizedLSTMCell": ("flax", ("nnx", "OptimizedLSTMCell")),
    "haiku": ("haiku", ()),
    "equinox": ("equinox", ()),
    "keras": ("keras", ()),
    "jax.experimental.rnn": ("jax_rnn", ()),
}
OURS, TORCH = "lstm_jax", "torch"


# Packages that are not installed with us, and what installs them.
INSTALLED_BY = {"haiku": "dm-haiku", "equinox": "equinox", "keras": "keras"}


def build_with(name: str) -> Build:
    """The function that builds the programs of a runner.

    Where the runner's library is not installed, the function says so.
    """
    module, arguments = RUNNERS[name]
    try:
        peer = import_module(f"parity.bench.peers.{module}")
    except ModuleNotFoundError as error:
        if error.name not in INSTALLED_BY:
            raise
        return partial(_absent, error.name)
    return peer.builder(*arguments)


def _absent(package: str, *_: Any) -> NoReturn:
    install = f"pip install {INSTALLED_BY[package]}"
    raise Unsupported(f"{package} is not installed: {install}")
