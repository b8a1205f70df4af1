"""Signals that end a run after its step, with a checkpoint."""

import signal
import threading
from typing import Any

EXIT_CODES = {"SIGTERM": 143, "SIGUSR1": 143, "SIGINT": 130}


class Signals:
    """While entered, the first signal is noted; the second acts as it did before."""

    def __init__(self, active: bool) -> None:
        main = threading.current_thread() is threading.main_thread()
        self.names = [n for n in EXIT_CODES if active and main and hasattr(signal, n)]
        self.code: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        for name in self.names:
            number = getattr(signal, name)
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, _: object) -> None:
        self.code = EXIT_CODES[signal.Signals(number).name]
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            _ = signal.signal(number, handler)
        self._before.clear()
