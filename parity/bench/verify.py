"""Right, before fast: a runner's numbers against the oracle's.

The oracle is slow, so a few rows of the batch are compared: outputs row by row, and the
gradients of the parameters with weights of zero on every other row's outputs. The rows
lie across the whole batch, so that what is summed over devices is summed.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from parity.bench.works import Work
from parity.judge import tolerance
from parity.judge.cases import Cotangents, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Key
from parity.judge.tolerance import Exact

Array = np.ndarray

ROWS = 3
# The rate of the steps of gradient descent of `train`: large enough for a wrong
# gradient to show in the parameters.
RATE = 0.01


class Expected(NamedTuple):
    """What a runner must give for a work."""

    rows: list[int]
    values: dict[str, Exact]


class Values(NamedTuple):
    """The oracle's numbers of a few rows, and the parameters they belong to."""

    rows: list[int]
    params: Mapping[str, Array]
    found: dict[Key, Exact]


def rows_of(problem: Problem) -> list[int]:
    """A few rows, the first and the last among them."""
    batch = problem.xs.shape[1]
    return sorted({int(k) for k in np.linspace(0, batch - 1, ROWS)})


def oracle_of(problem: Problem) -> Values:
    """The oracle's numbers for the rows that are compared: most of the time."""
    rows = rows_of(problem)
    few = problem._replace(
        xs=problem.xs[:, rows],
        resets=None if problem.resets is None else problem.resets[:, rows],
        cotangents=Cotangents(*(a[:1, :, rows] for a in problem.cotangents)),
    )
    return Values(rows, problem.params, of_oracle(few))


def expect(work: Work, values: Values) -> Expected:
    """What a runner must give for a work, of the oracle's numbers of its case."""
    rows, params, found = values
    outputs = {name: a for (name, which), a in found.items() if not which}
    gradients = {name: a for (name, which), a in found.items() if which == "all"}
    if work.mode in ("forward", "step"):
        return Expected(rows, outputs)
    if work.mode == "backward":
        return Expected(rows, outputs | gradients)
    return Expected(
        rows,
        {
            name: _descended(value, gradients[f"d_{name}"])
            for name, value in params.items()
        },
    )


def _descended(value: Array, gradient: Exact) -> Exact:
    after = value.astype(gradient.value.dtype) - RATE * gradient.value
    return Exact(after, RATE * gradient.noise, gradient.steps)


def sparse(problem: Problem, rows: list[int]) -> Problem:
    """The problem with weights of zero on the outputs of all other rows."""
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

    What is missing is infinitely wrong. A runner need not give the biases: one with a
    single bias has no second gradient.
    """
    needed = {"ys"} if work.mode == "step" else set(expected.values)
    missing = {name for name in needed - set(values) if "bias" not in name}
    errors = dict.fromkeys(sorted(missing), float("inf"))
    for name, found in values.items():
        errors[name] = _error(work, name, found, expected)
    name = max(errors, key=errors.__getitem__)
    return errors[name], name


def _error(work: Work, name: str, found: Array, expected: Expected) -> float:
    by_row = name in ("ys", "h_n", "c_n", "d_xs")
    actual = found[:, expected.rows] if by_row else found
    # A library may keep the cell in a smaller type than ours: its numbers count.
    stored, exact = actual.dtype.name, expected.values[name]
    return tolerance.distance(actual, exact, work.case.dtype, stored).error
