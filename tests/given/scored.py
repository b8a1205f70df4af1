"""Windows over plain series, with what scores ask of them: made by hand."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lstm_jax.train import Batch

DAY = 86_400_000_000  # microseconds


class Plan(NamedTuple):
    """What all windows of a dataset share."""

    series: dict[str, np.ndarray]  # of each group, (T, targets), NaN where missing
    window: int = 3
    horizon: int = 1
    step: int | None = DAY
    dated: bool = True
    mean: float = 0.0
    scale: float = 1.0
    change: bool = True
    targets: tuple[str, ...] = ("flow",)


class Roles(NamedTuple):
    target: tuple[str, ...]


class Recipe(NamedTuple):
    horizon: int
    step: int | None
    roles: Roles
    feature_names: tuple[str, ...]


@dataclass(frozen=True)
class Hand:
    """Windows that end at rows of the groups: `ends` has (group, row)."""

    plan: Plan
    ends: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def groups(self) -> np.ndarray:
        return np.array([group for group, _ in self.ends], object)

    @property
    def times(self) -> np.ndarray:
        rows = np.array([row for _, row in self.ends], np.int64)
        if not self.plan.dated:
            return rows
        return np.datetime64("2020-01-01", "us") + rows * np.timedelta64(1, "D")

    def times_ahead(self) -> np.ndarray:
        day = np.timedelta64(1, "D") if self.plan.dated else 1
        return self.times[:, None] + np.array(self._steps()) * day

    def take(self, rows: np.ndarray) -> Batch:
        window = self.plan.window
        held = [self.ends[row] for row in rows]
        some = Hand(self.plan, tuple(held))
        xs = [self.plan.series[g][t - window + 1 : t + 1] for g, t in held]
        shape = (len(rows), window, self._targets())
        ys = (some.truth() - some._base()) / self.plan.scale
        ys = ys.reshape(len(rows), -1)
        known = ~np.isnan(ys)
        filled = np.nan_to_num(np.array(xs, np.float32).reshape(shape))
        arrays = filled, np.where(known, ys, 0.0), known
        return Batch(*(array.astype(np.float32) for array in arrays))

    def truth(self) -> np.ndarray:
        return self._at(lambda row, step: row + step)

    def last(self) -> np.ndarray:
        first = min(self._steps())
        found = np.full((len(self), self._targets()), np.nan)
        for k, (group, row) in enumerate(self.ends):
            for target, values in enumerate(self.plan.series[group][: row + first].T):
                known = values[~np.isnan(values)]
                found[k, target] = known[-1] if len(known) else np.nan
        return found

    def past(self, period: int) -> np.ndarray:
        def whence(row: int, step: int) -> int:
            return row + step - period * max(-(-step // period), 1)

        return self._at(whence)

    def by_row(self) -> "Hand":
        reach = range(1 - self.plan.window, self.plan.horizon + 1)
        held = {(group, row + k) for group, row in self.ends for k in reach}
        return Hand(self.plan._replace(window=1, horizon=0), tuple(sorted(held)))

    def unscaled(self, outputs: np.ndarray) -> np.ndarray:
        sizes = len(self), len(self._steps()), self._targets()
        held = outputs.astype(np.float64).reshape(*sizes, *outputs.shape[2:])
        base = self._base().reshape(len(self), 1, -1, *[1] * (outputs.ndim - 2))
        return base + held * self.plan.scale

    def _base(self) -> np.ndarray:
        level = np.full((len(self), 1, self._targets()), self.plan.mean)
        return self.last()[:, None] if self.plan.change else level

    def _steps(self) -> list[int]:
        return list(range(1, self.plan.horizon + 1)) or [0]

    def _targets(self) -> int:
        return next(iter(self.plan.series.values())).shape[1]

    def _at(self, place) -> np.ndarray:
        found = np.full((len(self), len(self._steps()), self._targets()), np.nan)
        for k, (group, row) in enumerate(self.ends):
            for j, step in enumerate(self._steps()):
                values, at = self.plan.series[group], place(row, step)
                if 0 <= at < len(values):
                    found[k, j] = values[at]
        return found


class Parts(NamedTuple):
    """A dataset as scores read it."""

    train: Hand
    valid: Hand
    test: Hand
    recipe: Recipe


def parts(plan: Plan, first: int, second: int) -> Parts:
    """Rows before `first` train, those before `second` validate, the rest test."""
    held: tuple[list[tuple[str, int]], ...] = ([], [], [])
    for group, values in plan.series.items():
        for row in range(plan.window - 1, len(values) - plan.horizon):
            target = row + min(plan.horizon, 1), row + plan.horizon
            part = [(place >= first) + (place >= second) for place in target]
            if part[0] == part[1]:
                held[part[0]].append((group, row))
    train, valid, test = (Hand(plan, tuple(ends)) for ends in held)
    features = plan.targets if plan.change else ("rain",)
    recipe = Recipe(plan.horizon, plan.step, Roles(plan.targets), features)
    return Parts(train, valid, test, recipe)
