"""The scales of the targets: over all groups, or one for each group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_jax.train.table.columns.missing import last_known
from lstm_jax.train.table.notes import Notes, listed
from lstm_jax.train.table.standardizer import Standardizer
from lstm_jax.train.table.times.steps import Segments, Series


@dataclass(frozen=True, eq=False)
class Scales:
    """How the targets of each group are scaled.

    Attributes:
        groups: The groups that have scales of their own; none where all share one.
        mean: Mean of each target in the training rows, `(G, targets)`; G is 1 where
            all groups share it.
        std: Standard deviation of each target, `(G, targets)`.
        spread: The root of the mean squared change from the last known value to a
            predicted step, `(G, targets)`: what a predicted change of 1 stands for.
    """

    groups: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    spread: np.ndarray

    def rows_of(self, notes: Notes, series: Series) -> np.ndarray:
        """Which row of the scales each row of a series takes, `(N,)`.

        Raises:
            ValueError: If a group has no scale, since training did not see it.
        """
        if not self.groups:
            return np.zeros(len(series.rows), np.int64)
        if unseen := [name for name in series.names if name not in self.groups]:
            raise notes.wrong(
                f"group={listed(unseen)} must be in the training part: each group has "
                "a scale of its own. Train with scale='all' to predict other groups."
            )
        places = {name: k for k, name in enumerate(self.groups)}
        return np.array([places[name] for name in series.names])[series.group]

    def to_json(self) -> dict[str, Any]:
        """The scales as `json.dump` writes them."""
        arrays = ("mean", "std", "spread")
        held = {name: getattr(self, name).tolist() for name in arrays}
        return {"groups": list(self.groups), **held}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Scales":
        """The scales that `to_json` wrote."""
        arrays = ("mean", "std", "spread")
        read = (np.array(held[name], np.float64) for name in arrays)
        return cls(tuple(held["groups"]), *read)


def choose_shared(
    notes: Notes, series: Series, training: np.ndarray, scale: str | None
) -> bool:
    """Whether all groups share a scale; if not asked, only where they must.

    Raises:
        ValueError: If `scale` is "group" and a group has no training row.
    """
    if scale == "all" or series.names == ("",):
        if scale == "group":
            raise notes.wrong(
                "scale='group' must come with group=: a scale for each group needs "
                "groups. Name the column of groups, or leave scale out."
            )
        return True
    counts = np.bincount(series.group[training], minlength=len(series.names))
    unseen = [name for name, n in zip(series.names, counts, strict=True) if not n]
    if not unseen:
        return False
    if scale == "group":
        raise notes.wrong(
            "scale='group' must find training rows in every group: there are none in "
            f"{listed(unseen)}. Use scale='all'."
        )
    notes.say(
        "The target has one scale over all groups, since there are no training rows "
        f"in {listed(unseen)}."
    )
    return True


def fit_scales(
    series: Series,
    segments: Segments,
    targets: np.ndarray,
    training: np.ndarray,
    shared: bool,
    horizon: int,
) -> Scales:
    """The scales of the targets `(N, targets)`, by the training rows only."""
    within = np.where(training[:, None], targets, np.nan)
    changes = _changes(series, segments, within, horizon)
    over_all = _moments(within, changes.sum(1), None)
    if shared:
        mean, std, spread = (held[None] for held in over_all)
        return Scales((), mean, std, spread)
    found = []
    for k in range(len(series.names)):
        mine = within[series.group == k]
        found.append(_moments(mine, changes[:, k], over_all))
    mean, std, spread = (np.array(column) for column in zip(*found, strict=True))
    return Scales(series.names, mean, std, spread)


def _changes(
    series: Series, segments: Segments, targets: np.ndarray, horizon: int
) -> np.ndarray:
    """Squared changes from the last known value: sum, count; `(2, G, targets)`."""
    known = np.stack([last_known(y, segments) for y in targets.T], axis=1)
    rows, count = np.arange(len(targets)), len(series.names)
    sums = np.zeros((count, targets.shape[1]))
    counts = np.zeros_like(sums)
    for k in range(1, max(horizon, 1) + 1):
        here = rows[rows + k <= segments.last]
        square = (targets[here + k] - known[here]) ** 2
        for column, held in enumerate(square.T):
            there = ~np.isnan(held)
            group = series.group[here[there]]
            sums[:, column] += np.bincount(group, held[there], minlength=count)
            counts[:, column] += np.bincount(group, minlength=count)
    return np.stack([sums, counts])


Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


def _moments(
    values: np.ndarray, changes: np.ndarray, instead: Moments | None
) -> Moments:
    """Mean, deviation and spread of each target.

    Where a group's target is unknown or does not change, those of all groups count.
    """
    mean, std = np.zeros((2, values.shape[1]))
    for k, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if known.size:
            fitted = Standardizer.fit(known[:, None])
            mean[k] = fitted.mean[0]
            std[k] = fitted.std[0] if known.min() < known.max() else 0.0
        elif instead is not None:
            mean[k] = instead[0][k]
    _, stds, spreads = (mean, std, std) if instead is None else instead
    spread = np.sqrt(changes[0] / np.maximum(changes[1], 1))
    return mean, np.where(std > 0, std, stds), np.where(spread > 0, spread, spreads)
