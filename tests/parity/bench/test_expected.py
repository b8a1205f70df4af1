"""A benchmark's verification: the right numbers pass, each wrong one is found."""

from dataclasses import replace

import numpy as np
import pytest

from parity.bench.expected import (
    LEARNING_RATE,
    exact_rows,
    expect,
    rows_of,
    sparse,
    worst,
)
from parity.bench.works import Work
from parity.judge import tolerance
from parity.judge.cases import Case
from parity.judge.exact import of_oracle

TINY = Case(name="tiny", batch=(7,), given_state=False)


def work_of(mode, case=TINY):
    return Work(case=case, mode=mode)


def right(mode):
    """What the oracle itself gives a work, rounded, as a runner's numbers."""
    problem = TINY.draw()
    expected = expect(work_of(mode), exact_rows(problem))
    whole = of_oracle(sparse(problem, expected.rows))
    label = {"d_": "all"}
    found = {
        name: exact.value.astype(np.float32)
        for (name, which), exact in whole.items()
        if which == label.get(name[:2], "")
    }
    if mode == "train":
        return expected, {
            name: (a - LEARNING_RATE * whole[f"d_{name}", "all"].value).astype(
                np.float32
            )
            for name, a in problem.params.items()
        }
    gradients = mode == "backward"
    return expected, {k: a for k, a in found.items() if gradients or k[:2] != "d_"}


MODES = ("forward", "step", "backward", "train")


@pytest.mark.parametrize("mode", MODES)
def test_the_right_numbers_of_the_whole_batch_are_within_the_budget(mode):
    expected, values = right(mode)
    assert worst(work_of(mode), values, expected)[0] <= tolerance.BUDGETS["float32"]
    assert expected.rows == rows_of(TINY.draw()) == [0, 3, 6]


@pytest.mark.parametrize("mode", MODES)
def test_each_wrong_tensor_is_found(mode):
    expected, values = right(mode)
    for name, value in values.items():
        wrong = value * np.float32(1.001)
        error, tensor = worst(work_of(mode), values | {name: wrong}, expected)
        assert (error > tolerance.BUDGETS["float32"], tensor) == (True, name)


def test_a_wrong_gradient_is_found_in_what_a_step_of_descent_leaves():
    expected, values = right("train")
    for name, before in TINY.draw().params.items():
        wrong = before + (values[name] - before) * np.float32(1.01)
        error, tensor = worst(work_of("train"), values | {name: wrong}, expected)
        assert (error > tolerance.BUDGETS["float32"], tensor) == (True, name)


def test_one_wrong_row_is_found_in_outputs_and_in_gradients():
    expected, values = right("backward")
    for name, rows in (("ys", 1), ("h_n", 1), ("d_xs", 1), ("d_weight_hh_l0", 0)):
        wrong = values[name].copy()
        np.moveaxis(wrong, rows, 0)[6] *= np.float32(1.01)
        error, tensor = worst(work_of("backward"), values | {name: wrong}, expected)
        assert (error > tolerance.BUDGETS["float32"], tensor) == (True, name)


@pytest.mark.parametrize("mode", MODES)
def test_what_a_runner_does_not_give_is_wrong_but_for_a_bias(mode):
    expected, values = right(mode)
    for name in values:
        less = {k: a for k, a in values.items() if k != name}
        error, tensor = worst(work_of(mode), less, expected)
        if "bias" in name or (mode == "step" and name != "ys"):
            assert error <= tolerance.BUDGETS["float32"]
        else:
            assert (error, tensor) == (np.inf, name)


def test_numbers_that_are_not_finite_or_of_another_shape_are_infinitely_wrong():
    expected, values = right("forward")
    for wrong in (values["ys"] * np.nan, values["ys"][:-1]):
        found = worst(work_of("forward"), values | {"ys": wrong}, expected)
        assert found == (np.inf, "ys")


def test_other_rows_have_no_weight_and_the_problem_is_not_changed():
    problem = TINY.draw()
    before = [a.copy() for a in problem.cotangents]
    few = sparse(problem, [0, 3, 6])
    triples = zip(few.cotangents, problem.cotangents, before, strict=True)
    for found, given, old in triples:
        np.testing.assert_array_equal(given, old)
        np.testing.assert_array_equal(found[:, :, [0, 3, 6]], given[:, :, [0, 3, 6]])
        assert not found[:, :, [1, 2, 4, 5]].any()


def test_operations_are_those_of_the_products():
    case = Case(name="a", batch=(3,), steps=5, input_size=2, hidden_size=4)
    layer = 2 * (16 * 2 + 16 * 4)  # four gates of four, of two inputs and four h
    assert work_of("forward", case).flops == 5 * 3 * layer
    assert work_of("step", case).flops == 3 * layer
    for mode in ("backward", "train"):
        assert work_of(mode, case).flops == 3 * 5 * 3 * layer
    deep = replace(case, num_layers=2, bidirectional=True, proj_size=3)
    first = 2 * 2 * (16 * 2 + 16 * 3 + 3 * 4)  # two directions, h of three
    second = 2 * 2 * (16 * 6 + 16 * 3 + 3 * 4)
    assert work_of("forward", deep).flops == 5 * 3 * (first + second)
