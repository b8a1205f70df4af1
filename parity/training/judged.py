"""How far a training is from torch's, how far it may be, and where they part.

The distance of a tensor after a step is the norm of its difference from torch's in
float64, divided by the largest norm that the tensor has had there so far; that of a
loss is relative to the loss. In float64 it may be 1e-10 at every step. In float32 it
may be twice the largest distance of torch's own float32, over the steps and over orders
of the rows of the batches, which give the same sums, rounded otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parity.judge.tensors import Array
from parity.judge.tolerance import eps_of
from parity.training.work import Run

LARGEST = 1e-10  # in float64
FACTOR = 2.0  # times torch's own float32


@dataclass(frozen=True)
class Distances:
    """How far a run is from another at each step: its loss, and each tensor, `(S,)`."""

    loss: Array
    tensors: dict[str, Array]

    @property
    def worst(self) -> Array:
        """The worst tensor of each step, `(S,)`."""
        return np.max(list(self.tensors.values()), axis=0)

    def farthest(self, step: int) -> str:
        """The tensor that is furthest off after a step."""
        return max(self.tensors, key=lambda name: self.tensors[name][step])


@dataclass(frozen=True)
class Budget:
    """How far losses and weights may be at any step."""

    loss: float
    weights: float


@dataclass(frozen=True)
class Parting:
    """The first step at which two trainings are too far apart.

    Attributes:
        step: Its number, from 1 on. Its loss is that before its update; the weights are
            those after it.
        of_loss: Whether the loss is too far off, and not only weights.
        tensor: The parameter that is furthest off after the step.
        distance: How far that is.
        loss: How far the loss is.
        budget: How far the weights may be.
    """

    step: int
    of_loss: bool
    tensor: str
    distance: float
    loss: float
    budget: float

    def sentence(self) -> str:
        """The step, and the parameter that is furthest off after it."""
        before = f", the loss {self.loss:.1e}" if self.of_loss else ""
        return (
            f"They part at step {self.step}: after it {self.tensor} is furthest off, "
            f"by {self.distance:.1e} (budget {self.budget:.1e}){before}."
        )


def distances(run: Run, exact: Run) -> Distances:
    """How far a run is from torch's in float64."""
    tensors = {}
    with np.errstate(over="ignore", invalid="ignore"):  # of a training that diverges
        for name, right in exact.weights.items():
            scale = np.maximum.accumulate(_norms(right))
            tensors[name] = _divided(_norms(run.weights[name] - right), scale)
        loss = _divided(np.abs(run.losses - exact.losses), np.abs(exact.losses))
    return Distances(loss, tensors)


def budget_of(dtype: str, torch: Sequence[Distances]) -> Budget:
    """How far a run in a type may be, where torch's own runs are so far."""
    if dtype == "float64":
        return Budget(LARGEST, LARGEST)
    least = eps_of(dtype)
    return Budget(
        FACTOR * max(least, *(far.loss.max() for far in torch)),
        FACTOR * max(least, *(far.worst.max() for far in torch)),
    )


def parting_of(far: Distances, budget: Budget) -> Parting | None:
    """Where a run parts from torch's; None where it never does."""
    of_loss, of_weights = far.loss > budget.loss, far.worst > budget.weights
    steps = np.flatnonzero(of_loss | of_weights)
    if not len(steps):
        return None
    at = int(steps[0])
    name = far.farthest(at)
    return Parting(
        step=at + 1,
        of_loss=bool(of_loss[at]),
        tensor=name,
        distance=float(far.tensors[name][at]),
        loss=float(far.loss[at]),
        budget=budget.weights,
    )


def _norms(array: Array) -> Array:
    return np.linalg.norm(array.reshape(len(array), -1), axis=1)


def _divided(far: Array, scale: Array) -> Array:
    """Relative to a scale; what is no number is infinitely far."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(far == 0, 0.0, far / scale)
    return np.where(np.isnan(found), np.inf, found)
