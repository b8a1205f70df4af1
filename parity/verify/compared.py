"""One case, compared: what each side gave, and how far each tensor is from exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from parity.judge.tensors import Array, Key
from parity.judge.tolerance import Distance, Exact
from parity.report.report import Row

_MISSING = Distance(np.inf, reason="is missing")
_PROFILED = ("ys", "h_n", "c_n", "d_xs")


class Judged(NamedTuple):
    """A tensor that a side gave, and its distance from exact."""

    value: Array
    distance: Distance


Side = Mapping[Key, Judged]


def judged(
    case: Case, exact: Mapping[Key, Exact], values: Mapping[Key, Array]
) -> dict[Key, Judged]:
    """What a side gave, each tensor with its distance from exact."""
    return {
        key: Judged(value, case.distance(key[0], value, exact[key]))
        for key, value in values.items()
    }


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared:
    """One case, compared.

    Attributes:
        case: Sizes and type.
        problem: The arrays, with the right weights.
        given: The weights that JAX was given.
        exact: The right values.
        actual: What JAX gave.
        torch: What torch gave; empty where torch did not run.
    """

    case: Case
    problem: Problem
    given: Mapping[str, Array]
    exact: Mapping[Key, Exact]
    actual: Side
    torch: Side

    @cached_property
    def wrong(self) -> dict[Key, Distance]:
        """The tensors out of the budget, in order, with their distances."""
        found = {key: self.distance(key) for key in self.exact}
        return {k: d for k, d in found.items() if not d.error <= self.case.budget}

    def distance(self, key: Key) -> Distance:
        """How far JAX's tensor is from exact: infinitely, if it is missing."""
        return self.actual[key].distance if key in self.actual else _MISSING

    def rows(self) -> list[Row]:
        """The rows of the report."""
        return [self._row(key) for key in self.exact]

    def _row(self, key: Key) -> Row:
        torch = self.torch[key].distance.error if key in self.torch else None
        return Row(
            *key,
            self.distance(key),
            torch,
            self.case.budget,
            profile=self._profile(self.actual, key),
            torch_profile=self._profile(self.torch, key),
            difference=self._difference(key),
            largest=float(np.abs(self.exact[key].value).max(initial=0)),
        )

    def _difference(self, key: Key) -> float | None:
        """The largest difference to torch; infinite for NaN."""
        if key not in self.torch or key not in self.actual:
            return None
        pair = (self.actual[key].value, self.torch[key].value)
        ours, theirs = (array.astype(np.float64) for array in pair)
        if ours.shape != theirs.shape:
            return None
        far = float(np.abs(ours - theirs).max(initial=0))
        return np.inf if np.isnan(far) else far

    def _profile(self, side: Side, key: Key) -> tuple[float, ...]:
        """The error over time, or over layers and directions; else empty."""
        if key[0] not in _PROFILED or key not in side:
            return ()
        return tolerance.profile(side[key].value, self.exact[key], self.case.dtype)

    def untold(self) -> str:
        """Why numbers within the budget say nothing, with the cure; else empty.

        A number says something where zero in its place would be out of the budget.
        """
        if 0 in self.case.batch:
            return "no row was run. Give a batch of at least 1."
        lengths = self.problem.lengths
        if not (self.case.steps if lengths is None else lengths.max(initial=0)):
            return "no time step was run. Give at least 1 step."
        weights = [key for key in self.exact if key[0].startswith("d_weight")]
        if any(self._tells(key) for key in weights):
            return ""
        return (
            "the gates are saturated, and no weight has a gradient larger than its "
            "rounding. Give weights or inputs at which the gates still move."
        )

    def _tells(self, key: Key) -> bool:
        """Whether zeros in place of the right values would be out of the budget."""
        exact, stored = self.exact[key], self.case.dtype_of(key[0])
        zeros = np.zeros(exact.value.shape, jnp.dtype(stored))
        return self.case.distance(key[0], zeros, exact).error > self.case.budget

    def place_of_row(self, row: int) -> str:
        """The layer and direction of a row of the state, in words."""
        return named_place(*divmod(row, self.case.spec.num_directions))


def named_place(layer: int, direction: int) -> str:
    """A layer and a direction, in words.

    Example:
        >>> named_place(1, 0)
        'layer 1, forward'
    """
    return f"layer {layer}, {'reverse' if direction else 'forward'}"
