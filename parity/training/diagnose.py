"""Why a training parts from torch's: the known mistakes that reproduce it."""

from collections.abc import Iterator

import numpy as np

from parity.training.judged import Budget, Distances, Parting
from parity.training.mistakes import MISTAKES, Mistake
from parity.training.recipe import Recipe
from parity.training.sides import equations
from parity.training.work import Moment, Run, Work

# A mistake is named if it is within SLACK budgets of the wrong run at each step, and
# CLEARER times nearer to it than torch is. This decides nothing about what passes.
SLACK, CLEARER = 5.0, 10.0
_TINY = 1e-300  # in place of zero
_BEFORE = (
    "The losses differ before the first update: the model, the batches or the loss are "
    "other ones. Use parity.check for the model."
)
_NEAR = (
    "A gradient of the first step is so near Adam's epsilon that rounding decides the "
    "step, in torch as well. Use float64, or another seed."
)
SMALLEST = 3e-7  # 30 times torch's epsilon


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


def advice(
    work: Work, recipe: Recipe, dtype: str, run: Run, far: Distances, budget: Budget
) -> tuple[list[str], list[str]]:
    """The names of the mistakes that reproduce a run, and sentences for a reader.

    Args:
        work: The model and its batches.
        recipe: The right recipe.
        dtype: Of the run.
        run: What was trained.
        far: How far it is from torch's in float64.
        budget: How far it might be.
    """
    worst = max(far.loss.max(), far.worst.max())
    found: list[tuple[float, Mistake]] = []
    for mistake in MISTAKES:
        if mistake.applies(recipe, dtype):
            moments = equations.train(work, mistake.changed(recipe), dtype)
            error = _reproduces(moments, run, budget)
            if error * CLEARER < worst:
                found.append((error, mistake))
    if found:
        nearest = min(error for error, _ in found)
        near = [m for error, m in found if error <= CLEARER * max(nearest, 1e-12)]
        return [m.name for m in near], [_said(near)]
    if near_epsilon(work, recipe, dtype):
        return [], [_NEAR]
    if far.loss[0] > budget.loss:
        return [], [_BEFORE]
    return [], [f"None of the {len(MISTAKES)} known mistakes reproduces it."]


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


def place(parting: Parting) -> str:
    """The first step at which they part, and the parameter that is furthest off."""
    before = f", the loss {parting.loss:.1e}" if parting.of_loss else ""
    return (
        f"They part at step {parting.step}: after it {parting.tensor} is furthest off, "
        f"by {parting.distance:.1e} (budget {parting.budget:.1e}){before}."
    )
