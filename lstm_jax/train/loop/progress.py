"""A line with epoch, losses, rate and time left, on stderr, where it is asked for."""

from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_SHOWN = (
    "epoch {task.fields[epoch]}{task.fields[of]}  "
    "loss {task.fields[loss]}{task.fields[more]}"
)


class Reporter(AbstractContextManager):
    """Shows how far a run is; without `shown`, nothing."""

    def __init__(self, shown: bool, total: int | None, epochs: int | None) -> None:
        self._line: Progress | None = None
        if shown:
            left = TimeRemainingColumn(), TextColumn("left")
            columns = TextColumn(_SHOWN), BarColumn(), *left
            self._line = Progress(*columns, console=Console(stderr=True))
            of = "" if epochs is None else f" of {epochs}"
            fields: Any = {"epoch": 1, "of": of, "loss": "-", "more": ""}
            self._task = self._line.add_task("", total=total, **fields)

    def __enter__(self) -> "Reporter":
        if self._line:
            self._line.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._line:
            self._line.stop()

    def step(self, step: int, epoch: int, loss: float) -> None:
        """Show the loss of a step that is done."""
        if self._line:
            fields: Any = {"epoch": epoch + 1, "loss": f"{loss:.4g}"}
            self._line.update(self._task, completed=step, **fields)

    def epoch(self, row: dict[str, Any]) -> None:
        """Show what an epoch gave."""
        if self._line:
            shown = {"validation": row["validation"], "rate": row["rate"]}
            parts = [f"  {k} {v:.4g}" for k, v in shown.items() if v is not None]
            self._line.update(self._task, more="".join(parts))

    def say(self, sentences: list[str]) -> None:
        """Print sentences above the line."""
        for sentence in sentences if self._line else ():
            self._line.console.print(sentence, highlight=False)  # type: ignore[union-attr]
