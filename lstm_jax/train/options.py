"""The options of `fit`, checked, and as a run's config holds them."""

import importlib.metadata
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_jax.train.loop.program import Program
from lstm_jax.train.loop.sources import fingerprint_of
from lstm_jax.train.loop.training import Ends, Reads
from lstm_jax.train.losses import LOSSES, Pinball
from lstm_jax.train.optimizers import clipped, make_optimizer
from lstm_jax.train.saved.folder import Folder, ReadFolder


@dataclass(frozen=True)
class Learning:
    """How a step changes the parameters."""

    loss: Any
    optimizer: Any
    rate: Any
    clip: float | None
    trainable: Any

    def recorded(self) -> dict[str, Any]:
        """The options as JSON holds them; a function is its name."""
        trainable = self.trainable
        if trainable is not None and not isinstance(trainable, str):
            trainable = list(trainable)
        return {
            "loss": _loss_name(self.loss),
            "optimizer": None if self.optimizer is None else "given",
            "rate": _name(self.rate) if callable(self.rate) else self.rate,
            "clip": self.clip,
            "trainable": trainable,
        }

    def program(self, network: Any, steps: int | None) -> Program:
        """What is compiled."""
        optimizer = self.optimizer
        if optimizer is None:
            if steps is None and not callable(self.rate):
                raise ValueError(
                    "fit: steps=None must be a number: `data` has no length, and the "
                    "rate falls to 0 over the steps. Use steps=1000, or an `optimizer`."
                )
            optimizer = make_optimizer(self.rate, steps)
        if not hasattr(optimizer, "init"):
            kind = type(optimizer).__name__
            raise TypeError(
                f"fit: optimizer must be one of optax, not {kind}: it has no `init`. "
                "Use optimizer=optax.adam(1e-3)."
            )
        return Program(network, read_loss(self.loss), clipped(optimizer, self.clip))


def read_loss(loss: Any) -> Callable[..., Any]:
    """A loss by its name, or one that is given."""
    if callable(loss):
        return loss
    if loss not in LOSSES:
        names = " or ".join(map(repr, LOSSES))
        raise ValueError(
            f"fit: loss={loss!r} must be {names}, or a function of predictions and "
            "targets. Use loss='squared_error', or loss=pinball((0.1, 0.5, 0.9))."
        )
    return LOSSES[loss]


def _loss_name(loss: Any) -> Any:
    if isinstance(loss, Pinball):
        return {"pinball": list(loss.quantiles)}
    return _name(loss) if callable(loss) else loss


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


@dataclass(frozen=True)
class Keeping:
    """Where a run is kept, and what is written of it."""

    folder: Any
    resume: bool
    fingerprint: str | None
    section: Any
    recipe: Any

    def place(self, model: Any, process: int = 0) -> Folder | None:
        """The folder, where there is one that this model can be kept in.

        Process 0 writes it.
        """
        if self.folder is None:
            if self.resume:
                raise ValueError(
                    "fit: folder=None must be a folder where resume=True: a run goes "
                    "on from its checkpoint. Use folder='run'."
                )
            return None
        if not hasattr(model, "save_pretrained"):
            raise TypeError(
                f"fit: model must have save_pretrained where `folder` is given, and "
                f"{type(model).__name__} has not. Use an LSTMModel, or folder=None."
            )
        kind = ReadFolder if process else Folder
        return kind(Path(self.folder))

    def written(self, options: dict[str, Any], reads: Reads) -> dict[str, Any]:
        """The section of the config."""
        mark = self.fingerprint or fingerprint_of(reads.train, reads.valid)
        own = {"options": options, "fingerprint": mark, "versions": _versions()}
        if self.recipe is not None:
            own["recipe"] = self.recipe.to_json()
        return {**(self.section or {}), **own}


def _versions() -> dict[str, str]:
    names = ("lstm-jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **found}


_USUAL = {"clip": 1.0, "minutes": 10, "rate": 1e-3}
_LEAST = {"batch": 1, "seed": 0, "epochs": 1, "steps": 1, "patience": 1, "truncate": 1}
_OPTIONAL = ("steps", "patience", "truncate")


def recorded_ends(ends: Ends) -> dict[str, Any]:
    """Those that make a run what it is: a clock's end is none."""
    return {"epochs": ends.epochs, "steps": ends.steps, "patience": ends.patience}


def check_options(numbers: dict[str, Any], learning: Learning, ends: Ends) -> None:
    """Refuse a number out of its range."""
    for name, value in {**numbers, **recorded_ends(ends)}.items():
        optional = name in _OPTIONAL
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (optional and value is None) and not (whole and value >= _LEAST[name]):
            raise ValueError(
                f"fit: {name}={value!r} must be a whole number from {_LEAST[name]} up"
                f"{', or None' if optional else ''}. Use {name}={_LEAST[name]} or more."
            )
    sizes = {"clip": learning.clip, "minutes": ends.minutes}
    if not callable(learning.rate):
        sizes["rate"] = learning.rate
    for name, value in sizes.items():
        if (value is None and name != "rate") or (value is not None and value > 0):
            continue
        raise ValueError(
            f"fit: {name}={value!r} must be above 0"
            f"{'' if name == 'rate' else ', or None'}. Use {name}={_USUAL[name]}."
        )


def given_functions(
    where: str, options: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Loss, optimizer and rate of a run: recorded, or given where none can be."""
    found = {}
    for name, value in given.items():
        recorded = options[name]
        if isinstance(recorded, dict):
            recorded = Pinball(tuple(recorded["pinball"]))
        function = isinstance(recorded, str) and recorded not in LOSSES
        if value is None and function:
            raise ValueError(
                f"{where}: {name} must be given: the run was begun with a function of "
                f"your own, {recorded}. Use {name}=..."
            )
        found[name] = recorded if value is None else value
    return found
