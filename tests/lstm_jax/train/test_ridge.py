"""Ridge regression: against a direct solve, the choice of the penalty, its bounds."""

from typing import NamedTuple

import numpy as np
import pytest

from lstm_jax.train import Arrays
from lstm_jax.train.scores import systems
from lstm_jax.train.scores.ridge import errors_of, fit_ridge, why_not

WINDOW, FEATURES, OUTPUTS = 5, 3, 4


class Case(NamedTuple):
    windows: int
    weights: str


CASES = [Case(n, kind) for n in (211, 11) for kind in ("none", "half", "few", "any")]


def drawn(case: Case, seed: int = 0) -> Arrays:
    """Windows of features that are not centred, with missing targets as NaN."""
    draw = np.random.default_rng(seed)
    xs = 3 + draw.normal(size=(case.windows, WINDOW, FEATURES))
    slopes = np.random.default_rng(9).normal(size=(WINDOW * FEATURES, OUTPUTS))
    ys = xs.reshape(case.windows, -1) @ slopes - 50
    ys += 9 * draw.normal(size=ys.shape)
    uniform = draw.random(size=ys.shape)
    kinds = {"none": uniform > -1, "half": uniform > 0.5, "few": uniform > 0.1}
    weights = kinds.get(case.weights, 0.5 + uniform).astype(np.float32)
    weights[:, 2] = weights[:, 0]
    ys[weights == 0] = np.nan
    arrays = (xs.astype(np.float32), ys.astype(np.float32))
    return Arrays(*arrays, None if case.weights == "none" else weights)


def solved(rows: Arrays, penalties: np.ndarray) -> np.ndarray:
    """Coefficients, then the intercept: least squares with the penalty as more rows."""
    xs = rows.xs.reshape(len(rows), -1).astype(np.float64)
    features, found = xs.shape[1], []
    for output, penalty in enumerate(penalties):
        weight = np.ones(len(rows))
        if rows.weights is not None:
            weight = rows.weights[:, output].astype(np.float64)
        known = weight > 0
        root = np.sqrt(weight[known])[:, None]
        ones = np.ones((known.sum(), 1))
        above = root * np.concatenate([xs[known], ones], axis=1)
        below = np.sqrt(penalty) * np.eye(features, features + 1)
        right = root[:, 0] * rows.ys[known, output]
        left, right = (
            np.concatenate([above, below]),
            np.append(right, np.zeros(features)),
        )
        found.append(np.linalg.lstsq(left, right, rcond=None)[0])
    return np.stack(found, axis=1)


@pytest.mark.parametrize("chunk", [2**25, 8 * WINDOW * FEATURES * 7])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_ridge_equals_a_direct_solve(
    case: Case, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "CHUNK", chunk)
    train, valid = drawn(case), drawn(Case(23, case.weights), seed=1)
    fitted = fit_ridge(train, valid)
    expected = solved(train, fitted.penalties)
    np.testing.assert_allclose(fitted.coefficients, expected[:-1], rtol=0, atol=1e-8)
    np.testing.assert_allclose(fitted.intercepts, expected[-1], rtol=1e-8)
    features = valid.xs.reshape(len(valid), -1).astype(np.float64)
    outputs = features @ expected[:-1] + expected[-1]
    np.testing.assert_allclose(fitted.predict(valid), outputs, rtol=1e-8)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_penalty_near_the_chosen_one_is_better(case: Case) -> None:
    train, valid = drawn(case), drawn(Case(23, case.weights), seed=1)
    chosen, inside = fit_ridge(train, valid).penalties, 0
    for system in systems.systems(train):
        for place, column in enumerate(system.columns):
            near = chosen[column] * 10 ** np.array([-0.5, 0, 0.5])
            errors = errors_of(system, valid, near)[:, place]
            power = round(np.log10(chosen[column] / system.values.max()), 3)
            assert errors[1] < errors[0] or power == -10, column
            assert errors[1] < errors[2] or power == 6, column
            inside += -10 < power < 6
    assert inside >= 2


def test_validation_weights_choose_the_penalty() -> None:
    train, valid = drawn(Case(23, "none")), drawn(Case(40, "none"), seed=1)
    wrong = np.concatenate([valid.ys, 40 - 3 * valid.ys])
    weights = np.repeat([[1.0], [0.0]], len(valid), axis=0).repeat(OUTPUTS, axis=1)
    masked = Arrays(np.concatenate([valid.xs, valid.xs]), wrong, weights)
    expected = fit_ridge(train, valid).penalties
    np.testing.assert_array_equal(fit_ridge(train, masked).penalties, expected)
    assert (fit_ridge(train, Arrays(masked.xs, wrong)).penalties != expected).any()


def test_the_grid_is_widened_at_both_edges() -> None:
    draw = np.random.default_rng(3)
    xs = draw.normal(size=(60, 4, 2)).astype(np.float32)
    first = xs.reshape(60, -1)[:, 0]
    ys = np.stack([first, -first], axis=1)
    train, valid = Arrays(xs[:30], ys[:30]), Arrays(xs[30:], ys[30:] * [[1, -1]])
    unit = max(system.values.max() for system in systems.systems(train))
    exact, opposite = np.log10(fit_ridge(train, valid).penalties / unit)
    assert exact == -10
    assert opposite == 6


def test_an_output_without_a_target_predicts_nothing() -> None:
    train, valid = drawn(Case(40, "half")), drawn(Case(20, "half"), seed=1)
    assert train.weights is not None
    train.weights[:, 1], train.ys[:, 1] = 0, np.nan
    predicted = fit_ridge(train, valid).predict(valid)
    assert np.isnan(predicted[:, 1]).all()
    assert np.isfinite(predicted[:, [0, 2, 3]]).all()


def test_no_windows_to_predict_have_no_outputs() -> None:
    train, valid = drawn(Case(40, "none")), drawn(Case(20, "none"), seed=1)
    none = Arrays(valid.xs[:0], valid.ys[:0])
    assert fit_ridge(train, valid).predict(none).shape == (0, OUTPUTS)


def test_what_is_too_large_is_not_run() -> None:
    case = Arrays(np.zeros((50, 40, 2)), np.zeros((50, 1)))
    assert why_not(case, case) == ""
    assert why_not(case, case, memory=2**20) == "it needs 0.1 GiB, and may take 0.0"
    flat = np.zeros((1, 1, 1), np.float32)
    large = np.broadcast_to(flat, (12_001, 100, 130))
    rows = Arrays(large, np.zeros((12_001, 1)))
    assert why_not(rows, case) == (
        "12,001 windows of 13,000 features are too many, one of both must be at most "
        "12,000"
    )
    wide = Arrays(large[:50], np.zeros((50, 1)))
    assert why_not(wide, case) == ""


def test_a_part_without_windows_is_not_fitted() -> None:
    rows = Arrays(np.zeros((5, 4, 2)), np.zeros((5, 1)))
    none = Arrays(rows.xs[:0], rows.ys[:0])
    assert why_not(none, rows) == why_not(rows, none) == "a part has no windows"
