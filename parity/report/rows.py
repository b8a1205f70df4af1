"""What a check found: the rows, the verdict and the advice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.judge.tolerance import Distance
from parity.report.curves import Mismatch

OK, FAIL, NOTHING = "ok", "FAIL", "nothing to tell"
NOT_INSTALLED = (
    "torch is not installed, so it was not run (pip install 'lstm-jax[parity]')"
)


@dataclass(frozen=True)
class Row:
    """One tensor for one set of cotangents: how far it is from exact.

    Attributes:
        tensor: Its name, such as `ys` or `d_xs`.
        cotangents: Whose gradient it is, `all`, `ys`, `h_n` or `c_n`; empty for an
            output.
        found: Our distance from exact.
        torch: Torch's own error; None where torch did not run.
        budget: The largest error that is right.
        profile: Our error at each time step of `ys` and `d_xs`, and in each row of
            `h_n` and `c_n`; empty for other tensors.
        torch_profile: Torch's, likewise.
        difference: The largest difference between our numbers and torch's, as it is;
            None where torch did not run or the shapes differ.
        largest: The largest of the exact numbers, without its sign.
    """

    tensor: str
    cotangents: str
    found: Distance
    torch: float | None
    budget: float
    profile: tuple[float, ...] = field(default=(), repr=False)
    torch_profile: tuple[float, ...] = field(default=(), repr=False)
    difference: float | None = None
    largest: float = 0.0

    @property
    def error(self) -> float:
        """Roundings from exact."""
        return self.found.error

    @property
    def ok(self) -> bool:
        """Whether the error is within the budget; NaN is not."""
        return self.error <= self.budget

    def sentence(self) -> str:
        """Where it is wrong, and by how much."""
        of = f" (gradient of {self.cotangents})" if self.cotangents else ""
        if self.found.reason:
            return f"FAIL {self.tensor}{of}: {self.found.reason}."
        return (
            f"FAIL {self.tensor}{of}: error {self.error:.2g} (budget {self.budget:g}) "
            f"at {list(self.found.index)}: {self.found.actual:.6g}, "
            f"exact {self.found.exact:.6g}."
        )


@dataclass(frozen=True)
class Findings:
    """What a check of one LSTM found.

    Attributes:
        title: What was checked.
        rows: A row for each tensor and set of cotangents.
        advice: Where something is wrong: the sentence of the known mistake that
            explains the numbers, if there is one; then which of the weights given
            differ, if any do; last the first wrong place.
        facts: What the numbers depend on: sizes, type, seed, precision, device.
        mismatch: The numbers around the first wrong place, to be drawn, if there are
            any.
        not_run: Sides that did not run, `torch` or none, and why.
        untold: Why numbers within the budget say nothing about the LSTM, with the cure;
            empty where they do.
    """

    title: str
    rows: list[Row]
    advice: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    mismatch: Mismatch | None = field(default=None, repr=False)
    not_run: dict[str, str] = field(default_factory=dict)
    untold: str = ""

    @property
    def ok(self) -> bool:
        """Whether every row is within the budget, and they have something to tell."""
        return self.verdict == OK

    @property
    def verdict(self) -> str:
        """One of "ok", "FAIL" and "nothing to tell"."""
        if not all(row.ok for row in self.rows):
            return FAIL
        return NOTHING if self.untold or not self.rows else OK

    @property
    def sides(self) -> tuple[str, ...]:
        """What ran: `jax` and the `oracle`, and `torch` where it did."""
        if not self.rows:
            return ()
        torch = any(row.torch is not None for row in self.rows)
        return ("jax", "torch", "oracle") if torch else ("jax", "oracle")

    @property
    def without_torch(self) -> str:
        """Why torch did not run; empty where it did."""
        if "torch" in self.sides or not self.rows:
            return ""
        return self.not_run.get("torch", "torch was not run")

    def worst(self) -> list[Row]:
        """The worst row of each tensor, in the order of the tensors."""
        worst: dict[str, Row] = {}
        for row in self.rows:
            held = worst.get(row.tensor)
            if held is None or _severity(row) > _severity(held):
                worst[row.tensor] = row
        return list(worst.values())

    def worst_of(self, starts: tuple[str, ...]) -> tuple[float, float | None]:
        """Our largest error, and torch's, over tensors whose names start like these."""
        rows = [row for row in self.rows if row.tensor.startswith(starts)]
        torch = [row.torch for row in rows if row.torch is not None]
        error = max((row.error for row in rows), default=math.nan)
        return error, max(torch, default=None)

    def ratio_to_torch(self) -> float:
        """Geometric mean of our error over torch's, of rows where neither is 0."""
        return ratio_to_torch(self.rows)

    def messages(self) -> list[str]:
        """The verdict: that all is right, or what is wrong first, and the advice."""
        tensors = self.worst()
        wrong = [row for row in tensors if not row.ok]
        if wrong:
            more = f"{len(wrong)} of {len(tensors)} tensors are out of the budget."
            return [wrong[0].sentence(), more, *self.advice]
        if self.verdict == NOTHING:
            return [f"nothing to tell: {self.untold or 'nothing was compared.'}"]
        against = f": equal to the exact oracle; {self.without_torch}"
        end = against if self.without_torch else ""
        return [f"ok: all {len(tensors)} tensors are within the budget{end}."]


def ratio_to_torch(rows: Sequence[Row]) -> float:
    """Geometric mean of our error over torch's, of rows where neither is 0."""
    pairs = [(row.error, row.torch) for row in rows if row.torch and row.error]
    logs = [math.log(error / torch) for error, torch in pairs if torch]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _severity(row: Row) -> float:
    return math.inf if math.isnan(row.error) else row.error
