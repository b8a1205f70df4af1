"""How far torch's own trainings are apart: no other training can be nearer to them.

The rows of each batch come in other orders: the sums are the same, and round otherwise.
Where that would let a training fail, the first weights are a rounding off as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from parity.judge.tensors import Array
from parity.judge.tolerance import eps_of
from parity.training.judged import (
    LARGEST,
    Budget,
    Distances,
    Parting,
    budget_of,
    distances,
    parting_of,
)
from parity.training.recipe import Recipe
from parity.training.work import Run, Work, run_of

FEW, MANY = 5, 40  # trainings; many where few would let another one fail
NEAR = 16.0  # budgets: what is further off fails with many orders, too
# How far torch may be from its float64 where another training still passes, or fails.
PASSES = {"float64": LARGEST, "float32": 1e-3}
FAILS = {"float64": LARGEST / 20, "float32": 1e-4}


@dataclass
class Own:
    """Torch's trainings of a work in a type.

    Attributes:
        work: The model and its batches.
        recipe: Torch's optimizer.
        dtype: Of the weights.
        exact: The training in float64, with the rows as they are.
        first: The training in `dtype`, with the rows as they are.
        far: How far those in `dtype` are from `exact`, each rounded otherwise.
    """

    work: Work
    recipe: Recipe
    dtype: str
    exact: Run
    first: Run
    far: list[Distances] = field(default_factory=list)

    @property
    def budget(self) -> Budget:
        """How far a run may be."""
        return budget_of(self.dtype, self.far)

    def parting(self, far: Distances) -> Parting | None:
        """Where a run that is so far from `exact` parts from it; None where never.

        Raises:
            ValueError: If torch itself is as shaky.
        """
        found = parting_of(far, self.budget)
        if found is not None and self.dtype == "float64":
            self.far = _trained(self, MANY, found.step) + _narrow(self, found.step)
        elif found is not None and _most(far, self.budget) < NEAR:
            self.far = _trained(self, MANY, self.work.steps)
            found = parting_of(far, self.budget)
        self._refuse_shaky(None if found is None else found.step)
        return found

    def _refuse_shaky(self, parted: int | None) -> None:
        """Refuse what torch's own trainings part at, no later than a run does."""
        if not self.far:
            return
        furthest = np.max([(one.loss, one.worst) for one in self.far], axis=(0, 1))
        most = (PASSES if parted is None else FAILS)[self.dtype]
        shaky = np.flatnonzero(furthest > most)
        if not len(shaky) or (parted is not None and parted <= shaky[0]):
            return
        at = int(shaky[0])
        cure = f"steps={at}, or a smaller rate" if at else "a smaller rate, or eps=1e-8"
        raise ValueError(
            f"check_training: rate={self.recipe.rate:g} with steps={self.work.steps} "
            f"must be a steady training: at step {at + 1} torch's own roundings have "
            f"grown to {furthest[at]:.1e}, so that no training can be judged. Use "
            f"{cure}."
        )


def own_of(work: Work, recipe: Recipe, dtype: str) -> Own:
    """Torch's training in float64; in float32 a few more."""
    exact = _run(work, recipe, "float64", dtype)
    if dtype == "float64":
        return Own(work, recipe, dtype, exact, exact)
    runs = list(_runs(work, recipe, dtype, dtype, FEW))
    far = [distances(run, exact) for run in runs]
    return Own(work, recipe, dtype, exact, runs[0], far)


def _trained(
    own: Own, orders: int, steps: int, dtype: str | None = None
) -> list[Distances]:
    """How far the first steps of so many trainings are from `exact`."""
    dtype = dtype or own.dtype
    work = replace(own.work, xs=own.work.xs[:steps], ys=own.work.ys[:steps])
    weights = {name: array[:steps] for name, array in own.exact.weights.items()}
    exact = Run(own.exact.losses[:steps], own.exact.norms[:steps], weights)
    runs = _runs(work, own.recipe, dtype, own.dtype, orders)
    return [distances(run, exact) for run in runs]


def _runs(
    work: Work, recipe: Recipe, dtype: str, masks: str, count: int
) -> Iterator[Run]:
    """So many trainings that round otherwise; the first is the work as it is."""
    orders = _orders(work.xs.shape[1], count)
    for one, rows in zip(_nudged(work, dtype, count), orders, strict=True):
        yield _run(one, recipe, dtype, masks, rows)


def _nudged(work: Work, dtype: str, count: int) -> Iterator[Work]:
    """The work; after a few times each weight moved to the next number of a type."""
    rng = np.random.default_rng(1)
    for number in range(count):
        params = {name: a.astype(dtype) for name, a in work.params.items()}
        if number >= FEW:
            params = {
                name: np.nextafter(
                    a, rng.choice((-np.inf, np.inf), a.shape), dtype=dtype
                )
                for name, a in params.items()
            }
        yield replace(work, params=params)


def _narrow(own: Own, steps: int) -> list[Distances]:
    """How far float64 might be: as far as float32, whose roundings are 2**29 times its.

    These are the roundings of every operation; other orders make those of sums alone.
    """
    share = eps_of("float64") / eps_of("float32")
    return [
        Distances(share * far.loss, {n: share * a for n, a in far.tensors.items()})
        for far in _trained(own, MANY, steps, "float32")
    ]


def _run(
    work: Work, recipe: Recipe, dtype: str, masks: str, rows: Array | None = None
) -> Run:
    from parity.training.sides import torch as side

    return run_of(list(side.train(work, recipe, dtype, masks, rows)))


def _most(far: Distances, budget: Budget) -> float:
    """How many budgets a run is off at most."""
    with np.errstate(invalid="ignore"):  # of a training that diverges
        return max(far.loss.max() / budget.loss, far.worst.max() / budget.weights)


def _orders(rows: int, count: int) -> list[Array]:
    """Orders of the rows of a batch; the first is as they are."""
    rng = np.random.default_rng(0)
    return [np.arange(rows), *(rng.permutation(rows) for _ in range(count - 1))]
