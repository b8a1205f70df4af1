"""What other programs take of the cores that a process may use."""

import os
import time
from pathlib import Path

from parity.machine import cores_here

_BUSY = (1, 2, 3, 6, 7, 8)  # user, nice, system, interrupts twice, stolen by a host
_STAT = Path("/proc/stat")


class Others:
    """Watches from when it is made: what was busy on the cores and was not ours."""

    def __init__(self, stat: Path = _STAT) -> None:
        self.stat, self.cores = stat, cores_here()
        self.start, self.busy, self.own = self._now()

    def share(self) -> float | None:
        """The share of the cores' time since; None where the system does not tell.

        It is counted in ticks of a hundredth of a second: a mean of several is better.
        """
        now, busy, own = self._now()
        if busy is None or self.busy is None or now <= self.start:
            return None
        taken = busy - self.busy - (own - self.own)
        return taken / ((now - self.start) * len(self.cores))

    def _now(self) -> tuple[float, float | None, float]:
        """The time, the seconds in which the cores were busy, and ours of these."""
        return time.perf_counter(), _busy(self.stat, self.cores), time.process_time()


def _busy(stat: Path, cores: list[int]) -> float | None:
    if not stat.exists():
        return None
    names = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in stat.read_text("ascii", "replace").splitlines()]
    ticks = [int(line[k]) for line in lines if line[0] in names for k in _BUSY]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None
