"""The function that is checked, and what JAX runs it under."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax

import lstm_jax
from parity.judge.tensors import Run
from parity.judge.watch import Tell, silent
from parity.verify.compared import Compared

# Called with each comparison that is done.
Keep = Callable[[Compared], None]


def forget(compared: Compared) -> None:
    """Keep nothing."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The function that is checked, and what JAX runs it under; see `check`."""

    run: Run = lstm_jax.lstm
    precision: str = "highest"
    device: Any = None
    tell: Tell = silent
    keep: Keep = forget

    @contextmanager
    def held(self) -> Iterator[None]:
        """Run a block at this precision and on this device."""
        with (
            jax.default_matmul_precision(self.precision),
            jax.default_device(self.device),
        ):
            yield

    def facts(self) -> dict[str, Any]:
        """What the numbers depend on."""
        return {
            "precision": self.precision,
            "device": (self.device or jax.devices()[0]).device_kind,
            "jax": jax.__version__,
        }
