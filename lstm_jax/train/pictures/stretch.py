"""A piece of a part that a reader can follow, and that is typical of the whole."""

from dataclasses import dataclass

import numpy as np

from lstm_jax.train.scores.metrics import rmse
from lstm_jax.train.scores.scored import Scored

MOST = 200  # predictions that a line over time can show
_FULL = 0.8  # of the known truths of the fullest stretch: less is no candidate
_HOLE = 1.5  # typical steps of time: from there on a line is broken


@dataclass(frozen=True)
class Stretch:
    """One group's predictions of one target and step, in the order of time.

    Attributes:
        times: The times predicted for, `(n,)`.
        truth: The target, NaN where it is missing, `(n,)`.
        last: The last known value, `(n,)`.
        bands: The predictions, `(n, Q)`.
        central: Those of them that are scored, `(n,)`.
        shown: Which of the n are drawn over time.
        title: Which group and which stretch it is, where there are several.
        ahead: How many rows ahead the predictions are, where there are several.
    """

    times: np.ndarray
    truth: np.ndarray
    last: np.ndarray
    bands: np.ndarray
    central: np.ndarray
    shown: slice
    title: str
    ahead: str

    def line(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times and values of the stretch, with NaN where a hole breaks the line."""
        times, values = self.times[self.shown], values[self.shown].astype(np.float64)
        if len(times) < 2:
            return times, values
        wide = np.diff(times) > _HOLE * np.median(np.diff(self.times))
        holes = 1 + np.flatnonzero(wide)
        return np.insert(times, holes, times[holes]), np.insert(values, holes, np.nan)


def typical(windows: Scored, bands: np.ndarray, central: int) -> Stretch:
    """The median group, and its stretch with an error close to the group's.

    Args:
        windows: The windows that are predicted.
        bands: Predictions of the first target at the last step, `(n, Q)`.
        central: Which of the Q is scored.
    """
    truth, groups = windows.truth(), windows.groups
    ahead = f" {truth.shape[1]} rows ahead" if truth.shape[1] > 1 else ""
    truth = truth[:, -1, 0]
    name, title = _median_group(bands[:, central], truth, groups)
    mine = np.flatnonzero(groups == name)
    times = windows.times_ahead()[mine, -1]
    mine, times = mine[order := np.argsort(times, kind="stable")], times[order]
    y, p = truth[mine], bands[mine]
    shown = _typical_part(p[:, central], y)
    if len(y) > MOST:
        title += f"{title and ', '}a typical stretch of {MOST} rows"
    held = times, y, windows.last()[mine, 0], p, p[:, central]
    return Stretch(*held, shown, title, ahead)


def _median_group(
    predicted: np.ndarray, truth: np.ndarray, groups: np.ndarray
) -> tuple[object, str]:
    """The group with the median error, and a title if there are several."""
    names = sorted(set(groups.tolist()), key=str)
    errors = {name: _error(predicted, truth, groups == name) for name in names}
    known = sorted(
        (name for name in names if np.isfinite(errors[name])),
        key=lambda name: (errors[name], str(name)),
    )
    name = known[(len(known) - 1) // 2] if known else names[0]
    if len(names) == 1:
        return name, ""
    return name, f"{name}, the median of {len(names)} groups by error"


def _error(predicted: np.ndarray, truth: np.ndarray, rows: np.ndarray | slice) -> float:
    """The RMSE of the finite predictions among these rows."""
    p, y = predicted[rows], truth[rows]
    return rmse(np.nan_to_num(p), np.where(np.isfinite(p), y, np.nan))


def _typical_part(predicted: np.ndarray, truth: np.ndarray) -> slice:
    """The stretch whose error is closest to the one of all, among those well known."""
    whole = _error(predicted, truth, slice(None))
    starts = range(0, max(len(truth) - MOST, 0) + 1, MOST)
    parts = [slice(start, start + MOST) for start in starts]
    known = [np.isfinite(truth[part]).sum() for part in parts]
    full = [
        part for part, n in zip(parts, known, strict=True) if n >= _FULL * max(known)
    ]
    off = [abs(_error(predicted, truth, part) - whole) for part in full]
    return full[int(np.argmin(np.where(np.isnan(off), np.inf, off)))]
