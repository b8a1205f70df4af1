"""How far a command is: a bar on a terminal, elsewhere a line now and then."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.progress import Progress as Bar

from parity.cli.say import say

EVERY = 15.0  # seconds between two lines: a short command has none


class Progress:
    """Where a command is among its items, and within one of them."""

    def __init__(self, command: str, every: float | None = None) -> None:
        self.command, self.every = command, EVERY if every is None else every
        self.number, self.total, self.what, self.share = 0, 0, "", 0.0
        self._moved = _nothing

    def over(self, items: Sequence[Any]) -> Iterator[Any]:
        """The items, each counted."""
        self.total = len(items)
        for self.number, item in enumerate(items):
            self.tell("", 0.0)
            yield item
        self.number = self.total

    def tell(self, what: str, share: float) -> None:
        """What is done of the item, and the share of it that is done."""
        self.what, self.share = what, share
        self._moved()

    def line(self) -> str:
        """All of it for a reader: `check: 2 of 4, the oracle, 40 %`."""
        place = f"{min(self.number + 1, self.total)} of {self.total}"
        share = f"{self.share:.0%}".replace("%", " %") if 0 < self.share < 1 else ""
        parts = filter(None, (place, self.what, share))
        return f"{self.command}: {', '.join(parts)}"

    def interrupted(self) -> str:
        """What a command says that was ended before its last item."""
        return (
            f"{self.command}: interrupted after {self.number} of {self.total} checks: "
            "the rest was not checked."
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show it for the time of a block, on the standard error."""
        console = Console(stderr=True)
        with self._bar(console) if console.is_terminal else self._lines():
            yield

    @contextmanager
    def _bar(self, console: Console) -> Iterator[None]:
        with Bar(console=console, transient=True) as bar:
            task = bar.add_task(self.command, total=None)

            def moved() -> None:
                done = self.number + self.share
                text = f"{self.command}: {self.what}" if self.what else self.command
                bar.update(task, total=self.total, completed=done, description=text)

            self._moved = moved
            try:
                yield
            finally:
                self._moved = _nothing

    @contextmanager
    def _lines(self) -> Iterator[None]:
        stop = Event()

        def tell() -> None:
            while not stop.wait(self.every):
                say(self.line())

        thread = Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _nothing() -> None:
    """Nobody looks."""
