"""What a check found: rows, verdict and advice, as a table, JSON or Markdown."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from parity.judge.tolerance import Distance
from parity.report.curves import Mismatch
from parity.show import jsonable, roundings, text_table


@dataclass(frozen=True)
class Row:
    """One tensor for one set of cotangents, in roundings from exact.

    `cotangents` is empty for an output, else which outputs the gradient is of: `all`,
    `ys`, `h_n` or `c_n`. `torch` is torch's own error, None where torch did not run.
    The profiles have the error of each time step of `ys` and `d_xs`, and of each row of
    `h_n` and `c_n`: ours and torch's.
    """

    tensor: str
    cotangents: str
    found: Distance
    torch: float | None
    budget: float
    profile: tuple[float, ...] = field(default=(), repr=False)
    torch_profile: tuple[float, ...] = field(default=(), repr=False)

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
class Report:
    """A check of one LSTM: `ok`, `rows`, and `advice` where something is wrong.

    `mismatch` has the numbers around the first wrong place, to be drawn.
    Printed, it is a table with a line for each tensor, at its worst set of cotangents.
    """

    title: str
    rows: list[Row]
    advice: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    mismatch: Mismatch | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether there are rows and every one is within the budget."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def worst(self) -> list[Row]:
        """The worst row of each tensor, in the order of the tensors."""
        worst: dict[str, Row] = {}
        for row in self.rows:
            held = worst.get(row.tensor)
            if held is None or _severity(row) > _severity(held):
                worst[row.tensor] = row
        return list(worst.values())

    def worst_of(self, starts: tuple[str, ...]) -> tuple[float, float | None]:
        """The largest error, and torch's, over tensors whose name starts like these."""
        rows = [row for row in self.rows if row.tensor.startswith(starts)]
        torch = [row.torch for row in rows if row.torch is not None]
        error = max((row.error for row in rows), default=math.nan)
        return error, max(torch, default=None)

    def ratio_to_torch(self) -> float:
        """Geometric mean of our error over torch's, where both have one."""
        pairs = [(r.error, r.torch) for r in self.rows if r.torch and r.error]
        logs = [math.log(error / torch) for error, torch in pairs if torch]
        return math.exp(sum(logs) / len(logs)) if logs else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is there to be drawn, as plain values."""
        fields = asdict(self)
        del fields["mismatch"]
        for row in fields["rows"]:
            del row["profile"], row["torch_profile"]
        return {"ok": self.ok, **fields}

    def to_json(self) -> str:
        """That as JSON; what is not a finite number is a string."""
        return json.dumps(jsonable(self.to_dict()), indent=1)

    def to_markdown(self) -> str:
        """The table as Markdown."""
        lines = ["| tensor | error | torch | budget | |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cells(row))} |" for row in self.worst()]
        return "\n".join([f"**{self.title}**", "", *lines, "", *self.messages()])

    def to_html(self, command: str = "") -> str:
        """A page that needs nothing besides; `command` is how to have it again."""
        from parity.report.page import page

        return page([self], [], command)

    def messages(self) -> list[str]:
        """The verdict: what is wrong first and the advice, or that nothing is."""
        wrong = [row for row in self.worst() if not row.ok]
        if not self.rows:
            return ["FAIL: nothing was compared."]
        if not wrong:
            return []
        more = f"{len(wrong)} of {len(self.worst())} tensors are out of the budget."
        return [wrong[0].sentence(), more, *self.advice]

    def __str__(self) -> str:
        header = ("tensor", "error", "torch", "budget", "")
        lines = [cells(row) for row in self.worst()]
        return "\n".join([text_table(self.title, header, lines), *self.messages()])


def cells(row: Row) -> list[str]:
    """A row of the table of one LSTM."""
    verdict = "ok" if row.ok else "FAIL"
    of = f" of {row.cotangents}" if row.cotangents else ""
    numbers = [roundings(row.error), roundings(row.torch), f"{row.budget:g}"]
    return [row.tensor + of, *numbers, verdict]


def _severity(row: Row) -> float:
    return math.inf if math.isnan(row.error) else row.error
