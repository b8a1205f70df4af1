"""The report of a check: printed, as JSON, as Markdown or as a page."""

import json
from dataclasses import asdict
from typing import Any

from parity.report.page import page
from parity.report.rows import Findings, Row as Row
from parity.show import jsonable, roundings, text_table


class Report(Findings):
    """A check of one LSTM: what it found (see `Findings`), and how to write it.

    Printed, it is a table with a line for each tensor, at its worst set of cotangents,
    and the verdict.
    """

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is only drawn, as plain values."""
        fields = asdict(self)
        del fields["mismatch"]
        for row in fields["rows"]:
            del row["profile"], row["torch_profile"]
        return {"ok": self.ok, **fields}

    def to_json(self) -> str:
        """`to_dict` as JSON; a number that is not finite is a string."""
        return json.dumps(jsonable(self.to_dict()), indent=1)

    def to_markdown(self) -> str:
        """The table and the verdict as Markdown."""
        lines = ["| tensor | error | torch | budget | |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_cells(row))} |" for row in self.worst()]
        return "\n".join([f"**{self.title}**", "", *lines, "", *self.messages()])

    def to_html(self, command: str = "") -> str:
        """A page that needs no other file; `command` is what makes it again."""
        return page([self], [], command)

    def __str__(self) -> str:
        header = ("tensor", "error", "torch", "budget", "")
        lines = [_cells(row) for row in self.worst()]
        return "\n".join([text_table(self.title, header, lines), *self.messages()])


def _cells(row: Row) -> list[str]:
    """A row of the table of one LSTM."""
    verdict = "ok" if row.ok else "FAIL"
    of = f" of {row.cotangents}" if row.cotangents else ""
    numbers = [roundings(row.error), roundings(row.torch), f"{row.budget:g}"]
    return [row.tensor + of, *numbers, verdict]
