"""The order of samples is a function of the seed and the step alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_jax.train.order import rows_of_step, steps_of_epoch


def epoch(seed: int, number: int, size: int, batch: int) -> np.ndarray:
    steps = steps_of_epoch(size, batch)
    first = number * steps
    return np.concatenate(
        [rows_of_step(seed, first + k, size, batch) for k in range(steps)]
    )


@pytest.mark.parametrize(("size", "batch"), [(23, 5), (20, 5), (3, 3), (1, 1)])
def test_every_sample_comes_once_an_epoch(size: int, batch: int) -> None:
    for number in range(3):
        assert_array_equal(np.sort(epoch(4, number, size, batch)), np.arange(size))


def test_a_step_is_the_same_whatever_was_asked_before() -> None:
    ahead = [rows_of_step(3, step, 23, 5) for step in range(12)]
    back = [rows_of_step(3, step, 23, 5) for step in reversed(range(12))]
    for one, other in zip(ahead, reversed(back), strict=True):
        assert_array_equal(one, other)


def test_epochs_and_seeds_differ() -> None:
    first = epoch(0, 0, 23, 5)
    assert not np.array_equal(first, epoch(0, 1, 23, 5))
    assert not np.array_equal(first, epoch(1, 0, 23, 5))
    assert not np.array_equal(first, np.arange(23))


def test_the_order_is_known() -> None:
    """A run that another version of NumPy resumes would see other samples."""
    assert epoch(0, 0, 7, 3).tolist() == [2, 4, 3, 6, 5, 0, 1]
