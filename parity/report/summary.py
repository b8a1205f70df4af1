"""What several reports say together: counts, the worst errors, the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from parity.report.rows import Findings, ratio_to_torch
from parity.show import roundings


@dataclass(frozen=True)
class Summary:
    """The numbers of several reports; one LSTM may have several, one for each type."""

    lstms: int
    lstms_ok: int
    comparisons: int
    comparisons_ok: int
    worst: float
    torch: float | None
    ratio: float

    @property
    def ok(self) -> bool:
        """Whether there is an LSTM, and every one is right."""
        return self.lstms_ok == self.lstms > 0

    def sentence(self) -> str:
        """All of it in a line."""
        return (
            f"{'ok' if self.ok else 'FAIL'}: {self.lstms_ok} of {self.lstms} LSTMs and "
            f"{self.comparisons_ok} of {self.comparisons} comparisons within budget; "
            f"worst {roundings(self.worst)}, torch's own worst "
            f"{roundings(self.torch)}, geometric mean of ours over torch's "
            f"{self.ratio:.2f}"
        )


def summary(reports: Sequence[Findings]) -> Summary:
    """The numbers of these reports."""
    rows = [row for report in reports for row in report.rows]
    named = [(str(r.facts.get("lstm", r.title)), r.ok) for r in reports]
    wrong = {name for name, ok in named if not ok}
    names = {name for name, _ in named}
    return Summary(
        lstms=len(names),
        lstms_ok=len(names - wrong),
        comparisons=len(rows),
        comparisons_ok=sum(row.ok for row in rows),
        worst=max((row.error for row in rows), default=math.nan),
        torch=max((r.torch for r in rows if r.torch is not None), default=None),
        ratio=ratio_to_torch(rows),
    )
