"""What a comparison of two trainings found."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lstm_jax.terminal import jsonable
from parity.report.rows import FAIL, OK
from parity.training.judged import Budget, Distances, Parting
from parity.training.recipe import Recipe
from parity.training.work import Run


@dataclass(frozen=True)
class TrainingReport:
    """A model trained in JAX beside torch: how far apart they are at each step.

    Attributes:
        title: What was trained: optimizer, model and type.
        dtype: Of the weights.
        recipe: The optimizer of torch, with its options.
        ours: Losses, norms and weights of JAX.
        exact: Those of torch in float64.
        torch: Those of torch in `dtype`.
        far: How far ours is from `exact`.
        torch_far: How far torch's is, in `dtype`.
        budget: How far ours may be.
        parting: Where they part; None where they never do.
        mistakes: Names of the known mistakes that reproduce ours, where they part.
        advice: Sentences about it.
    """

    title: str
    dtype: str
    recipe: Recipe
    ours: Run = field(repr=False)
    exact: Run = field(repr=False)
    torch: Run = field(repr=False)
    far: Distances = field(repr=False)
    torch_far: Distances = field(repr=False)
    budget: Budget = field(repr=False)
    parting: Parting | None = None
    mistakes: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every loss and every weight of every step is within the budget."""
        return self.parting is None

    @property
    def verdict(self) -> str:
        """One of "ok" and "FAIL"."""
        return OK if self.ok else FAIL

    @property
    def steps(self) -> int:
        """How many steps were trained."""
        return len(self.ours.losses)

    @property
    def clipped(self) -> int:
        """How many of torch's steps had gradients above the limit."""
        most = np.inf if self.recipe.clip is None else self.recipe.clip
        return int((self.exact.norms > most).sum())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the weights, as plain values."""
        return {
            "title": self.title,
            "ok": self.ok,
            "verdict": self.verdict,
            "dtype": self.dtype,
            "recipe": asdict(self.recipe),
            "steps": self.steps,
            "clipped": self.clipped,
            "parting": None if self.parting is None else asdict(self.parting),
            "mistakes": self.mistakes,
            "advice": self.advice,
            "losses": {
                "jax": _list(self.ours.losses),
                "torch": _list(self.torch.losses),
            },
            "loss_distance": _list(self.far.loss),
            "weights_distance": _list(self.far.worst),
            "torch_weights_distance": _list(self.torch_far.worst),
            "furthest": {n: float(d.max()) for n, d in self.far.tensors.items()},
        }

    def to_json(self) -> str:
        """`to_dict` as JSON; a number that is not finite is a string."""
        return json.dumps(jsonable(self.to_dict()), indent=1)

    def messages(self) -> list[str]:
        """The verdict in sentences."""
        if self.parting is None:
            far = f"the furthest weight is {self.far.worst.max():.1e} off"
            return [f"ok: all {self.steps} steps are torch's; {far}."]
        return [f"FAIL: {self.parting.sentence()}", *self.advice]

    def __str__(self) -> str:
        return "\n".join([self.title, self.recipe.text(), *self.messages()])


def _list(array: Any) -> list[float]:
    return [float(value) for value in array]
