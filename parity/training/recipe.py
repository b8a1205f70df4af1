"""How a model is trained: torch's options, and what may be done in another way."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

_ADAMS = ("b1", "b2", "eps")
# The options of other optimizers.
_OTHERS = {"sgd": _ADAMS, "adam": ("momentum",), "adamw": ("momentum",)}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An optimizer of torch with its options; the fields after `clip` are torch's way.

    Attributes:
        optimizer: "sgd", "adam" or "adamw".
        rate: torch's `lr`.
        momentum: Of "sgd".
        b1: Of "adam" and "adamw".
        b2: Likewise.
        eps: Likewise.
        weight_decay: Coupled for "sgd" and "adam", decoupled for "adamw".
        clip: The largest global norm of the gradients; None means any.
        clipping: What is clipped: "norm", the gradients by their norm; "after", what
            the momentum or Adam makes of them; "updates", that by the rate; "each",
            each gradient by its own norm; "value", each number; "none", nothing.
        clip_eps: What is added to the norm.
        decay: "coupled" or "decoupled"; "first", coupled before the gradients are
            clipped; "none", no decay.
        decayed: What decays: "all", or only the "weights", not the biases.
        biases: 2, torch's two of each layer, or 1: their sum alone is trained.
        eps_place: "outside" the square root of Adam, or "inside" it.
        correction: Of Adam's moments: "exact", or "float32", as optax has it there.
        averaged: Whether the momentum is an average of gradients, not their sum.
        nesterov: Whether the momentum looks ahead.
        schedule: "constant", or "cosine" to 0 over the steps.
        loss: What the mean of the squared errors is multiplied by.
    """

    optimizer: str
    rate: float
    momentum: float = 0.0
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    clipping: str = "norm"
    clip_eps: float = 1e-6
    decay: str = "coupled"
    decayed: str = "all"
    biases: int = 2
    eps_place: str = "outside"
    correction: str = "exact"
    averaged: bool = False
    nesterov: bool = False
    schedule: str = "constant"
    loss: float = 1.0

    @property
    def torchs(self) -> "Recipe":
        """The recipe of torch with these options."""
        return torch_recipe(
            self.optimizer,
            self.rate,
            momentum=self.momentum,
            b1=self.b1,
            b2=self.b2,
            eps=self.eps,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )

    @property
    def adaptive(self) -> bool:
        """Whether it divides by the second moment."""
        return self.optimizer != "sgd"

    def text(self) -> str:
        """The options that are not zero, for a reader: `adam, rate 0.01, clip 1`."""
        names = ["rate", "momentum", "weight_decay", "clip"]
        names += ["eps"] * (self.adaptive and self.eps != Recipe.eps)
        given = [(name, getattr(self, name)) for name in names]
        shown = [f"{name.replace('_', ' ')} {v:g}" for name, v in given if v]
        return ", ".join([self.optimizer, *shown])


def torch_recipe(
    optimizer: str, rate: float, *, weight_decay: float | None = None, **options: Any
) -> Recipe:
    """The recipe of an optimizer of torch, with torch's default decay.

    Raises:
        ValueError: If the optimizer is unknown, has no such option, or a number is out
            of range.
        TypeError: If an option is no number.
    """
    if optimizer not in USUAL:
        raise ValueError(
            f"check_training: {optimizer=} must be one of {', '.join(USUAL)}: these "
            "optimizers of torch are compared. Use optimizer='adam'."
        )
    decoupled = optimizer == "adamw"
    usual = 0.01 if decoupled else 0.0
    decay = usual if weight_decay is None else weight_decay
    given = {
        "weight_decay": decay,
        **{n: v for n, v in options.items() if v is not None},
    }
    for name, value in {"rate": rate, **given}.items():
        _check_number(name, value)
        if name in _OTHERS[optimizer] and value != getattr(Recipe, name):
            raise ValueError(
                f"check_training: {name}={value!r} must not come with {optimizer=}: "
                "torch's takes none. Leave it out."
            )
    coupling = "decoupled" if decoupled else "coupled"
    return Recipe(optimizer=optimizer, rate=rate, decay=coupling, **given)


def _check_number(name: str, value: Any) -> None:
    cure = {"rate": 0.01, "clip": 1.0}.get(name, getattr(Recipe, name, 0.0))
    if not isinstance(value, Real):
        raise TypeError(
            f"check_training: {name} must be a number, not {type(value).__name__}: "
            f"torch's side trains by it. Use {name}={cure:g}."
        )
    value = float(value)
    below = ", and below 1" if name in ("b1", "b2") else ""
    if not value >= 0 or (below and value >= 1):
        raise ValueError(
            f"check_training: {name}={value!r} must be 0 or more{below}: torch "
            f"takes no other. Use {name}={cure:g}."
        )
    if value > 1e38 and (name, value) != ("clip", float("inf")):
        raise ValueError(
            f"check_training: {name}={value!r} must be 1e38 or less: float32 holds no "
            f"more. Use {name}={cure:g}."
        )


# What the command trains by: rates that someone would take for so small a model.
USUAL = {
    "sgd": {"rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4, "clip": 0.25},
    "adam": {"rate": 0.01, "weight_decay": 1e-4, "clip": 0.25},
    "adamw": {"rate": 0.01, "weight_decay": 1e-2, "clip": 0.25},
}


def usual(optimizer: str) -> Recipe:
    """The recipe that the command trains by."""
    return torch_recipe(optimizer, **USUAL[optimizer])
