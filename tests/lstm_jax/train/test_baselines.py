"""Baselines: what each predicts, what it is fitted on, and what chooses."""

import re

import numpy as np
import pytest

from lstm_jax.train.scores import baselines as rooms, ridge
from lstm_jax.train.scores.baselines import (
    MEAN,
    PERSISTENCE,
    RIDGE,
    SEASONAL,
    Baseline,
    baseline_losses,
    compare_periods,
    fit_baselines,
    seasons,
)
from tests.given.scored import DAY, Parts, Plan, parts


def wave(rows: int, period: int, seed: int = 0, targets: int = 1) -> np.ndarray:
    """A season, a rough level and a little noise, `(rows, targets)`."""
    draw = np.random.default_rng(seed)
    season = 4 * np.sin(2 * np.pi * np.arange(rows) / period)[:, None]
    return 20 + season + draw.normal(size=(rows, targets))


def weeks(**options: object) -> Parts:
    return parts(Plan({"": wave(120, 7)})._replace(**options), 60, 90)


def by_name(dataset: Parts, **options: int) -> dict[str, Baseline]:
    return {baseline.name: baseline for baseline in fit_baselines(dataset, **options)}


def predicted(baseline: Baseline, windows: object) -> np.ndarray:
    assert baseline.predict is not None
    return baseline.predict(windows)  # pyright: ignore[reportArgumentType]


def test_each_baseline_predicts_what_its_name_says() -> None:
    dataset = weeks(horizon=3)
    series, found = dataset.test.plan.series[""], by_name(dataset)
    row = dataset.test.ends[4][1]
    for name, expected in {
        PERSISTENCE: [series[row]] * 3,
        SEASONAL: series[row - 6 : row - 3],
        MEAN: [series[:60].mean(axis=0)] * 3,
    }.items():
        got = predicted(found[name], dataset.test)
        assert got.shape == dataset.test.truth().shape
        np.testing.assert_allclose(got[4], expected, rtol=1e-14)


def test_ridge_predicts_in_the_unit_of_the_target() -> None:
    dataset = weeks(horizon=2, scale=7.0)
    fitted = ridge.fit_ridge(dataset.train, dataset.valid)
    expected = (
        dataset.test.last()[:, None] + 7 * fitted.predict(dataset.test)[..., None]
    )
    got = predicted(by_name(dataset)[RIDGE], dataset.test)
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_ridge_learns_what_is_linear() -> None:
    values = np.zeros((90, 1))
    draw = np.random.default_rng(4)
    values[:2] = draw.normal(size=(2, 1))
    for t in range(2, 90):
        values[t] = 1.6 * values[t - 1] - values[t - 2]
    dataset = parts(Plan({"": values}), 40, 60)
    off = predicted(by_name(dataset)[RIDGE], dataset.test) - dataset.test.truth()
    assert np.abs(off).max() < 1e-4


def test_at_horizon_0_persistence_is_the_value_before() -> None:
    dataset = weeks(horizon=0, change=False)
    found, row = by_name(dataset)[PERSISTENCE], dataset.test.ends[2][1]
    series = dataset.test.plan.series[""]
    assert predicted(found, dataset.test)[2] == series[row - 1]
    assert found.note == (
        "the last known value before the predicted step; it sees the target's past, "
        "which the model does not"
    )
    expected = "the last known value"
    assert by_name(weeks())[PERSISTENCE].note == expected
    found = by_name(weeks(change=False))[PERSISTENCE].note
    assert found == f"{expected}; it sees the target's past, which the model does not"


def test_the_mean_is_the_one_of_the_group() -> None:
    series = {"low": wave(40, 7) - 10, "high": wave(40, 7, 1) + 10, "new": wave(40, 7)}
    series["low"][5:20] = np.nan
    dataset = parts(Plan(series), 20, 30)
    seen = tuple(end for end in dataset.train.ends if end[0] != "new")
    train = type(dataset.train)(dataset.train.plan, seen)
    got = predicted(by_name(dataset._replace(train=train))[MEAN], dataset.test)[:, 0, 0]
    seen = np.stack([series[name][:20, 0] for name in ("low", "high")])
    for name, mine in zip(("low", "high"), seen, strict=True):
        mean = np.nanmean(mine)
        np.testing.assert_allclose(got[dataset.test.groups == name], mean, rtol=1e-14)
    new = got[dataset.test.groups == "new"]
    np.testing.assert_allclose(new, np.nanmean(seen), rtol=1e-14)


def test_no_baseline_sees_the_test_part() -> None:
    plan = Plan({"": wave(120, 28)}, horizon=2, step=DAY // 4)
    garbage = {"": plan.series[""].copy()}
    garbage[""][90:] = 1e6
    for clean, dirty in zip(
        fit_baselines(parts(plan, 60, 90)),
        fit_baselines(parts(plan._replace(series=garbage), 60, 90)),
        strict=True,
    ):
        assert clean.note == dirty.note
        windows = parts(plan, 60, 90).test
        np.testing.assert_array_equal(
            predicted(clean, windows), predicted(dirty, windows)
        )


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (300e6, {288: "a day", 2016: "a week", 105192: "a year"}),
        (3600e6, {24: "a day", 168: "a week", 8766: "a year"}),
        (DAY, {7: "a week", 365: "a year"}),
        (7 * DAY, {52: "a year"}),
        (31 * DAY, {12: "a year"}),
        (92 * DAY, {4: "a year"}),
        (3 * DAY, {122: "a year"}),
        (365 * DAY, {}),
        (None, {}),
    ],
)
def test_a_season_is_a_whole_number_of_rows(step, expected: dict[int, str]) -> None:
    assert seasons(step) == expected


def test_the_period_is_the_best_one() -> None:
    assert compare_periods(weeks().valid, [5, 7, 9])[0] == 7


def test_seasons_are_compared_where_all_of_them_predict() -> None:
    valid = weeks().valid
    half = (np.arange(len(valid)) < 0.6 * len(valid))[:, None, None]
    truth, made = valid.truth(), type(valid)(valid.plan, valid.ends)
    held = {7: truth + 3 * half, 365: np.where(half, truth + 2.5, np.nan)}
    object.__setattr__(made, "past", held.__getitem__)
    assert compare_periods(made, [7, 365]) == [365, 7]


def test_a_season_that_reaches_back_too_far_is_no_candidate() -> None:
    valid = weeks().valid
    assert np.isnan(valid.past(80)).mean() > 0.5
    best = valid.truth()
    close = type(valid)(valid.plan, valid.ends)
    object.__setattr__(close, "past", lambda n: best if n == 80 else valid.past(n))
    assert compare_periods(close, [7, 80]) == [80, 7]
    reaches = np.arange(len(valid)) < 0.4 * len(valid)
    far = np.where(reaches[:, None, None], best, np.nan)
    object.__setattr__(close, "past", lambda n: far if n == 80 else valid.past(n))
    assert compare_periods(close, [7, 80]) == [7]


def test_seasons_that_no_window_has_in_common_are_judged_by_their_number() -> None:
    valid = weeks().valid
    first = (np.arange(len(valid)) < len(valid) // 2)[:, None, None]
    truth, apart = valid.truth(), type(valid)(valid.plan, valid.ends)
    held = {7: np.where(first, truth, np.nan), 365: np.where(first, np.nan, truth + 9)}
    object.__setattr__(apart, "past", held.__getitem__)
    assert compare_periods(apart, [7, 365]) == [7 if len(valid) % 2 == 0 else 365]


def test_notes_say_the_period_and_who_chose_it() -> None:
    found = by_name(weeks())[SEASONAL]
    reached = "a week, the season that most windows of the validation part reach"
    assert (found.note, found.period) == (f"the value 7 rows before ({reached})", 7)
    found = by_name(weeks(step=DAY // 4))[SEASONAL]
    chosen = "a week, the best of 4, 28 on the validation part"
    assert (found.note, found.period) == (f"the value 28 rows before ({chosen})", 28)
    found = by_name(weeks(), period=1)[SEASONAL]
    assert (found.note, found.period) == ("the value 1 row before (asked for)", 1)
    found = by_name(weeks(step=31 * DAY))[SEASONAL]
    assert found.note == "the value 12 rows before (a year)"


def test_what_is_not_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "why_not", lambda *_: "too large")
    found = by_name(weeks(dated=False))
    assert found[RIDGE] == Baseline(RIDGE, "too large", None)
    why = "no season of two rows or more is known"
    assert found[SEASONAL] == Baseline(SEASONAL, why, None)
    assert predicted(found[PERSISTENCE], weeks().test).size


def test_a_season_that_no_window_reaches_is_not_run() -> None:
    series = {"": np.random.default_rng(8).normal(size=(60, 1))}
    dataset = parts(Plan(series, step=86_400_000_000 // 288), 30, 45)
    why = "no window reaches a day or a week or a year back without a hole"
    assert by_name(dataset)[SEASONAL] == Baseline(SEASONAL, why, None)


def test_a_period_of_no_rows_is_refused() -> None:
    message = (
        "fit_baselines: period=0 must be at least 1: a season has rows. Use the rows "
        "of a season, such as 7 for a week of days."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        _ = fit_baselines(weeks(), period=0)


@pytest.mark.parametrize("change", [True, False])
def test_losses_are_those_of_the_scaled_targets(change: bool) -> None:
    dataset = weeks(horizon=2, scale=3.0, mean=20.0, change=change)
    batch = dataset.valid.take(np.arange(len(dataset.valid)))
    assert batch.weights is not None
    fitted = fit_baselines(dataset)
    found = baseline_losses(dataset.valid, fitted)
    outputs = ridge.fit_ridge(dataset.train, dataset.valid).predict(dataset.valid)
    squares = batch.weights * (outputs - batch.ys) ** 2
    expected = squares.sum() / batch.weights.sum()
    assert found[RIDGE] == pytest.approx(expected, rel=1e-6)
    if change:
        persistence = (batch.weights * batch.ys**2).sum() / batch.weights.sum()
        assert found[PERSISTENCE] == pytest.approx(persistence, rel=1e-6)
    half = baseline_losses(dataset.valid, fitted, (0.5,))[PERSISTENCE]
    last = np.broadcast_to(dataset.valid.last()[:, None], dataset.valid.truth().shape)
    absolute = np.abs(last - dataset.valid.truth()).mean() / 3 / 2
    assert half == pytest.approx(absolute, rel=1e-6)


def test_losses_leave_out_what_is_not_run_and_what_is_not_predicted() -> None:
    dataset = weeks()
    nothing = Baseline("nothing", "", None)

    def half(windows) -> np.ndarray:
        far = np.arange(len(windows))[:, None, None] % 2 == 0
        return np.where(far, windows.truth() + 2, np.nan)

    assert baseline_losses(dataset.valid, [nothing, Baseline("half", "", half)]) == {
        "half": pytest.approx(4, rel=1e-12)
    }
