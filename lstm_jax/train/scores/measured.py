"""Every score of every row: over all windows, for each group, for each step ahead."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.train.scores import bands, metrics
from lstm_jax.train.scores.baselines import MEAN, PERSISTENCE, RIDGE, SEASONAL
from lstm_jax.train.scores.scored import Scored

MODEL = "model"
ROWS = (MODEL, PERSISTENCE, SEASONAL, MEAN, RIDGE)


class Line(NamedTuple):
    """The scores of one row of the table, NaN where one is undefined.

    Attributes:
        target: Name of the target.
        row: "model", or the name of a baseline.
        group: Name of the group; None for all together.
        step: Steps ahead, from 1; None for all together.
        known: Truths that are known.
        scored: Those of them that the row predicts something for.
        rmse: Of the row, as all that follow.
        mae: See `metrics`.
        skill: See `metrics`.
        nse: See `metrics`.
        kge: See `metrics`.
        mase: See `metrics`; each group is scaled by its own error in training.
        model_rmse: The model's on the truths that the row is scored on.
    """

    target: str
    row: str
    group: str | None
    step: int | None
    known: int
    scored: int
    rmse: float
    mae: float
    skill: float
    nse: float
    kge: float
    mase: float
    model_rmse: float


class Spread(NamedTuple):
    """How well the quantiles of one target spread.

    Attributes:
        target: Name of the target.
        pinball: Pinball loss, the mean over the quantiles.
        coverage: Share of truths from the first quantile to the last.
        should: The share that these two promise.
        below: For each level, the share of truths at or below its quantile.
    """

    target: str
    pinball: float
    coverage: float
    should: float
    below: dict[float, float]


@dataclass(frozen=True)
class Measured:
    """What `Scores` holds; its text is written of it."""

    part: str
    horizon: int
    targets: tuple[str, ...]
    notes: Mapping[str, str]
    lines: tuple[Line, ...]
    spreads: tuple[Spread, ...] = ()

    def over_all(self, target: str) -> dict[str, Line]:
        """The line of each row over all groups and steps."""
        held = [line for line in self.lines if line.target == target]
        return {x.row: x for x in held if x.group is None and x.step is None}

    def by_group(self, target: str) -> dict[str, dict[str, Line]]:
        """The line of each row, for each group; empty where there is one group."""
        found: dict[str, dict[str, Line]] = {}
        for line in self.lines:
            if line.target == target and line.group is not None:
                found.setdefault(line.group, {})[line.row] = line
        return found

    def by_step(self, target: str) -> dict[int, dict[str, Line]]:
        """The line of each row, for each step ahead; empty where there is one step."""
        found: dict[int, dict[str, Line]] = {}
        for line in self.lines:
            if line.target == target and line.step is not None:
                found.setdefault(line.step, {})[line.row] = line
        return found


def measure(
    windows: Scored,
    predicted: Mapping[str, np.ndarray],
    naive: np.ndarray,
    targets: Sequence[str],
) -> Iterator[Line]:
    """A line for each target, row, group and step ahead.

    Args:
        windows: The part that is scored.
        predicted: Of the model and of each baseline that is run, predictions in the
            shape of the truth, `(n, horizon', targets)`. A baseline may have NaN, and
            is scored on the rest.
        naive: The error that scales MASE, of each window and target, `(n, targets)`.
        targets: Names of the targets.
    """
    truth = windows.truth()
    naive = np.broadcast_to(naive[:, None], truth.shape)
    cuts = list(_cuts(windows.groups, truth.shape[1]))
    for number, target in enumerate(targets):
        held = {name: values[..., number] for name, values in predicted.items()}
        for group, step, rows, steps in cuts:
            ps = {name: values[rows][:, steps] for name, values in held.items()}
            y, q = (part[rows][:, steps, number] for part in (truth, naive))
            for name, numbers in _rows(ps, y, q):
                yield Line(target, name, group, step, **numbers)


def _cuts(groups: np.ndarray, steps: int) -> Iterator[tuple[Any, ...]]:
    """All windows and steps; each group where there are several; each step likewise."""
    every = slice(None)
    yield None, None, every, every
    names, numbers = np.unique(groups.astype(str), return_inverse=True)
    for number, name in enumerate(names if len(names) > 1 else ()):
        yield str(name), None, np.flatnonzero(numbers == number), every
    for step in range(steps if steps > 1 else 0):
        yield None, step + 1, every, slice(step, step + 1)


def _rows(
    predicted: Mapping[str, np.ndarray], truth: np.ndarray, naive: np.ndarray
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row's scores on these truths, less those that it predicts nothing for."""
    model, last = predicted[MODEL], predicted[PERSISTENCE]
    scale = np.where(naive > 0, naive, np.nan)
    plain = (metrics.rmse, metrics.mae, metrics.nse, metrics.kge)
    for name, p in predicted.items():
        y = truth if name == MODEL else np.where(np.isnan(p), np.nan, truth)
        counts = {"known": _known(truth), "scored": _known(y)}
        found = {score.__name__: score(p, y) for score in plain}
        found["skill"] = metrics.skill(p, y, last)
        found["mase"] = metrics.mase(p / scale, y / scale, 1.0)
        yield name, {**counts, **found, "model_rmse": metrics.rmse(model, y)}


def _known(truth: np.ndarray) -> int:
    return int((~np.isnan(truth)).sum())


def naive_errors(train: Scored, groups: np.ndarray, period: int) -> np.ndarray:
    """The seasonal naive's mean absolute error in the training part of each group.

    Returns:
        Of one step ahead, `(n, targets)` for the groups of n windows; NaN for a group
        without a training part.
    """
    rows = train.by_row()
    own, truth, past = rows.groups, rows.truth()[:, 0], rows.past(period)[:, 0]
    found = np.full((len(groups), truth.shape[1]), np.nan)
    for name in set(groups.tolist()):
        mine, windows = own == name, groups == name
        for target in range(truth.shape[1]):
            p, y = past[mine, target], truth[mine, target]
            known = ~np.isnan(p)
            found[windows, target] = metrics.mae(p[known], y[known])
    return found


def measure_spread(
    truth: np.ndarray,
    predicted: np.ndarray,
    levels: tuple[float, ...],
    targets: Sequence[str],
) -> Iterator[Spread]:
    """How the quantiles of each target spread.

    Args:
        truth: `(n, horizon', targets)`.
        predicted: `(n, horizon', targets, Q)`.
        levels: The quantiles, growing.
        targets: Names of the targets.
    """
    for number, target in enumerate(targets if levels else ()):
        y, qs = truth[..., number], predicted[..., number, :]
        known = ~np.isnan(y)
        shares = [_share(y[known] <= q[known]) for q in np.moveaxis(qs, -1, 0)]
        loss, share = bands.pinball(qs, y, levels), bands.coverage(qs, y)
        below = dict(zip(levels, shares, strict=True))
        yield Spread(target, loss, share, levels[-1] - levels[0], below)


def _share(held: np.ndarray) -> float:
    return float(held.mean()) if held.size else float("nan")
