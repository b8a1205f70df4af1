"""The oracle's numbers of a case: once for all its modes, and ahead of time.

While a GPU is timed, most cores of the processor are idle: a few of them compute what
the next works are compared with. While the processor is timed, nothing else may run.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from parity.bench.expected import ExactRows, Expected, exact_rows, expect
from parity.bench.timing.spawn import SPAWN, with_variables
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
    """Yield a function from a work to what a runner must give for it.

    Args:
        works: In the order in which they will be asked for.
        processes: How many compute ahead; with none, each case when it is asked for.
    """
    if not processes:
        of_case = lru_cache(maxsize=1)(exact_of_case)
        yield lambda work: expect(work, of_case(work.case))
        return
    with with_variables(_VARIABLES):
        pool = SPAWN.Pool(processes, _ignore_interrupts)
    with pool:
        cases = dict.fromkeys(work.case for work in works)
        found = {case: pool.apply_async(exact_of_case, (case,)) for case in cases}
        yield lambda work: expect(work, found[work.case].get())


def exact_of_case(case: Case) -> ExactRows:
    """The oracle's numbers of a case."""
    return exact_rows(case.draw())


def _ignore_interrupts() -> None:
    _ = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
