"""The report of a check: printed, as JSON, as Markdown or as a page."""

import json
from dataclasses import asdict
from typing import Any

from lstm_jax.terminal import WIDTH, jsonable, text_table
from parity.report.decision import decision
from parity.report.page import page
from parity.report.page.markup import element
from parity.report.rows import OK, Findings, Row as Row
from parity.show import roundings


class Report(Findings):
    """A check of one LSTM: what it found (see `Findings`), and how to write it.

    Printed, it says what ran and how far JAX is from torch, then has a line for each
    tensor, at its worst set of cotangents, and the verdict.
    """

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is only drawn, as plain values."""
        fields = asdict(self)
        del fields["mismatch"]
        for row in fields["rows"]:
            del row["profile"], row["torch_profile"]
        verdict = {"ok": self.ok, "verdict": self.verdict}
        return {**verdict, "sides": list(self.sides), **fields}

    def to_json(self) -> str:
        """`to_dict` as JSON; a number that is not finite is a string."""
        return json.dumps(jsonable(self.to_dict()), indent=1)

    def to_markdown(self) -> str:
        """What ran, the table and the verdict as Markdown."""
        header, lines = self._table()
        top = [f"- {name}: {words}" for name, words in decision([self]).items()]
        rule = "|---" * len(header) + "|"
        head, *rows = (f"| {' | '.join(cells)} |" for cells in (header, *lines))
        table = [head, rule, *rows]
        parts = (f"**{self.title}**", *top), table, self.messages()
        return "\n\n".join("\n".join(part) for part in parts)

    def to_html(self, command: str = "") -> str:
        """A page that needs no other file; `command` is what makes it again."""
        return page([self], [], command)

    def _repr_html_(self) -> str:
        """The page in a frame, for a notebook: neither changes the other's style."""
        style = "width: 100%; height: 640px; border: 0; resize: vertical;"
        frame = element("iframe", title=self.title, sandbox="", style=style)
        source = self.to_html().replace("&", "&amp;").replace('"', "&quot;")
        return frame.replace("<iframe", f'<iframe srcdoc="{source}"', 1)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDTH) -> str:
        """As it is printed, in lines of at most so many characters."""
        top = [f"{name}: {words}" for name, words in decision([self]).items()]
        table = text_table("", *self._table(), width=width)
        return "\n".join([self.title, *top, table, *self.messages()])

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Header and cells; torch's column is there if torch ran."""
        torch = "torch" in self.sides
        header = ["tensor", "error", *["torch"] * torch, "budget", ""]
        return header, [_cells(row, torch) for row in self.worst()]


def _cells(row: Row, torch: bool) -> list[str]:
    """A row of the table of one LSTM."""
    of = f" of {row.cotangents}" if row.cotangents else ""
    numbers = [roundings(row.error), *[roundings(row.torch)] * torch]
    return [row.tensor + of, *numbers, f"{row.budget:g}", OK if row.ok else "FAIL"]
