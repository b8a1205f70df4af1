"""What several reports say together: counts, the worst errors, the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from parity.report.decision import name_of, without_torch
from parity.report.rows import FAIL, NOTHING, OK, Findings, ratio_to_torch
from parity.show import roundings


@dataclass(frozen=True)
class Summary:
    """The numbers of several reports; one LSTM may have several, one for each type.

    Attributes:
        lstms: How many LSTMs there are.
        lstms_ok: Those that are right.
        lstms_untold: Those whose numbers say nothing.
        comparisons: How many rows there are.
        comparisons_ok: Those within the budget.
        worst: Our largest error; None of no row.
        torch: Torch's own; None where it did not run.
        ratio: Geometric mean of ours over torch's; None where there is none.
        without_torch: Where torch did not run, and why.
        same_as_torch: Whether torch ran wherever something is right.
    """

    lstms: int
    lstms_ok: int
    lstms_untold: int
    comparisons: int
    comparisons_ok: int
    worst: float | None
    torch: float | None
    ratio: float | None
    without_torch: str
    same_as_torch: bool

    @property
    def ok(self) -> bool:
        """Whether an LSTM is right, and none is wrong."""
        return self.lstms_ok > 0 and self.verdict == OK

    @property
    def verdict(self) -> str:
        """One of "ok", "FAIL" and "nothing to tell"."""
        if self.lstms_ok + self.lstms_untold < self.lstms:
            return FAIL
        return OK if self.lstms_ok else NOTHING

    def sentence(self) -> str:
        """All of it in a line."""
        return "; ".join(filter(None, self._parts()))

    def _parts(self) -> list[str]:
        counts = (
            f"{self.verdict}: {self.lstms_ok} of {self.lstms} LSTMs and "
            f"{self.comparisons_ok} of {self.comparisons} comparisons within budget"
        )
        worst = "" if self.worst is None else f"worst {roundings(self.worst)}"
        return [counts, worst + self._of_torch(), self.untold(), self.without_torch]

    def _of_torch(self) -> str:
        if self.torch is None:
            return ""
        own = f", torch's own worst {roundings(self.torch)}"
        if self.ratio is None:
            return own
        return f"{own}, geometric mean of ours over torch's {self.ratio:.2f}"

    def untold(self) -> str:
        """How many LSTMs have nothing to tell; empty of none."""
        have = "has" if self.lstms_untold == 1 else "have"
        return f"{self.lstms_untold} {have} nothing to tell" * bool(self.lstms_untold)


def summary(reports: Sequence[Findings]) -> Summary:
    """The numbers of these reports."""
    rows = [row for report in reports for row in report.rows]
    verdicts = _verdicts(reports)
    right = [report for report in reports if report.ok]
    ratio = ratio_to_torch(rows)
    return Summary(
        lstms=len(verdicts),
        lstms_ok=list(verdicts.values()).count(OK),
        lstms_untold=list(verdicts.values()).count(NOTHING),
        comparisons=len(rows),
        comparisons_ok=sum(row.ok for row in rows),
        worst=max((row.error for row in rows), default=None),
        torch=max((r.torch for r in rows if r.torch is not None), default=None),
        ratio=None if math.isnan(ratio) else ratio,
        without_torch=without_torch(reports),
        same_as_torch=bool(right) and all("torch" in r.sides for r in right),
    )


def _verdicts(reports: Sequence[Findings]) -> dict[str, str]:
    """The verdict of each LSTM: wrong in one type is wrong, right in one else right."""
    found: dict[str, str] = {}
    for report in reports:
        pair = (report.verdict, found.get(name_of(report), NOTHING))
        found[name_of(report)] = next(v for v in (FAIL, OK, NOTHING) if v in pair)
    return found
