"""How far trainings are apart: by hand, and where they part."""

from dataclasses import replace

import numpy as np
import pytest

from parity.training.judged import budget_of, distances, parting_of
from parity.training.mistakes import MISTAKES, named, pairs
from parity.training.recipe import USUAL, torch_recipe, usual
from parity.training.work import Run


def run_of(losses: list[float], **weights: list[list[float]]) -> Run:
    arrays = {name: np.array(rows, float) for name, rows in weights.items()}
    return Run(np.array(losses, float), np.ones(len(losses)), arrays)


RIGHT = run_of([4.0, 2.0, 1.0], a=[[3, 4], [0, 1], [6, 8]], b=[[1], [1], [1]])


def test_distances_are_relative_to_the_largest_norm_so_far() -> None:
    other = run_of([4.0, 2.5, 1.0], a=[[3, 4], [0, 2], [6, 9]], b=[[1], [1.1], [1]])
    far = distances(other, RIGHT)
    np.testing.assert_allclose(far.loss, [0, 0.25, 0])
    np.testing.assert_allclose(far.tensors["a"], [0, 1 / 5, 1 / 10])
    np.testing.assert_allclose(far.worst, [0, 0.2, 0.1])
    assert far.farthest(1) == "a"
    assert far.farthest(0) == "a"


def test_they_part_at_the_first_step_that_is_too_far() -> None:
    other = run_of([4, 2, 1], a=[[3, 4], [0, 1], [6, 8]], b=[[1], [1 + 1e-9], [2]])
    far = distances(other, RIGHT)
    budget = budget_of("float64", [distances(RIGHT, RIGHT)])
    found = parting_of(far, budget)
    assert found is not None
    assert (found.step, found.tensor, found.of_loss) == (2, "b", False)
    assert found.sentence() == (
        "They part at step 2: after it b is furthest off, by 1.0e-09 (budget 1.0e-10)."
    )
    assert parting_of(distances(RIGHT, RIGHT), budget) is None
    near = run_of([4, 2, 1 + 9e-11], a=[[3, 4], [0, 1], [6, 8]], b=[[1]] * 3)
    assert parting_of(distances(near, RIGHT), budget) is None
    loss = run_of([4, 2, 1 + 2e-10], a=[[3, 4], [0, 1], [6, 8]], b=[[1]] * 3)
    found = parting_of(distances(loss, RIGHT), budget)
    assert found is not None
    assert found.sentence().endswith(" (budget 1.0e-10), the loss 2.0e-10.")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_infinitely_far(value: float) -> None:
    other = run_of([4, value, 1], a=[[3, 4], [0, value], [6, 8]], b=[[1]] * 3)
    far = distances(other, RIGHT)
    assert far.loss[1] == np.inf
    assert far.worst[1] == np.inf
    assert parting_of(far, budget_of("float64", [])) is not None


def test_the_budget_of_float32_is_twice_the_worst_of_torchs_runs() -> None:
    runs = [
        run_of([4, 2 + step, 1], a=[[3, 4], [0, 1], [6, 8 + step]], b=[[1]] * 3)
        for step in (1e-4, 4e-4)
    ]
    budget = budget_of("float32", [distances(run, RIGHT) for run in runs])
    np.testing.assert_allclose([budget.loss, budget.weights], [4e-4, 8e-5], rtol=1e-9)
    same = budget_of("float32", [distances(RIGHT, RIGHT)] * 2)
    assert same.loss == same.weights == 2 * 2.0**-23


def test_each_mistake_is_another_recipe_of_some_optimizer() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES)
    for mistake in MISTAKES:
        kinds = [k for k in USUAL if mistake.applies(usual(k), "float32")]
        assert kinds, mistake.name
        for kind in kinds:
            recipe = usual(kind)
            assert mistake.changed(recipe) != recipe
            assert recipe.torchs == recipe


def test_a_mistake_does_not_apply_where_it_changes_nothing() -> None:
    plain = torch_recipe("sgd", 0.1)
    able = [m.name for m in MISTAKES if m.applies(plain, "float64")]
    assert able == ["one bias", "cosine", "half the loss"]
    assert not named("float32 corrections").applies(usual("adam"), "float64")
    eps = replace(usual("adam"), eps=1e-7)
    assert not named("eps 1e-07").applies(eps, "float64")


def test_pairs_change_different_fields() -> None:
    names = [pair.name for pair in pairs(torch_recipe("sgd", 0.1), "float64")]
    assert names == [
        "one bias and cosine",
        "one bias and half the loss",
        "cosine and half the loss",
    ]
