"""The numbers around the first wrong place of a check that failed, to be drawn."""

from collections.abc import Mapping

import jax
import numpy as np

import lstm_jax
from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from parity.report.curves import Mismatch, Trajectory
from parity.verify import sides

Array = np.ndarray
_MOST_PLACES = 64
_NAMES = ("i", "f", "g", "o", "c")


def mismatch(
    case: Case,
    problem: Problem,
    given: Mapping[str, Array],
    actual: Mapping[sides.Key, Array],
    exact: Mapping[sides.Key, tolerance.Exact],
) -> Mismatch | None:
    """Gates with the given weights and the right ones; without a difference, values.

    Args:
        case: Sizes and type.
        problem: The arrays, with the right weights.
        given: The weights that JAX had.
        actual: What JAX gave.
        exact: What is right.

    Returns:
        What to draw; None where nothing of the same shape was found wrong.
    """
    found = _gates(problem, given) if _comparable(problem.params, given) else None
    return found or _values(case, actual, exact)


def _comparable(right: Mapping[str, Array], given: Mapping[str, Array]) -> bool:
    """Whether the same LSTM has other weights."""
    shapes = [{name: a.shape for name, a in side.items()} for side in (right, given)]
    same = shapes[0] == shapes[1]
    return same and any(not np.array_equal(right[n], given[n]) for n in right)


def _gates(problem: Problem, given: Mapping[str, Array]) -> Mismatch | None:
    """Gates and cell of the worst unit of the first layer in which they differ."""
    wrong, right = _traced(problem, given), _traced(problem, problem.params)
    change = np.abs(wrong - right).max(axis=0)  # of (rows, T, B, H)
    rows = np.flatnonzero(change.reshape(len(change), -1).any(axis=1))
    if not len(rows):
        return None
    row = int(rows[0])
    step, batch, unit = np.unravel_index(np.argmax(change[row]), change[row].shape)
    window = _window(int(step), change.shape[1])
    curves = (
        Trajectory(name, _numbers(a[row, window, batch, unit]), _numbers(b))
        for name, a, b in zip(
            _NAMES, wrong, right[:, row, window, batch, unit], strict=True
        )
    )
    layer, direction = divmod(row, lstm_jax.spec_of(problem.params).num_directions)
    title = (
        f"Gates and cell of layer {layer}, {'reverse' if direction else 'forward'}, "
        f"row {batch} of the batch, unit {unit}, which differs most at step {step}"
    )
    return Mismatch(title, "time step", window.start, tuple(curves))


def _traced(problem: Problem, params: Mapping[str, Array]) -> Array:
    """Gates and cell, `(5, L*D, T, B, H)`."""
    wide = problem.xs.dtype == np.float64
    with jax.enable_x64(wide or jax.config.read("jax_enable_x64")):
        found = lstm_jax.trace(
            dict(params),
            problem.xs,
            problem.state,
            lengths=problem.lengths,
            resets=problem.resets,
            reset_state=problem.reset_state,
            precision="highest",
        )
    arrays = [np.asarray(getattr(found, name), np.float64) for name in _NAMES]
    stacked = np.stack(arrays)
    return stacked.reshape(*stacked.shape[:3], -1, stacked.shape[-1])


def _values(
    case: Case,
    actual: Mapping[sides.Key, Array],
    exact: Mapping[sides.Key, tolerance.Exact],
) -> Mismatch | None:
    """The first wrong tensor around its worst element: over time, or its last axis."""
    for key, right in exact.items():
        value = actual.get(key)
        if value is None or value.shape != right.value.shape or not value.size:
            continue
        far = case.distance(key[0], value, right)
        if far.index and not far.error <= case.budget:
            return _around(key, value, right, far.index)
    return None


def _around(
    key: sides.Key, value: Array, right: tolerance.Exact, index: tuple[int, ...]
) -> Mismatch:
    axis = 0 if right.steps else value.ndim - 1
    window = _window(index[axis], value.shape[axis])
    place = (*index[:axis], window, *index[axis + 1 :])
    of = f", gradient of {key[1]}" if key[1] else ""
    name = ", ".join(
        ":" if at == axis else str(number) for at, number in enumerate(index)
    )
    found, exact = (np.asarray(a[place], np.float64) for a in (value, right.value))
    label = f"{key[0]}[{name}]"
    curves = (
        Trajectory(label, _numbers(found), _numbers(exact)),
        Trajectory(
            f"{label}, less what is exact", _numbers(found - exact), _zeros(exact)
        ),
    )
    title = f"{key[0]}{of}, around its worst element, {list(index)}"
    along = "time step" if right.steps else "place on the last axis"
    return Mismatch(title, along, window.start, curves)


def _window(place: int, size: int) -> slice:
    start = min(max(0, place - _MOST_PLACES // 2), max(0, size - _MOST_PLACES))
    return slice(start, min(size, start + _MOST_PLACES))


def _zeros(like: Array) -> tuple[float, ...]:
    return (0.0,) * len(like)


def _numbers(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
