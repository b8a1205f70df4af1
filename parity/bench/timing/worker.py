"""The process of one runner: it makes a work ready, verifies it, and takes its time."""

import ctypes
import gc
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import jax

from parity.bench.expected import Expected, sparse, worst
from parity.bench.program import Program, Unsupported
from parity.bench.runners import Runner
from parity.bench.settings import Settings
from parity.bench.timing.others import Others
from parity.bench.works import Work

# Calls before the first sample: caches, the allocator and the clock of the processor.
WARM_UP = 3


def serve(runner: Runner, pipe: Connection) -> None:
    """Answer the parent's requests until it closes the pipe."""
    _ = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    worker = _Worker(runner)
    while True:
        try:
            request, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(worker, request)(*arguments)))
        except Unsupported as error:
            pipe.send((False, f"unsupported: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever a library raises is told
            first = str(error).strip().partition("\n")[0]
            pipe.send((False, f"failed: {type(error).__name__}: {first}"))


class _Worker:
    """What the parent asks for, by the names of the methods."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.program: Program | None = None
        self.calls = 1
        self.settings = Settings()

    def prepare(
        self, work: Work, settings: Settings, expected: Expected
    ) -> dict[str, Any]:
        """Build and verify a program: its facts, with the error in roundings."""
        self.program, self.settings = None, settings
        jax.config.update("jax_enable_x64", work.case.dtype == "float64")
        problem = work.case.draw()
        self.program = program = self.runner.build(work, problem, settings)
        first_call = self._time(1)
        peak_bytes = self._growth() if program.peak is None else program.peak()
        values = program.values(sparse(problem, expected.rows))
        error, tensor = worst(work, values, expected)
        self.calls = self._calls()
        return {
            **program.facts,
            "first_call": first_call,
            "peak_bytes": peak_bytes,
            "error": error,
            "tensor": tensor,
            "calls": self.calls,
        }

    def sample(self) -> dict[str, float]:
        """Seconds of a call, the mean of as many as fill a sample; what others took."""
        watched = Others()
        seconds = self._time(self.calls)
        share = watched.share()
        return {"seconds": seconds} | ({} if share is None else {"others": share})

    def _growth(self) -> int:
        """Bytes that the process grows by in a call; the first call loads code, too."""
        _forget_memory()
        before = _memory("VmRSS")
        _ = self._time(1)
        return max(0, _memory("VmHWM") - before)

    def _calls(self) -> int:
        once = min(self._time(1) for _ in range(WARM_UP))
        return max(1, round(self.settings.seconds / once))

    def _time(self, calls: int) -> float:
        assert self.program is not None  # noqa: S101
        call, result = self.program.call, None
        start = time.perf_counter()
        for _ in range(calls):
            result = call()
        self.program.finish(result)
        return (time.perf_counter() - start) / calls


def _forget_memory() -> None:
    """Give free memory back to the system, and reset the peak, where possible."""
    _ = gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
    path = Path("/proc/self/clear_refs")
    if path.exists() and os.access(path, os.W_OK):
        _ = path.write_text("5", "ascii")


def _memory(field: str) -> int:
    """Bytes in a field of the process's status; 0 where the system has no such file."""
    path = Path("/proc/self/status")
    lines = path.read_text("ascii", "replace").splitlines() if path.exists() else []
    found = [int(line.split()[1]) for line in lines if line.startswith(f"{field}:")]
    return 1024 * found[0] if found else 0
