"""The numbers around the first wrong place of a check that failed, to be drawn."""

from collections.abc import Mapping

import numpy as np

import lstm_jax
from parity.judge.cases import Problem
from parity.judge.tensors import Array, Key
from parity.report.curves import Mismatch, Trajectory
from parity.verify.compared import Compared
from parity.verify.sides.jax import types_of

_MOST_PLACES = 64
_GATES_AND_CELL = ("i", "f", "g", "o", "c")


def mismatch(compared: Compared) -> Mismatch | None:
    """What to draw of a check that failed.

    If the weights given differ from the right ones: the gates with both. Otherwise the
    first wrong values. None where nothing of the right shape is wrong.
    """
    found = _wrong_gates(compared) if _other_weights(compared) else None
    return found or _wrong_values(compared)


def _other_weights(compared: Compared) -> bool:
    """Whether the same LSTM has other weights."""
    sides = (compared.problem.params, compared.given)
    right, given = ({name: a.shape for name, a in side.items()} for side in sides)
    pairs = ((sides[0][name], sides[1][name]) for name in right)
    return right == given and not all(np.array_equal(a, b) for a, b in pairs)


def _wrong_gates(compared: Compared) -> Mismatch | None:
    """Gates and cell of the worst unit of the first layer in which they differ."""
    problem = compared.problem
    wrong, right = _traced(problem, compared.given), _traced(problem, problem.params)
    change = np.abs(wrong - right).max(axis=0)  # of (rows, T, B, H)
    rows = np.flatnonzero(change.reshape(len(change), -1).any(axis=1))
    if not len(rows):
        return None
    row = int(rows[0])
    step, batch, unit = np.unravel_index(np.argmax(change[row]), change[row].shape)
    window = _window(int(step), change.shape[1])
    pairs = (side[:, row, window, batch, unit] for side in (wrong, right))
    curves = (
        Trajectory(name, _numbers(a), _numbers(b))
        for name, a, b in zip(_GATES_AND_CELL, *pairs, strict=True)
    )
    title = (
        f"Gates and cell of {compared.place_of_row(row)}, row {batch} of the batch, "
        f"unit {unit}, which differs most at step {step}"
    )
    return Mismatch(title, "time step", window.start, tuple(curves))


def _traced(problem: Problem, params: Mapping[str, Array]) -> Array:
    """Gates and cell, `(5, L*D, T, B, H)`."""
    with types_of(problem):
        found = lstm_jax.trace(
            dict(params),
            problem.xs,
            problem.state,
            lengths=problem.lengths,
            resets=problem.resets,
            reset_state=problem.reset_state,
            precision="highest",
        )
    arrays = [np.asarray(getattr(found, name), np.float64) for name in _GATES_AND_CELL]
    stacked = np.stack(arrays)
    return stacked.reshape(*stacked.shape[:3], -1, stacked.shape[-1])


def _wrong_values(compared: Compared) -> Mismatch | None:
    """The first wrong tensor around its worst element: over time, or its last axis."""
    for key, distance in compared.wrong.items():
        if distance.index:
            return _around(compared, key)
    return None


def _around(compared: Compared, key: Key) -> Mismatch:
    exact, index = compared.exact[key], compared.wrong[key].index
    axis = 0 if exact.steps else len(index) - 1
    window = _window(index[axis], exact.value.shape[axis])
    place = (*index[:axis], window, *index[axis + 1 :])
    arrays = (compared.actual[key].value, exact.value)
    found, right = (np.asarray(array[place], np.float64) for array in arrays)
    names = [str(number) for number in index]
    names[axis] = ":"
    label = f"{key[0]}[{', '.join(names)}]"
    curves = (
        Trajectory(label, _numbers(found), _numbers(right)),
        Trajectory(
            f"{label}, minus exact", _numbers(found - right), (0.0,) * len(right)
        ),
    )
    of = f", gradient of {key[1]}" if key[1] else ""
    title = f"{key[0]}{of}, around its worst element, {list(index)}"
    along = "time step" if exact.steps else "place on the last axis"
    return Mismatch(title, along, window.start, curves)


def _window(place: int, size: int) -> slice:
    start = min(max(0, place - _MOST_PLACES // 2), max(0, size - _MOST_PLACES))
    return slice(start, min(size, start + _MOST_PLACES))


def _numbers(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
