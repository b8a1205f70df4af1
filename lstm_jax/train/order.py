"""The order of the samples: a function of the seed and the step alone."""

from functools import lru_cache

import numpy as np


def rows_of_step(seed: int, step: int, size: int, batch: int) -> np.ndarray:
    """The numbers of the samples of one step, the same on every machine.

    Each epoch is a permutation of all samples, drawn from the seed and the epoch. Its
    last step has what is left.

    Args:
        seed: Of the run.
        step: Steps before this one, 0 for the first.
        size: How many samples there are.
        batch: Samples of a step.

    Returns:
        Integers below `size`, `(B,)`.

    Example:
        >>> [rows_of_step(0, step, 5, 2).size for step in range(3)]
        [2, 2, 1]
        >>> sorted(np.concatenate([rows_of_step(7, step, 5, 2) for step in range(3)]))
        [np.int64(0), np.int64(1), np.int64(2), np.int64(3), np.int64(4)]
    """
    epoch, within = divmod(step, steps_of_epoch(size, batch))
    return _permutation(seed, epoch, size)[within * batch : (within + 1) * batch]


def steps_of_epoch(size: int, batch: int) -> int:
    """How many steps show every sample once."""
    return -(-size // batch)


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(size)
