"""The linear systems of a ridge regression, each in the basis that makes it diagonal.

Outputs with the same column of weights share a system. With fewer features than windows
its matrix is the Gram matrix of the features, summed over chunks of windows; else the
one of the windows, which has the same eigenvalues.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lstm_jax.train.batch import Batch, Rows

CHUNK = 2**25  # bytes of float64 features held at a time: 32 MiB


class System(NamedTuple):
    """What gives the coefficients of `k` outputs for every penalty.

    Attributes:
        columns: The outputs, `(k,)`.
        basis: `(features, m)`.
        values: Eigenvalues, `(m,)`.
        right: The right sides in the basis, `(m, k)`.
        centre: Weighted mean of the features, `(features,)`.
        mean: Weighted mean of each target, `(k,)`.
    """

    columns: np.ndarray
    basis: np.ndarray
    values: np.ndarray
    right: np.ndarray
    centre: np.ndarray
    mean: np.ndarray

    def solve(self, penalties: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients `(features, L, k)` and intercepts `(L, k)`.

        Args:
            penalties: `(L, 1)`, the same for all outputs, or `(1, k)`, one for each.
        """
        scaled = self.right[:, None] / (self.values[:, None, None] + penalties)
        coefficients = np.tensordot(self.basis, scaled, 1)
        return coefficients, self.mean - np.tensordot(self.centre, coefficients, 1)


class _Sums(NamedTuple):
    """Sums over all windows, of features less their plain mean `shift`."""

    shift: np.ndarray  # (features,)
    ys: np.ndarray  # (n, O), 0 where the weight is 0
    weights: np.ndarray  # (n, O)
    gram: np.ndarray  # (features, features), each window weighing 1
    features: np.ndarray  # (features, O), weighted
    products: np.ndarray  # (features, O), weighted, times the target


def size(rows: Rows) -> tuple[int, int]:
    """How many windows and features there are."""
    return len(rows), rows.take(np.arange(1)).xs[0].size


def chunks(rows: Rows, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, Batch]]:
    """The features of these windows, `(some, features)` in float64, and their batch."""
    if not len(numbers):
        return
    one = rows.take(numbers[:1])
    step = max(1, CHUNK // (8 * max(one.xs.size, one.ys.size, 1)))
    for start in range(0, len(numbers), step):
        batch = rows.take(numbers[start : start + step])
        yield batch.xs.reshape(len(batch.xs), -1).astype(np.float64), batch


def targets(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights in float64, `(some, O)`; targets that weigh nothing are 0."""
    ys = batch.ys.reshape(len(batch.ys), -1).astype(np.float64)
    given = 1.0 if batch.weights is None else batch.weights.astype(np.float64)
    weights = np.broadcast_to(given, batch.ys.shape).reshape(ys.shape)
    return np.where(weights == 0, 0.0, ys), weights


def systems(rows: Rows) -> Iterator[System]:
    """One system for each distinct column of weights."""
    n, features = size(rows)
    if n < features:
        yield from _of_windows(rows)
    else:
        yield from _of_features(rows)


def _of_features(rows: Rows) -> Iterator[System]:
    sums = _sum(rows)
    for columns, weights in _distinct(sums.weights):
        total = weights.sum()
        centre = sums.features[:, columns[0]] / total
        mean = weights @ sums.ys[:, columns] / total
        gram = _weighted_gram(rows, sums, weights)
        gram -= total * np.outer(centre, centre)
        sides = sums.products[:, columns] - total * np.outer(centre, mean)
        values, basis = np.linalg.eigh(gram)
        right = basis.T @ sides
        held = basis, np.maximum(values, 0), right, centre + sums.shift, mean
        yield System(columns, *held)


def _sum(rows: Rows) -> _Sums:
    n, features = size(rows)
    numbers = np.arange(n)
    shift = sum(xs.sum(axis=0) for xs, _ in chunks(rows, numbers)) / n
    gram = np.zeros((features, features))
    sums, products, held = 0.0, 0.0, []
    for xs, batch in chunks(rows, numbers):
        ys, weights = targets(batch)
        centred = xs - shift
        gram += centred.T @ centred
        sums = sums + centred.T @ weights
        products = products + centred.T @ (weights * ys)
        held.append((ys, weights))
    all_ys, all_weights = (np.concatenate(part) for part in zip(*held, strict=True))
    return _Sums(
        np.asarray(shift), all_ys, all_weights, gram, *map(np.asarray, (sums, products))
    )


def _weighted_gram(rows: Rows, sums: _Sums, weights: np.ndarray) -> np.ndarray:
    """The Gram matrix under these weights, from the fewer windows that tell it."""
    by_all = np.count_nonzero(weights != 1) <= np.count_nonzero(weights)
    gram = sums.gram.copy() if by_all else np.zeros_like(sums.gram)
    counts = weights - 1 if by_all else weights
    numbers = np.flatnonzero(counts)
    done = 0
    for xs, _ in chunks(rows, numbers):
        centred = xs - sums.shift
        part = counts[numbers[done : done + len(xs)], None]
        gram += (centred * part).T @ centred
        done += len(xs)
    return gram


def _of_windows(rows: Rows) -> Iterator[System]:
    numbers = np.arange(len(rows))
    held = [(xs, *targets(batch)) for xs, batch in chunks(rows, numbers)]
    xs, ys, all_weights = (np.concatenate(part) for part in zip(*held, strict=True))
    for columns, column in _distinct(all_weights):
        known = np.flatnonzero(column)
        weights, total = column[known], column.sum()
        root = np.sqrt(weights)[:, None]
        centre = weights @ xs[known] / total
        mean = weights @ ys[np.ix_(known, columns)] / total
        centred = root * (xs[known] - centre)
        values, basis = np.linalg.eigh(centred @ centred.T)
        right = basis.T @ (root * (ys[np.ix_(known, columns)] - mean))
        held = centred.T @ basis, np.maximum(values, 0), right, centre, mean
        yield System(columns, *held)


def _distinct(weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The outputs of each distinct column of weights that is not all zero, and it."""
    distinct, places = np.unique(weights, axis=1, return_inverse=True)
    for place, column in enumerate(distinct.T):
        if column.any():
            yield np.flatnonzero(places.ravel() == place), column
