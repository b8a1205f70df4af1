"""The oracle's numbers of a case, once for all its modes, and ahead of time.

With a GPU most cores of the processor are idle: a few compute what the next works are
compared with. Where the processor itself is timed, nothing else may run.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from parity.bench.timing.spawn import SPAWN, given
from parity.bench.verify import Expected, Values, expect, oracle_of
from parity.bench.works import Work
from parity.judge.cases import Case

# One core each, and no GPU.
_VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
Expect = Callable[[Work], Expected]


@contextmanager
def expecting(works: Sequence[Work], processes: int) -> Iterator[Expect]:
    """A function that gives what a runner must give for a work.

    Args:
        works: In the order in which they will be asked for.
        processes: How many compute ahead; with none, each case when it is asked for.
    """
    if not processes:
        of_case = lru_cache(maxsize=1)(values_of)
        yield lambda work: expect(work, of_case(work.case))
        return
    with given(_VARIABLES):
        pool = SPAWN.Pool(processes, _ignore_interrupts)
    with pool:
        cases = dict.fromkeys(work.case for work in works)
        found = {case: pool.apply_async(values_of, (case,)) for case in cases}
        yield lambda work: expect(work, found[work.case].get())


def values_of(case: Case) -> Values:
    """The oracle's numbers of a case."""
    return oracle_of(case.draw())


def _ignore_interrupts() -> None:
    _ = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
