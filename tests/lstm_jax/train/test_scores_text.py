"""Scores in words: whole texts, each sentence, and names out of a table."""

import math
from typing import Any

import numpy as np
import pytest

from lstm_jax.train.scores.baselines import MEAN, PERSISTENCE, RIDGE, SEASONAL
from lstm_jax.train.scores.measured import MODEL, Line, Spread
from lstm_jax.train.scores.sentences import decimals, shown, undefined
from lstm_jax.train.scores.table import Scores
from lstm_jax.train.scores.text import printable

NOTES = {
    PERSISTENCE: "the last known value",
    SEASONAL: "the value 7 rows before (a week)",
    MEAN: "the mean of the training part",
    RIDGE: "linear in the 24 features of a window, penalty 31.6 by the validation part",
}
ERRORS = {MODEL: 2.701, PERSISTENCE: 3.0, SEASONAL: 4.1, MEAN: 7.5, RIDGE: 2.612}


def line(row: str, rmse: float, **changes: Any) -> Line:
    """Scores of a truth of variance 64, whose last known value is off by 3."""
    made = Line(
        target="temp",
        row=row,
        group=None,
        step=None,
        known=1000,
        scored=1000,
        rmse=rmse,
        mae=0.8 * rmse,
        skill=1 - (rmse / 3) ** 2,
        nse=1 - (rmse / 8) ** 2,
        kge=1 - rmse / 10,
        mase=rmse / 2,
        model_rmse=2.701,
    )
    return made._replace(**changes)


def result(*lines: Line, **changes: Any) -> Scores:
    given: dict[str, Any] = {"part": "test", "horizon": 1, "targets": ("temp",)}
    given |= {"notes": NOTES, "spreads": ()}
    return Scores(lines=lines, **given | changes)


def five(**errors: float) -> list[Line]:
    named = {"training_mean": MEAN, "seasonal": SEASONAL}
    changed = {named.get(name, name): error for name, error in errors.items()}
    return [line(row, error) for row, error in (ERRORS | changed).items()]


FIVE = """\
Test part: 1,000 values of temp, in its own unit, 1 row ahead:

                   RMSE    MAE   skill    NSE    KGE
  model            2.70   2.16    0.19   0.89   0.73
  persistence      3.00   2.40    0.00   0.86   0.70
  seasonal naive   4.10   3.28   -0.87   0.74   0.59
  training mean    7.50   6.00   -5.25   0.12      -
  ridge            2.61   2.09    0.24   0.89   0.74

KGE is undefined for constant predictions: training mean.

persistence: the last known value.
seasonal naive: the value 7 rows before (a week).
training mean: the mean of the training part.
ridge: linear in the 24 features of a window, penalty 31.6 by the validation
  part.

NSE compares with the mean of the truth and flatters: persistence alone has
  0.86.
Best on the test part: ridge, RMSE 2.61; the model has 2.70."""


def test_the_text_has_five_rows_and_ends_with_the_best() -> None:
    lines = five()
    lines[3] = lines[3]._replace(kge=math.nan)
    assert result(*lines).text(width=76) == FIVE


GROUPS = """\
Validation part: 1,000 values of temp, in its own unit, 1 to 24 rows ahead:

                      RMSE     MAE       skill       NSE      KGE   scored
  model               2.70    2.16        0.19      0.89     0.73     100%
  persistence         3.00    2.40        0.00      0.86     0.70     100%
  seasonal naive      2.00    1.60        0.56      0.94     0.80      91%
  training mean     123.50   98.80   -1,693.69   -237.32   -11.35     100%
  ridge            not run

Quantiles: 78% of the values lie between 0.1 and 0.9, 80% should; 12% below 0.1, 50%
  below 0.5, 90% below 0.9. Pinball loss 0.500. The median is scored as the prediction.

The 4 groups, each by itself:

                   best in   skill 25%     50%     75%   NSE 25%     50%     75%
  model                  2       -0.19    0.28    0.64      0.83    0.90    0.95
  persistence            2        0.00    0.00    0.00      0.86    0.86    0.86
  seasonal naive         0        0.91    0.91    0.91      0.99    0.99    0.99
  training mean          0       -8.00   -8.00   -8.00     -0.27   -0.27   -0.27

  the model's worst   values   RMSE   persistence's   skill    NSE
  b1                   1,200   4.00            3.00   -0.78   0.75
  b4                   1,200   3.00            3.00    0.00   0.86
  b0                   1,200   2.00            3.00    0.56   0.94
  b2                   1,200   1.00            3.00    0.89   0.98

No truth is known in b3.

persistence: the last known value.
seasonal naive: the value 7 rows before (a week).
training mean: the mean of the training part.
ridge is not run: too large.
This part chose the season, the penalties and the model's best step.

NSE compares with the mean of the truth and flatters: persistence alone has 0.86.
On the 91% of the values that seasonal naive predicts it has RMSE 2.00, and the model
  2.50.
Best on the validation part: the model, RMSE 2.70; next is persistence with 3.00."""


def test_groups_quantiles_and_what_is_not_run() -> None:
    lines = [line(MODEL, 2.701), line(PERSISTENCE, 3.0), line(MEAN, 123.5)]
    lines += [line(SEASONAL, 2.0, scored=910, model_rmse=2.5)]
    errors = {"b0": 2.0, "b1": 4.0, "b2": 1.0, "b3": math.nan, "b4": 3.0}
    for group, error in errors.items():
        known = 0 if math.isnan(error) else 1200
        whose: dict[str, Any] = {"group": group, "known": known, "scored": known}
        others = {PERSISTENCE: 3.0, MEAN: 9.0, SEASONAL: 0.9}
        lines += [line(MODEL, error, **whose)]
        for name, their in others.items():
            lines += [line(name, their if known else math.nan, **whose)]
        lines[-1] = lines[-1]._replace(scored=known and 900)
    spread = Spread("temp", 0.5, 0.781, 0.8, {0.1: 0.123, 0.5: 0.5, 0.9: 0.904})
    notes = {**NOTES, RIDGE: "too large"}
    changes = {"part": "valid", "horizon": 24, "spreads": (spread,), "notes": notes}
    assert result(*lines, **changes).text() == GROUPS


def test_one_quantile_has_nothing_between() -> None:
    spread = Spread("temp", 0.5, 0.0, 0.0, {0.5: 0.48})
    said = result(*five(), spreads=(spread,)).text().splitlines()
    assert (
        "Quantiles: 48% below 0.5. Pinball loss 0.500. The median is scored as the "
        "prediction."
    ) in said


def conclusion(lines: list[Line]) -> list[str]:
    """The sentences after the one about NSE."""
    return list(result(*lines).sentences()[1:])


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({}, "Best on the test part: ridge, RMSE 2.61; the model has 2.70."),
        (
            {"model": 2.0},
            "Best on the test part: the model, RMSE 2.00; next is ridge with 2.61.",
        ),
        (
            {"model": 2.6119},
            "Best on the test part: the model, RMSE 2.6119; next is ridge with 2.6120.",
        ),
        (
            {"model": 3.0, "ridge": 4.0},
            "Best on the test part: the model, RMSE 3.00; persistence has the same.",
        ),
        (
            {"model": 3.5, "ridge": 4.0},
            "Best on the test part: persistence, RMSE 3.00; the model has 3.50.",
        ),
        (
            {"model": 3.5},
            (
                "Best on the test part: ridge, RMSE 2.61; the model has 3.50. "
                "Persistence, with 3.00, beats the model, too."
            ),
        ),
        (
            {"model": math.nan},
            "The model predicts NaN or infinity: every baseline is better.",
        ),
    ],
)
def test_the_last_sentence_names_the_best_row(errors: dict, expected: str) -> None:
    assert conclusion(five(**errors)) == [expected]


def test_a_baseline_that_predicts_a_part_is_compared_on_that_part() -> None:
    lines = five()
    lines[2] = line(SEASONAL, 2.5, scored=905, model_rmse=2.6)
    assert conclusion(lines) == [
        (
            "On the 90% of the values that seasonal naive predicts it has RMSE 2.50, "
            "and the model 2.60."
        ),
        "Best on the test part: ridge, RMSE 2.61; the model has 2.70.",
    ]
    lines[2] = line(SEASONAL, 2.6, scored=905, model_rmse=2.5)
    assert len(conclusion(lines)) == 1


def test_a_model_may_be_the_only_row_that_predicts_all() -> None:
    lines = [line(MODEL, 2.701), line(PERSISTENCE, 3.0, scored=400)]
    assert conclusion(lines) == ["Best on the test part: the model, RMSE 2.70."]


def test_nse_is_said_to_flatter_only_where_it_does() -> None:
    lines = five()
    said = "NSE compares with the mean of the truth and flatters: persistence alone "
    assert result(*lines).sentences()[0] == f"{said}has 0.86."
    lines[1] = lines[1]._replace(nse=-0.3)
    assert len(result(*lines).sentences()) == 1
    lines[1] = lines[1]._replace(nse=math.nan)
    assert len(result(*lines).sentences()) == 1


def test_several_targets_have_a_sentence_each() -> None:
    lines = [*five(), *(one._replace(target="rain") for one in five(model=1.0))]
    said = result(*lines, targets=("temp", "rain")).sentences()
    assert said[1].startswith("temp: Best on the test part: ridge")
    assert said[3].startswith("rain: Best on the test part: the model")
    assert len(said) == 4


def test_no_known_truth_says_nothing_of_the_model() -> None:
    none = {"known": 0, "scored": 0, "skill": math.nan, "nse": math.nan}
    lines = [line(row, math.nan, **none, kge=math.nan) for row in ERRORS]
    assert list(result(*lines).sentences()) == [
        "No truth is known in the test part: nothing can be said of the model."
    ]
    assert list(undefined(result(*lines).over_all("temp"))) == []
    assert "0 values of temp" in result(*lines).text()


@pytest.mark.parametrize(
    ("changes", "rows", "expected"),
    [
        ({}, ERRORS, None),
        ({"kge": math.nan}, ERRORS, "KGE is undefined: the mean of the truth is 0."),
        (
            {"kge": math.nan},
            [MEAN, PERSISTENCE],
            "KGE is undefined for constant predictions: persistence, training mean.",
        ),
        (
            {"nse": math.nan, "kge": math.nan},
            ERRORS,
            "NSE and KGE are undefined: the truth is constant.",
        ),
        (
            {"skill": math.nan},
            ERRORS,
            "Skill is undefined: persistence makes no error, or predicts nothing.",
        ),
        (
            {"rmse": math.nan, "nse": math.nan, "kge": math.nan, "skill": math.nan},
            [MODEL],
            "The model has no scores: it predicts NaN or infinity.",
        ),
    ],
)
def test_what_is_undefined_is_said(changes: dict, rows, expected: str | None) -> None:
    lines = {one.row: one for one in five()}
    for row in rows:
        lines[row] = lines[row]._replace(**changes)
    assert list(undefined(lines)) == ([] if expected is None else [expected])


def test_horizon_0_is_said() -> None:
    title = result(*five(), horizon=0).text().splitlines()[0]
    assert title == (
        "Test part: 1,000 values of temp, in its own unit, each at the last row of its "
        "window:"
    )


def test_names_cannot_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\nb") == "a?[31m?b"
    assert printable("a" * 40) == "a" * 29 + "..."
    lines = [one._replace(target="t\x07") for one in five()]
    assert "\x07" not in result(*lines, targets=("t\x07",)).text()


def test_numbers_have_three_digits_that_matter() -> None:
    assert decimals(np.array([27.6, 153.0, math.nan])) == 1
    assert decimals(np.array([1e-9, 2.0])) == 2
    assert decimals(np.array([math.nan])) == decimals(np.array([0.0, 5000.0])) == 0
    assert shown(math.nan, 2) == "-"
    assert shown(3e8, 0) == "3.00e+08"
    assert shown(-2e-5, 2) == "0.00"
