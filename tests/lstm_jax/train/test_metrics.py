"""Scores of predictions: their formulas in another form, NaN, and what is undefined."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstm_jax.train.scores import bands, metrics

PLAIN: dict[str, Callable[..., float]] = {
    "rmse": metrics.rmse,
    "mae": metrics.mae,
    "nse": metrics.nse,
    "kge": metrics.kge,
    "mase": lambda p, y: metrics.mase(p, y, 2.0),
    "skill": lambda p, y: metrics.skill(p, y, y + 3),
    "pinball": lambda p, y: bands.pinball(np.stack([p, p + 1], -1), y, (0.2, 0.7)),
    "coverage": lambda p, y: bands.coverage(np.stack([p - 1, p + 1], -1), y),
}


def pair(seed: int = 0, n: int = 31) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = 5 + 3 * draw.normal(size=n)
    return truth + draw.normal(size=n), truth


def test_scores_equal_their_formulas_term_by_term() -> None:
    p, y = pair()
    errors = [float(a - b) for a, b in zip(p, y, strict=True)]
    mean = math.fsum(y) / len(y)
    squares = math.fsum(e * e for e in errors)
    spread = math.fsum((b - mean) ** 2 for b in y)
    assert metrics.rmse(p, y) == pytest.approx(math.sqrt(squares / len(y)), rel=1e-12)
    absolute = math.fsum(map(abs, errors)) / len(y)
    assert metrics.mae(p, y) == pytest.approx(absolute, rel=1e-12)
    assert metrics.mase(p, y, 0.7) == pytest.approx(absolute / 0.7, rel=1e-12)
    assert metrics.nse(p, y) == pytest.approx(1 - squares / spread, rel=1e-12)
    reference = y + 2
    assert metrics.skill(p, y, reference) == pytest.approx(
        1 - squares / (4 * len(y)), rel=1e-12
    )


def test_kge_has_the_correlation_and_both_ratios() -> None:
    p, y = pair(1)
    parts = np.corrcoef(p, y)[0, 1], np.std(p) / np.std(y), np.mean(p) / np.mean(y)
    expected = 1 - math.sqrt(sum((part - 1) ** 2 for part in parts))
    assert metrics.kge(p, y) == pytest.approx(expected, rel=1e-12)
    assert metrics.kge(2 * y, y) == pytest.approx(1 - math.sqrt(2), rel=1e-12)


def test_pinball_weighs_both_sides_by_the_quantile() -> None:
    held, y = np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([4.0, 20.0])
    expected = (0.1 * 4 + 0.1 * 6 + 0.1 * 20 + 0.9 * 10) / 4
    assert bands.pinball(held, y, (0.1, 0.9)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_a_truth_that_is_nan_is_left_out(name: str) -> None:
    p, y = pair(2)
    known = np.arange(len(y)) % 3 > 0
    holed = np.where(known, y, np.nan)
    absurd = np.where(known, p, np.nan)
    assert PLAIN[name](absurd, holed) == PLAIN[name](p[known], y[known])
    assert PLAIN[name](p, holed) != PLAIN[name](p, y)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("absurd", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_has_no_score(name: str, absurd: float) -> None:
    p, y = pair(3)
    p[4] = absurd
    assert math.isnan(PLAIN[name](p, y))


@pytest.mark.parametrize("name", PLAIN)
def test_no_truth_no_score(name: str) -> None:
    p, y = pair(4)
    assert math.isnan(PLAIN[name](p, y * np.nan))
    assert math.isnan(PLAIN[name](p[:0], y[:0]))


@pytest.mark.parametrize("name", ["rmse", "mae", "nse", "kge"])
def test_float32_of_any_shape_is_summed_in_float64(name: str) -> None:
    p, y = (values.astype(np.float32) for values in pair(5, 30))
    found = PLAIN[name](p.reshape(5, 3, 2), y.reshape(5, 3, 2))
    assert found == PLAIN[name](p.astype(np.float64), y.astype(np.float64))


def test_what_is_undefined_is_nan() -> None:
    p, y = pair(6)
    same = np.full_like(y, 0.1)
    assert math.isnan(metrics.nse(p, same))
    assert math.isnan(metrics.kge(p, same))
    assert math.isnan(metrics.kge(same, y))
    assert math.isnan(metrics.kge(p - p.mean(), np.array([-1.0, 1.0] * 15 + [0.0])))
    assert math.isnan(metrics.skill(p, y, y))
    assert math.isnan(metrics.mase(p, y, 0.0))
    assert math.isnan(metrics.mase(p, y, math.nan))


def test_skill_counts_only_what_the_reference_predicts() -> None:
    p, y = pair(7)
    reference = np.where(np.arange(len(y)) < 9, np.nan, y + 2)
    expected = metrics.skill(p[9:], y[9:], y[9:] + 2)
    assert metrics.skill(p, y, reference) == expected


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("name", ["rmse", "mae", "nse", "kge", "skill"])
def test_other_shapes_are_refused(name: str) -> None:
    message = (
        f"{name}: predicted.shape=(4,) must be (3,): that is the shape of the truth. "
        "Use one prediction for each truth."
    )
    given: Any = {"predicted": np.ones(4), "truth": np.ones(3)}
    if name == "skill":
        given["reference"] = np.ones(3)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        _ = getattr(metrics, name)(**given)
