"""What a runner is, and the names there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.judge.cases import Problem

Array = np.ndarray


class Unsupported(Exception):  # noqa: N818
    """A runner cannot do a work; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A work made ready: arrays placed, code compiled.

    `call` does the work once and returns when it is done, or, on a GPU, when it is
    queued; `finish` waits for what `call` returned. `values` runs it on a given problem
    of the same shapes and names the results as torch does. `facts` are seconds of
    compiling, bytes, the backend. `peak`, asked for after the first call, gives the
    bytes of a device that a call takes; without it, the process's growth is taken.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Any]
    values: Callable[[Problem], Mapping[str, Array]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    peak: Callable[[], int] | None = None


Build = Callable[[Work, Problem, Settings], Program]

# A module with `builder(...)`, and the arguments for it: what a process is told.
Maker = tuple[str, tuple[Any, ...]]

_PEERS = "parity.bench.peers"
RUNNERS: dict[str, Maker] = {
    "lstm_jax": (f"{_PEERS}.ours", ("auto",)),
    "lstm_jax devices": (f"{_PEERS}.ours", ("auto", "jit")),
    "lstm_jax shard_map": (f"{_PEERS}.ours", ("auto", "shard_map")),
    "lstm_jax 512": (f"{_PEERS}.ours", ("auto", None, 512)),
    "lstm_jax shard_map 512": (f"{_PEERS}.ours", ("auto", "shard_map", 512)),
    "lstm_jax xla": (f"{_PEERS}.ours", ("xla",)),
    "lstm_jax cudnn": (f"{_PEERS}.ours", ("cudnn",)),
    "torch": (f"{_PEERS}.torch", ()),
    "linen LSTMCell": (f"{_PEERS}.flax", ("linen", "LSTMCell")),
    "linen OptimizedLSTMCell": (f"{_PEERS}.flax", ("linen", "OptimizedLSTMCell")),
    "nnx LSTMCell": (f"{_PEERS}.flax", ("nnx", "LSTMCell")),
    "nnx OptimizedLSTMCell": (f"{_PEERS}.flax", ("nnx", "OptimizedLSTMCell")),
    "haiku": (f"{_PEERS}.haiku", ()),
    "equinox": (f"{_PEERS}.equinox", ()),
    "keras": (f"{_PEERS}.keras", ()),
    "jax.experimental.rnn": (f"{_PEERS}.jax_rnn", ()),
    "lstm_jax rolled": (f"{_PEERS}.ours", ("xla", None, 0, True)),
}
OURS, TORCH = "lstm_jax", "torch"


# Packages that are not installed with us, and what installs them.
INSTALLED_BY = {"haiku": "dm-haiku", "equinox": "equinox", "keras": "keras"}


def build_with(maker: Maker) -> Build:
    """The function that builds the programs of a runner.

    Raises:
        Unsupported: If its library is not installed.
    """
    module, arguments = maker
    try:
        return import_module(module).builder(*arguments)
    except ModuleNotFoundError as error:
        install = f"pip install {INSTALLED_BY.get(error.name or '', error.name)}"
        raise Unsupported(f"{error.name} is not installed: {install}") from None
