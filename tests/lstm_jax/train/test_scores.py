"""`score`: the numbers of every row, JSON, groups, and what is refused."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.train.scores import bands, metrics
from lstm_jax.train.scores.baselines import (
    MEAN,
    PERSISTENCE,
    RIDGE,
    SEASONAL,
    Baseline,
    fit_baselines,
)
from lstm_jax.train.scores.measured import MODEL, ROWS, Line
from lstm_jax.train.scores.table import Scores, score
from tests.given.scored import Parts, Plan, parts

TARGETS = ("flow", "level")


def basins(**options: object) -> Parts:
    """Three groups, one with half of the values missing, two targets, two steps."""
    draw = np.random.default_rng(5)
    series = {f"b{k}": 9 * k + draw.normal(size=(60, 2)).cumsum(0) for k in range(3)}
    series["b1"][np.arange(60) % 4 < 2, 0] = np.nan
    plan = Plan(series, horizon=2, targets=TARGETS)
    return parts(plan._replace(**options), 30, 45)


def guesses(dataset: Parts, seed: int = 1) -> np.ndarray:
    truth = np.nan_to_num(dataset.test.truth())
    return truth + np.random.default_rng(seed).normal(size=truth.shape)


@pytest.fixture(scope="module")
def scored() -> tuple[Parts, np.ndarray, Scores]:
    dataset = basins()
    predicted = guesses(dataset)
    return dataset, predicted, score(dataset, predicted)


def expected_of(dataset: Parts, p: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """The scores of these predictions, by the functions of `metrics`."""
    known = {"known": int((~np.isnan(y)).sum())}
    y = np.where(np.isnan(p), np.nan, y)
    names = ("rmse", "mae", "nse", "kge")
    found = {name: getattr(metrics, name)(p, y) for name in names}
    return {**known, "scored": int((~np.isnan(y)).sum()), **found}


def cut(dataset: Parts, line: Line, values: np.ndarray) -> np.ndarray:
    """The part of `(n, steps, targets)` that a line is about."""
    rows = np.array([line.group in (None, group) for group in dataset.test.groups])
    steps = slice(None) if line.step is None else slice(line.step - 1, line.step)
    return values[rows][:, steps, TARGETS.index(line.target)]


def test_every_line_has_the_scores_of_its_windows(scored) -> None:
    dataset, predicted, found = scored
    held = {one.name: one.predict for one in fit_baselines(dataset)}
    arrays = {name: predict(dataset.test) for name, predict in held.items() if predict}
    arrays[MODEL] = predicted
    truth = dataset.test.truth()
    for line in found.lines:
        p, y = cut(dataset, line, arrays[line.row]), cut(dataset, line, truth)
        last = cut(dataset, line, arrays[PERSISTENCE])
        expected = expected_of(dataset, p, y)
        assert {name: getattr(line, name) for name in expected} == pytest.approx(
            expected, rel=1e-12, nan_ok=True
        )
        y = np.where(np.isnan(p), np.nan, y)
        assert line.skill == metrics.skill(p, y, last)
        assert line.model_rmse == metrics.rmse(cut(dataset, line, predicted), y)


def test_there_is_a_line_for_each_row_group_and_step(scored) -> None:
    found = scored[2]
    for target in TARGETS:
        assert tuple(found.over_all(target)) == ROWS
        assert list(found.by_group(target)) == ["b0", "b1", "b2"]
        assert list(found.by_step(target)) == [1, 2]
    assert len(found.lines) == 2 * 5 * (1 + 3 + 2)
    assert found.over_all("flow")["persistence"].skill == 0


def test_predictions_of_jax_are_scored_in_float64(scored) -> None:
    dataset, predicted, _ = scored
    held = predicted.astype(np.float32)
    found, exact = (score(dataset, given) for given in (jnp.asarray(held), held))
    assert found.to_json() == exact.to_json()


def test_mase_is_scaled_by_each_groups_own_error_in_training(scored) -> None:
    dataset, predicted, found = scored
    off = np.abs(predicted - dataset.test.truth())[..., 0]
    scaled = np.full_like(off, np.nan)
    for group, lines in found.by_group("flow").items():
        train = dataset.train.plan.series[group][:30, 0]
        naive = np.abs(train[7:] - train[:-7])  # 7 days: the only season that reaches
        mine = dataset.test.groups == group
        scaled[mine] = off[mine] / np.nanmean(naive)
        assert lines[MODEL].mase == pytest.approx(np.nanmean(scaled[mine]), rel=1e-12)
    assert found.over_all("flow")[MODEL].mase == pytest.approx(np.nanmean(scaled))


def test_one_group_and_one_step_have_only_five_lines() -> None:
    series = {"": np.random.default_rng(2).normal(size=(60, 1))}
    dataset = parts(Plan(series), 30, 45)
    found = score(dataset, guesses(dataset))
    assert tuple(line.row for line in found.lines) == ROWS
    assert len(found.groups()) == 0


def test_one_window_is_scored() -> None:
    dataset = basins()
    first = type(dataset.test)(dataset.test.plan, dataset.test.ends[:1])
    one = dataset._replace(test=first)
    predicted = one.test.truth()[:, :1].repeat(2, axis=1)
    found = score(one, predicted)
    rows = found.over_all("level")
    assert rows[MODEL].known == 2
    assert rows[MODEL].rmse > 0
    assert math.isnan(rows[MEAN].kge)
    assert json.dumps(found.to_json(), allow_nan=False)
    assert found.text()


def some(name: str, values: np.ndarray | None) -> Baseline:
    return Baseline(name, "made", None if values is None else lambda _: values)


def test_a_baseline_is_scored_where_it_predicts() -> None:
    dataset = basins()
    truth = dataset.test.truth()
    half = truth + 1
    half[::2] = np.nan
    made = [some(PERSISTENCE, truth + 2), some(SEASONAL, half), some(RIDGE, None)]
    predicted = np.nan_to_num(truth) + 3
    lines = score(dataset, predicted, baselines=made).over_all("flow")
    assert list(lines) == [MODEL, PERSISTENCE, SEASONAL]
    season, model = lines[SEASONAL], lines[MODEL]
    assert model.scored == model.known == season.known > season.scored > 0
    assert season.rmse == pytest.approx(1, rel=1e-12)
    assert season.skill == pytest.approx(0.75, rel=1e-12)
    assert season.model_rmse == model.rmse == pytest.approx(3, rel=1e-12)


def test_what_the_model_predicts_as_nan_is_never_left_out() -> None:
    dataset = basins()
    predicted = guesses(dataset)
    place = tuple(np.argwhere(~np.isnan(dataset.test.truth()[..., 0]))[0])
    predicted[(*place, 0)] = np.nan
    lines = score(dataset, predicted).over_all("flow")
    assert math.isnan(lines[MODEL].rmse)
    assert lines[MODEL].scored == lines[MODEL].known
    assert lines[RIDGE].rmse > 0


def test_quantiles_are_scored_and_the_median_is_the_prediction() -> None:
    dataset = basins()
    median = guesses(dataset)
    levelled = np.stack([median - 0.5, median, median + 1], axis=-1)
    levels = (0.2, 0.5, 0.9)
    found = score(dataset, levelled, quantiles=levels)
    plain = score(dataset, median)
    assert repr(found.lines) == repr(plain.lines)
    assert plain.spreads == ()
    y = dataset.test.truth()[..., 1]
    spread = found.spreads[1]
    assert spread.target == "level"
    assert spread.pinball == bands.pinball(levelled[:, :, 1], y, levels)
    inside = (y >= levelled[..., 1, 0]) & (y <= levelled[..., 1, 2])
    assert spread.coverage == inside.mean()
    assert spread.should == pytest.approx(0.7, rel=1e-12)
    shares = {
        level: (y <= levelled[..., 1, k]).mean() for k, level in enumerate(levels)
    }
    assert spread.below == shares


def test_json_is_strict_and_holds_every_line(scored) -> None:
    found = scored[2]
    held = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert held["part"] == "test"
    assert held["horizon"] == 2
    assert held["sentences"] == list(found.sentences())
    assert held["notes"] == found.notes
    for line in found.lines:
        place = held["targets"][line.target]
        if line.group is not None:
            rows = place["groups"][line.group]
        else:
            rows = place["all"] if line.step is None else place["steps"][str(line.step)]
        for name, number in rows[line.row].items():
            value = getattr(line, name)
            assert number == value or (number is None and math.isnan(value))
    assert held["targets"]["flow"]["all"][MODEL].keys() == {*Line._fields[4:]}
    assert held["targets"]["flow"]["quantiles"] is None


def test_json_has_the_quantiles() -> None:
    dataset = basins()
    levelled = guesses(dataset)[..., None] + np.array([-1, 0, 1])
    found = score(dataset, levelled, quantiles=(0.1, 0.5, 0.9))
    held = found.to_json()["targets"]["level"]["quantiles"]
    assert held["coverage"] == found.spreads[1].coverage
    assert held["below"]["0.9"] == found.spreads[1].below[0.9]


def test_groups_are_a_table_with_a_row_for_each_group_target_and_line(scored) -> None:
    found = scored[2]
    table = found.groups()
    assert list(table.columns[:3]) == ["group", "target", "row"]
    assert len(table) == 3 * 2 * 5
    picked = table[(table.group == "b2") & (table.target == "level")]
    rmse = picked.set_index("row")["rmse"].to_dict()
    assert rmse == {k: x.rmse for k, x in found.by_group("level")["b2"].items()}


def test_each_part_is_scored_by_itself() -> None:
    dataset = basins()
    truth = np.nan_to_num(dataset.valid.truth())
    found = score(dataset, truth + 2, part="valid")
    assert found.part == "valid"
    assert found.over_all("level")[MODEL].known == truth[..., 1].size
    assert found.over_all("level")[MODEL].rmse == pytest.approx(2, rel=1e-12)


def _none_left(dataset: Parts) -> dict[str, Any]:
    nothing = type(dataset.test)(dataset.test.plan, ())
    return {"dataset": dataset._replace(test=nothing)}


REFUSED: list[tuple[Callable[[Parts], dict[str, Any]], str]] = [
    (
        lambda _: {"part": "tests"},
        (
            "score: part='tests' must be one of 'test', 'valid', 'train': a dataset "
            "has these parts. Use part='test'."
        ),
    ),
    (
        _none_left,
        (
            "score: part='test' must have windows: there is nothing to score. Use more "
            "rows, a smaller window or another split."
        ),
    ),
    (
        lambda _: {"quantiles": (0.1, 0.9)},
        (
            "score: quantiles=(0.1, 0.9) must grow from above 0 to below 1 and hold "
            "0.5: the median is what is scored. Use quantiles=(0.1, 0.5, 0.9)."
        ),
    ),
    (
        lambda _: {"quantiles": (0.9, 0.5, 0.1)},
        (
            "score: quantiles=(0.9, 0.5, 0.1) must grow from above 0 to below 1 and "
            "hold 0.5: the median is what is scored. Use quantiles=(0.1, 0.5, 0.9)."
        ),
    ),
    (
        lambda dataset: {"predicted": guesses(dataset)[:-1]},
        (
            "score: predicted.shape=(41, 2, 2) must be (42, 2, 2): windows, steps "
            "ahead, targets. Use windows.unscaled on the model's outputs for this part."
        ),
    ),
    (
        lambda _: {"quantiles": (0.1, 0.5, 0.9)},
        (
            "score: predicted.shape=(42, 2, 2) must be (42, 2, 2, 3): windows, steps "
            "ahead, targets, quantiles. Use windows.unscaled on the model's outputs "
            "for this part."
        ),
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_cannot_be_scored_is_refused(change, message: str) -> None:
    dataset = basins()
    given = {"dataset": dataset, "predicted": guesses(dataset)}
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        _ = score(**(given | change(dataset)))


def test_a_group_that_training_has_not_seen_has_no_mase() -> None:
    dataset = basins()
    seen = tuple(end for end in dataset.train.ends if end[0] != "b2")
    train = type(dataset.train)(dataset.train.plan, seen)
    found = score(dataset._replace(train=train), guesses(dataset))
    groups = found.by_group("flow")
    assert math.isnan(groups["b2"][MODEL].mase)
    assert groups["b0"][MODEL].mase > 0
    assert found.over_all("flow")[MODEL].mase > 0


def test_the_mean_has_the_score_of_the_mean() -> None:
    dataset = basins()
    test = dataset.test.truth()[..., 1]
    line = score(dataset, guesses(dataset)).by_group("level")["b0"]
    train = dataset.train.plan.series["b0"][:30, 1]
    off = test[dataset.test.groups == "b0"] - train.mean()
    assert line[MEAN].rmse == pytest.approx(np.sqrt((off**2).mean()), rel=1e-12)
