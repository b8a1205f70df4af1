"""Why a training parts from torch's: the known mistakes that reproduce it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from parity.training.judged import Budget, Distances
from parity.training.mistakes import MISTAKES, Mistake, pairs
from parity.training.recipe import Recipe
from parity.training.sides import equations
from parity.training.work import Moment, Run, Work

# A mistake is named if it is within SLACK budgets of the wrong run at each step, and
# CLEARER times nearer to it than torch is; with it those that are up to ALIKE times as
# far. This decides nothing about what passes.
SLACK, CLEARER, ALIKE = 5.0, 4.0, 10.0
_TINY = 1e-300  # in place of zero
_SAME = 1e-13  # two trainings that are so near are the same
_BEFORE = (
    "The losses differ before the first update: the model, the batches or the loss are "
    "other ones. Use parity.check for the model."
)
_NEAR = (
    "A gradient of the first step is so near Adam's epsilon that rounding decides the "
    "step, in torch as well. Use float64, or another seed."
)
SMALLEST = 1e-7  # 10 times torch's epsilon


def near_epsilon(work: Work, recipe: Recipe, dtype: str) -> bool:
    """Whether a gradient of the first step is so small that its rounding decides.

    The first step of Adam divides a gradient by itself and epsilon.
    """
    if not recipe.adaptive or dtype == "float64":
        return False
    from parity.training.sides.torch import Trained

    weights = {name: a.astype(np.float64) for name, a in work.params.items()}
    _, found = Trained(work, "float64").gradients(0, dtype, weights)
    sizes = np.concatenate([np.abs(g).reshape(-1) for g in found.values()])
    return bool(((sizes > 0) & (sizes < SMALLEST)).any())


@dataclass(frozen=True)
class Parted:
    """A training that parts from torch's.

    Attributes:
        work: The model and its batches.
        recipe: The right recipe.
        dtype: Of the run.
        run: What was trained.
        far: How far it is from torch's in float64.
        budget: How far it might be.
    """

    work: Work
    recipe: Recipe
    dtype: str
    run: Run
    far: Distances
    budget: Budget


def advice(parted: Parted) -> tuple[list[str], list[str]]:
    """The names of the mistakes that reproduce a training, and what to say of it."""
    recipe, dtype = parted.recipe, parted.dtype
    able = (mistake for mistake in MISTAKES if mistake.applies(recipe, dtype))
    for tried in (able, pairs(recipe, dtype)):
        near = _nearest(parted, tried)
        if near:
            return [mistake.name for mistake in near], [_said(near)]
    if parted.far.loss[0] > parted.budget.loss:
        return [], [_BEFORE]
    if near_epsilon(parted.work, recipe, dtype):
        return [], [_NEAR]
    return [], [f"None of the {len(MISTAKES)} known mistakes, nor two, reproduce it."]


def _nearest(parted: Parted, mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Those whose numbers are nearest to the run's, if they are near enough."""
    from parity.training.sides.torch import Trained

    trained = Trained(parted.work, "float64")
    most = max(parted.far.loss.max(), parted.far.worst.max()) / CLEARER
    found: list[tuple[float, Mistake]] = []
    for mistake in mistakes:
        changed = mistake.changed(parted.recipe)
        moments = equations.train(trained, changed, parted.dtype)
        error = _reproduces(moments, parted.run, parted.budget)
        if error < most:
            found.append((error, mistake))
    nearest = min((error for error, _ in found), default=0.0)
    return [m for error, m in found if error <= ALIKE * max(nearest, _SAME)]


def _said(near: list[Mistake]) -> str:
    if len(near) == 1:
        return near[0].says
    said = " Or: ".join(mistake.says for mistake in near)
    return f"{len(near)} mistakes give the same numbers here. {said}"


def _reproduces(moments: Iterator[Moment], run: Run, budget: Budget) -> float:
    """How far a simulated training is from a run at most; infinite once it parts."""
    scale: dict[str, float] = {}
    worst = 0.0
    for step, moment in enumerate(moments):
        loss = abs(moment.loss - run.losses[step]) / max(abs(moment.loss), _TINY)
        weights = 0.0
        for name, array in moment.weights.items():
            norm = float(np.linalg.norm(array))
            scale[name] = max(scale.get(name, _TINY), norm)
            far = float(np.linalg.norm(array - run.weights[name][step]))
            weights = max(weights, far / scale[name])
        if not (loss <= SLACK * budget.loss and weights <= SLACK * budget.weights):
            return np.inf
        worst = max(worst, loss, weights)
    return worst
