"""A process for each runner, and for the rate of a product.

The thread pools of two libraries in one process fight for the cores. So each runner has
a process of its own, pinned to the same cores; one works at a time.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from parity.bench.rate import product_rate
from parity.bench.runners import RUNNERS, Runner
from parity.bench.settings import Settings
from parity.bench.timing.spawn import SPAWN, with_variables
from parity.bench.timing.worker import serve
from parity.machine import cores_here

# Seconds that a process has to make a work ready, or to give a sample.
PATIENCE = 900.0


class Process:
    """A runner's process, and the pipe to it."""

    def __init__(self, runner: Runner, settings: Settings) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(runner, theirs), daemon=True)
        with _pinned(settings):
            self.process.start()
        theirs.close()

    def ask(self, *request: Any) -> tuple[bool, Any]:
        """True and its answer, or false and what went wrong."""
        try:
            self.pipe.send(request)
            if self.pipe.poll(PATIENCE):
                return self.pipe.recv()
            self.close()
            return False, f"failed: no answer within {PATIENCE:.0f} s"
        except (EOFError, OSError):
            self.close()
            return False, f"failed: its process ended ({self.process.exitcode})"

    def close(self) -> None:
        """End the process."""
        self.pipe.close()  # one that waits for a request ends
        self.process.join(1)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Processes:
    """A process for each runner; one that ended is started again."""

    def __init__(self, runners: Iterable[str], settings: Settings) -> None:
        self.settings = settings
        self._running: dict[str, Process] = {}
        for name in runners:  # all at once: they start beside each other
            self._running[name] = Process(RUNNERS[name], settings)

    def ask(self, name: str, *request: Any) -> tuple[bool, Any]:
        """True and a runner's answer, or false and what went wrong."""
        if not self._running[name].process.is_alive():
            self._running[name] = Process(RUNNERS[name], self.settings)
        return self._running[name].ask(*request)

    def close(self) -> None:
        """End all of them."""
        for process in self._running.values():
            process.close()


@contextmanager
def _pinned(settings: Settings) -> Iterator[None]:
    """Processes that are started inside have the settings' cores, a thread on each."""
    variables = {
        "OMP_NUM_THREADS": str(settings.cores),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several share a GPU
        "JAX_PLATFORMS": "cuda" if settings.device == "gpu" else settings.device,
        "KERAS_BACKEND": "jax",
    }
    cores = cores_here()
    if settings.device == "cpu":
        _pin(cores[: settings.cores])
    try:
        with with_variables(variables):
            yield
    finally:
        _pin(cores)


def rate_of(settings: Settings, dtype: str) -> float:
    """The rate of a large product with the settings' cores, in a process of its own."""
    known = (settings.device, settings.cores, dtype, settings.precision)
    with _pinned(settings), ProcessPoolExecutor(1, SPAWN) as pool:
        return pool.submit(product_rate, *known).result()


def _pin(cores: list[int]) -> None:
    if hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, cores)
