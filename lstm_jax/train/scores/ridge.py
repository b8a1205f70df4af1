r"""Ridge regression on the very windows that a model is trained on.

Each output is a linear function of all features of all steps of a window, with an
intercept that is not penalised: for the penalty $\lambda$, the minimum over $b, a$ of

$$\sum_n w_n (y_n - x_n \cdot b - a)^2 + \lambda \lVert b \rVert^2$$

with the weights $w$ of the windows: 0 leaves a missing target out. It is solved in
closed form, in float64, and one eigendecomposition serves every penalty. Each output
has the penalty with the least error on the validation part.

Hoerl and Kennard, *Ridge regression*, 1970, doi:10.1080/00401706.1970.10488634.
"""

import os
from dataclasses import dataclass

import numpy as np

from lstm_jax.train.batch import Rows
from lstm_jax.train.scores.systems import CHUNK, System, chunks, size, systems, targets

MOST = 12_000  # unknowns of a system: its decomposition takes minutes
# Powers of ten of the penalties that are tried, in units of the largest eigenvalue.
_FIRST = np.arange(-7.0, 0.5, 0.5)
_WIDER = np.arange(0.5, 3.5, 0.5)
_REACH = -10.0, 6.0


@dataclass(frozen=True)
class Ridge:
    r"""A fitted ridge regression.

    Attributes:
        penalties: $\lambda$ of each output, chosen on the validation part, `(O,)`.
        coefficients: $b$ of each output, `(T * I, O)`.
        intercepts: $a$ of each output, `(O,)`; NaN for one that had no target.
    """

    penalties: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray

    def predict(self, rows: Rows) -> np.ndarray:
        """Outputs for each window, `(n, O)`, in the unit of the targets of the loss."""
        outputs = np.empty((len(rows), len(self.intercepts)))
        done = 0
        for xs, _ in chunks(rows, np.arange(len(rows))):
            outputs[done : done + len(xs)] = xs @ self.coefficients + self.intercepts
            done += len(xs)
        return outputs


def why_not(train: Rows, valid: Rows, memory: int | None = None) -> str:
    """Why the regression is not run; empty where it is.

    Args:
        train: Windows to fit.
        valid: Windows that choose the penalties.
        memory: Bytes that it may take; None means half of this machine's.
    """
    if not len(train) or not len(valid):
        return "a part has no windows"
    n, features = size(train)
    unknowns = min(n, features)
    if unknowns > MOST:
        return (
            f"{n:,} windows of {features:,} features are too many, one of both must "
            f"be at most {MOST:,}"
        )
    windows = 2 * n * features if n < features else 0
    needed = 8 * (5 * unknowns**2 + windows) + 4 * CHUNK
    if memory is None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if needed > memory:
        return f"it needs {needed / 2**30:.1f} GiB, and may take {memory / 2**30:.1f}"
    return ""


def fit_ridge(train: Rows, valid: Rows) -> Ridge:
    """Fit on the training part; choose the penalties on the validation part.

    Args:
        train: Windows to fit.
        valid: Windows that choose: for each output, the penalty with the least weighted
            squared error. The grid is half powers of ten, and is widened where the best
            is at its edge.

    Returns:
        The regression. An output without a target in `valid` has the largest penalty.

    Example:
        >>> from lstm_jax.train import Arrays
        >>> x = np.arange(8.0).reshape(8, 1, 1)
        >>> rows = Arrays(x, 2 * x[:, 0] + 1)
        >>> fit_ridge(rows, rows).predict(Arrays(x + 10, x[:, 0]))[0].round(6)
        array([21.])
    """
    features, outputs = size(train)[1], targets(train.take(np.arange(1)))[0].shape[1]
    penalties, intercepts = np.full((2, outputs), np.nan)
    coefficients = np.zeros((features, outputs))
    for system in systems(train):
        chosen = _choose(system, valid)
        b, a = system.solve(chosen[None])
        coefficients[:, system.columns], intercepts[system.columns] = b[:, 0], a[0]
        penalties[system.columns] = chosen
    return Ridge(penalties, coefficients, intercepts)


def _choose(system: System, valid: Rows) -> np.ndarray:
    """The penalty of each output, `(k,)`."""
    unit = max(float(system.values.max()), np.finfo(np.float64).tiny)
    powers, errors = _FIRST, errors_of(system, valid, unit * 10**_FIRST)
    while len(more := _outward(powers, errors)):
        found = errors_of(system, valid, unit * 10**more)
        order = np.argsort(np.concatenate([powers, more]))
        powers = np.concatenate([powers, more])[order]
        errors = np.concatenate([errors, found])[order]
    return unit * 10 ** powers[len(powers) - 1 - errors[::-1].argmin(axis=0)]


def _outward(powers: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Powers beyond an edge of the grid that is the best of some output; else none."""
    best = errors.argmin(axis=0)
    low, high = powers[0] - _WIDER, powers[-1] + _WIDER
    sides = [low] if (best == 0).any() and low.min() >= _REACH[0] else []
    if (best == len(powers) - 1).any() and high.max() <= _REACH[1]:
        sides.append(high)
    return np.concatenate([*sides, powers[:0]])


def errors_of(system: System, valid: Rows, penalties: np.ndarray) -> np.ndarray:
    """Weighted squared error on the validation part, `(L, k)`."""
    coefficients, intercepts = system.solve(penalties[:, None])
    errors = np.zeros(intercepts.shape)
    for xs, batch in chunks(valid, np.arange(len(valid))):
        ys, weights = (part[:, system.columns] for part in targets(batch))
        for place, intercept in enumerate(intercepts):
            off = xs @ coefficients[:, place] + intercept - ys
            errors[place] += (weights * off**2).sum(axis=0)
    return errors
