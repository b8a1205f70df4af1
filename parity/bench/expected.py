"""What a runner must give: its numbers are compared with the oracle's, then timed.

The oracle is slow, so a few rows of the batch are compared: outputs row by row, and the
gradients of the parameters with cotangents of zero for every other row. The rows lie
across the whole batch, so that sums over devices are checked too.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from parity.bench.works import Work
from parity.judge import tolerance
from parity.judge.cases import Cotangents, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Array, Key
from parity.judge.tolerance import Exact

ROWS = 3
# Of the steps of gradient descent of `train`: large enough for a wrong gradient to show
# in the parameters.
LEARNING_RATE = 0.01


class Expected(NamedTuple):
    """What a runner must give for a work, in these rows of the batch."""

    rows: list[int]
    values: dict[str, Exact]


class ExactRows(NamedTuple):
    """The oracle's numbers of a few rows, and the parameters they belong to."""

    rows: list[int]
    params: Mapping[str, Array]
    values: dict[Key, Exact]


def rows_of(problem: Problem) -> list[int]:
    """A few rows, the first and the last among them."""
    batch = problem.xs.shape[1]
    return sorted({int(k) for k in np.linspace(0, batch - 1, ROWS)})


def exact_rows(problem: Problem) -> ExactRows:
    """Run the oracle on the rows that are compared: this takes most of the time."""
    rows = rows_of(problem)
    few = problem._replace(
        xs=problem.xs[:, rows],
        resets=None if problem.resets is None else problem.resets[:, rows],
        cotangents=Cotangents(*(a[:1, :, rows] for a in problem.cotangents)),
    )
    return ExactRows(rows, problem.params, of_oracle(few))


def expect(work: Work, exact: ExactRows) -> Expected:
    """What a runner must give for a work, of the oracle's numbers of its case."""
    rows, params, values = exact
    outputs = {name: a for (name, which), a in values.items() if not which}
    gradients = {name: a for (name, which), a in values.items() if which == "all"}
    if work.mode in ("forward", "step"):
        return Expected(rows, outputs)
    if work.mode == "backward":
        return Expected(rows, outputs | gradients)
    after = {k: _descended(a, gradients[f"d_{k}"]) for k, a in params.items()}
    return Expected(rows, after)


def _descended(value: Array, gradient: Exact) -> Exact:
    after = value.astype(gradient.value.dtype) - LEARNING_RATE * gradient.value
    return Exact(after, LEARNING_RATE * gradient.noise, gradient.steps)


def sparse(problem: Problem, rows: list[int]) -> Problem:
    """The problem with cotangents of zero for all other rows."""
    others = np.setdiff1d(np.arange(problem.xs.shape[1]), rows)

    def cleared(array: Array) -> Array:
        array = array.copy()
        array[:, :, others] = 0
        return array

    return problem._replace(cotangents=Cotangents(*map(cleared, problem.cotangents)))


def worst(
    work: Work, values: Mapping[str, Array], expected: Expected
) -> tuple[float, str]:
    """The largest error in roundings, and the tensor that has it.

    A tensor that is missing is infinitely wrong, but for the biases: a library with one
    bias has no second gradient.
    """
    needed = {"ys"} if work.mode == "step" else set(expected.values)
    missing = {name for name in needed - set(values) if "bias" not in name}
    errors = dict.fromkeys(sorted(missing), float("inf"))
    for name, found in values.items():
        errors[name] = _roundings(work, name, found, expected)
    name = max(errors, key=errors.__getitem__)
    return errors[name], name


def _roundings(work: Work, name: str, found: Array, expected: Expected) -> float:
    by_row = name in ("ys", "h_n", "c_n", "d_xs")
    actual = found[:, expected.rows] if by_row else found
    # A library may keep the cell in a smaller type than ours: its numbers count.
    stored, exact = actual.dtype.name, expected.values[name]
    return tolerance.distance(actual, exact, work.case.dtype, stored).error
