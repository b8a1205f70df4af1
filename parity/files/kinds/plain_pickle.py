"""A plain pickle: a tree of NumPy, JAX or torch arrays."""

import re

from parity.files.kinds.torch_legacy import globals_for
from parity.files.pickle.machine import unpickle
from parity.files.reading import Reading, starts
from parity.files.source import Leaves
from parity.files.tree import flatten

_OLD_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
_NEWEST = 5  # protocol
_starts_old = starts(*(bytes([code]) for code in b"(]}cldt"))
# A dictionary or a list with an element or a place in the memo, or a class by its name.
_OLD = re.compile(rb"\([dl][pSVIUX(c]|[}\]][q(UX]|c[\w.]+\n\w+\n", re.DOTALL)


def is_pickle(reading: Reading) -> bool:
    """Whether it starts with a protocol that Python has, 2 or later."""
    return reading.start[:1] == b"\x80" and reading.start[1:2] <= bytes([_NEWEST])


def may_be_pickle(reading: Reading) -> bool:
    """Whether it may be of protocol 0 or 1, which have no magic."""
    if reading.path.suffix in _OLD_SUFFIXES:
        return _starts_old(reading)
    return _OLD.match(reading.start) is not None


def read_pickle(reading: Reading) -> Leaves:
    """Every array in the tree; no code of the pickle is run.

    Raises:
        DamagedError: If it is damaged, or would call what can run a program.
    """
    tree = unpickle(reading.source.map, globals_for(reading).find)
    return flatten(tree, len(reading.source))
