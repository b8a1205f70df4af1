"""The one tolerance: what it lets through, and what it never does."""

import numpy as np
import pytest

from parity.judge import tolerance
from parity.judge.tolerance import Exact, distance

EPS = np.finfo(np.float32).eps
RNG = np.random.default_rng(0)
VALUE = RNG.standard_normal((7, 3, 4))
EXACT = Exact(VALUE, np.zeros(7), steps=True)


def single(array):
    return np.asarray(array, np.float32)


def test_a_rounded_value_is_less_than_one_rounding_away():
    assert 0 < distance(single(VALUE), EXACT, "float32").error < 1


def test_the_error_is_counted_in_roundings_of_the_largest_element():
    wrong = VALUE.copy()
    wrong[3, 1, 2] += 100 * EPS * np.abs(VALUE[3]).max()
    found = distance(single(wrong), EXACT, "float32")
    assert found.index == (3, 1, 2)
    assert 98 < found.error < 102


def test_a_small_early_step_is_not_hidden_by_a_large_late_one():
    value = VALUE.copy()
    value[0] *= 1e-6
    wrong = value.copy()
    wrong[0] *= 1.001
    by_step = distance(single(wrong), Exact(value, np.zeros(7), steps=True), "float32")
    as_whole = distance(
        single(wrong), Exact(value, np.zeros(1), steps=False), "float32"
    )
    assert by_step.error > tolerance.BUDGETS["float32"] > as_whole.error


def test_noise_widens_only_its_own_step():
    noise = np.zeros(7)
    noise[2] = 1e-3
    wrong = VALUE.copy()
    wrong[2] += 1e-3
    assert distance(single(wrong), Exact(VALUE, noise, steps=True), "float32").error < 2
    wrong[3] += 1e-3
    assert (
        distance(single(wrong), Exact(VALUE, noise, steps=True), "float32").error > 32
    )


def test_where_exact_is_zero_actual_must_be():
    exact = Exact(np.zeros((2, 3)), np.ones(2), steps=True)
    assert distance(single(np.zeros((2, 3))), exact, "float32").error == 0
    tiny = single([[0, 0, 0], [0, 1e-45, 0]])
    assert distance(tiny, exact, "float32").error == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_infinitely_wrong(bad):
    wrong = single(VALUE)
    wrong[6, 2, 3] = bad
    assert distance(wrong, EXACT, "float32").error == np.inf


def test_another_shape_or_type_is_infinitely_wrong_and_says_so():
    found = distance(single(VALUE[:, :2]), EXACT, "float32")
    assert (found.error, found.reason) == (
        np.inf,
        "is float32[7, 2, 4], must be float32[7, 3, 4]",
    )
    found = distance(VALUE, EXACT, "float32")
    assert (found.error, found.reason) == (
        np.inf,
        "is float64[7, 3, 4], must be float32[7, 3, 4]",
    )


def test_empty_arrays_are_compared_by_shape_and_type():
    empty = Exact(np.zeros((0, 3)), np.zeros(1), steps=True)
    assert distance(np.zeros((0, 3), np.float32), empty, "float32").error == 0
    assert distance(np.zeros((0, 2), np.float32), empty, "float32").error == np.inf


def test_noise_is_the_largest_change_of_each_step_over_the_runs():
    runs = np.stack([VALUE, VALUE, VALUE], axis=1)
    runs[2, 1, 0, 0] += 0.5
    runs[2, 2, 1, 1] -= 0.75
    exact = tolerance.from_runs(runs, steps=True)
    np.testing.assert_array_equal(exact.value, VALUE)
    np.testing.assert_array_equal(exact.noise, [0, 0, 0.75, 0, 0, 0, 0])
    whole = tolerance.from_runs(np.moveaxis(runs, 1, 0), steps=False)
    np.testing.assert_array_equal(whole.noise, [0.75])


def test_half_types_have_their_own_rounding():
    assert tolerance.eps_of("bfloat16") == 2**-7
    assert tolerance.eps_of("float16") == 2**-10
