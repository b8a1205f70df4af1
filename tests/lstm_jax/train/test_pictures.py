"""Pictures: what is drawn, read off the figure; the file; and odd series."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax.train.pictures import curve, prediction
from lstm_jax.train.pictures.losses import spread
from tests.given.scored import Hand, Parts, Plan, parts

Drawn = Callable[[], Any]
BASELINES = {"persistence": 1.0, "ridge": 0.62, "training mean": 1.3}


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """The figure that was drawn last, laid out but not written."""
    from matplotlib.figure import Figure

    held: list[Any] = []

    def savefig(self: Figure, *_: Any, **__: Any) -> None:
        self.draw_without_rendering()
        held.append(self)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return lambda: held[-1]


def history(epochs: int, **changes: Any) -> pd.DataFrame:
    steps = 25 * np.arange(1, epochs + 1)
    columns = {"step": steps, "loss": 0.4 + np.exp(-steps / 90)}
    columns |= {"validation": 0.5 + np.exp(-steps / 90) + 1e-5 * (steps - 120.0) ** 2}
    return pd.DataFrame(columns | changes)


def line(axes: Any, label: str) -> Any:
    return next(held for held in axes.get_lines() if held.get_label() == label)


def test_a_curve_has_both_losses_and_marks_the_best(figure: Drawn, tmp_path) -> None:
    held = history(8)
    curve(held, BASELINES, tmp_path / "curve.png", loss="squared error")
    (axes,) = figure().axes
    np.testing.assert_array_equal(line(axes, "training").get_ydata(), held["loss"])
    shown = line(axes, "validation")
    np.testing.assert_array_equal(shown.get_ydata(), held["validation"])
    best = held["step"][held["validation"].idxmin()]
    (step,) = np.atleast_1d(line(axes, f"best, step {best}").get_xdata())
    assert step == best
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "squared error")


def test_a_curve_has_a_named_line_for_each_baseline(figure: Drawn, tmp_path) -> None:
    more = {"lost": np.nan, "seasonal naive": 0.63}
    curve(history(8), BASELINES | more, tmp_path / "curve.png")
    (axes,) = figure().axes
    dashed = [held.get_ydata() for held in axes.get_lines() if held.get_ls() != "-"]
    across = {values[0] for values in dashed if len(values)}
    assert across >= set(BASELINES.values())
    names = [text.get_text() for text in axes.texts]
    assert names == [
        "ridge 0.62",
        "seasonal naive 0.63",
        "persistence 1",
        "training mean 1.3",
    ]
    heights = [text.get_position()[1] for text in axes.texts]
    assert min(np.diff(heights)) > 0.05


def test_a_baseline_far_above_is_named_and_not_drawn(figure: Drawn, tmp_path) -> None:
    held = history(8)
    far = {"seasonal naive": 3.1, "training mean": 40.0}
    curve(held, far | {"ridge": 0.62}, tmp_path / "curve.png")
    (axes,) = figure().axes
    names = [text.get_text() for text in axes.texts]
    above = ["seasonal naive 3.1 (above)", "training mean 40 (above)"]
    assert names == ["ridge 0.62", *above]
    assert axes.get_ylim()[1] < 1.2 * held["validation"].max()
    assert min(text.get_position()[1] for text in axes.texts[1:]) > 1


@pytest.mark.parametrize(("least", "scale"), [(0.3, "linear"), (0.05, "log")])
def test_a_curve_is_logarithmic_where_it_helps(
    least: float, scale: str, figure: Drawn, tmp_path
) -> None:
    curve(history(8), {"ridge": least}, tmp_path / "curve.png")
    (axes,) = figure().axes
    assert axes.get_yscale() == scale
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert ("0.1" in labels and "0.05" in labels) == (scale == "log")


@pytest.mark.parametrize(
    ("held", "labels"),
    [
        (history(1), ["training", "validation", "best, step 25"]),
        (history(3).drop(columns="validation"), ["training"]),
        (history(3, validation=[None] * 3), ["training"]),
        (
            history(3, validation=[np.nan, 0.7, 0.9]),
            ["training", "validation", "best, step 50"],
        ),
        (history(0), []),
    ],
)
def test_a_curve_of_any_history(held, labels, figure: Drawn, tmp_path) -> None:
    curve(held, {"persistence": 1.0}, tmp_path / "curve.png")
    (axes,) = figure().axes
    assert axes.get_legend_handles_labels()[1] == [*labels, "baselines, validation"]


def test_names_beside_lines_stay_apart_and_in_order() -> None:
    assert spread([0.1, 0.5, 0.9], 0.05) == [0.1, 0.5, 0.9]
    placed = spread([0.1, 0.4, 0.41, 0.42, 0.47], 0.05)
    assert placed == pytest.approx([0.1, 0.35, 0.4, 0.45, 0.5], abs=1e-12)
    assert spread([], 0.05) == []


def hourly(rows: int = 700, **options: Any) -> Parts:
    draw = np.random.default_rng(2)
    values = 20 + draw.normal(size=(rows, 1)).cumsum(0)
    values[300:310] = np.nan
    return parts(Plan({"": values})._replace(**options), 40, 80)


def guesses(windows: Hand) -> np.ndarray:
    truth = np.nan_to_num(windows.truth(), nan=20.0)
    return truth + np.random.default_rng(3).normal(size=truth.shape)


def test_a_prediction_shows_truth_persistence_and_itself(
    figure: Drawn, tmp_path
) -> None:
    test = hourly(150).test
    predicted = guesses(test)
    prediction(test, predicted, tmp_path / "p.png", targets=["flow $m^3$"])
    over_time, scatter = figure().axes
    for label, expected in {
        "truth": test.truth(),
        "predicted": predicted,
        "persistence": test.last()[:, None],
    }.items():
        shown = line(over_time, label)
        np.testing.assert_array_equal(shown.get_ydata(), expected[:, 0, 0])
        np.testing.assert_array_equal(shown.get_xdata(), test.times_ahead()[:, 0])
    assert over_time.get_ylabel() == "flow $m^3$"
    assert over_time.get_title(loc="left") == ""
    points = scatter.get_lines()[0]
    np.testing.assert_array_equal(points.get_xdata(), test.truth()[:, 0, 0])
    np.testing.assert_array_equal(points.get_ydata(), predicted[:, 0, 0])
    assert scatter.get_xlim() == scatter.get_ylim()
    assert scatter.get_xlabel() == "true flow $m^3$"
    assert scatter.get_title(loc="left") == "70 values"


def test_a_prediction_of_quantiles_has_a_band_and_the_median(
    figure: Drawn, tmp_path
) -> None:
    test = hourly(150).test
    bands = guesses(test)[..., None] + np.array([-1.0, 0.0, 2.0])
    levels = (0.2, 0.5, 0.9)
    prediction(test, bands, tmp_path / "p.png", targets=["flow"], quantiles=levels)
    axes = figure().axes[0]
    np.testing.assert_array_equal(
        line(axes, "predicted").get_ydata(), bands[:, 0, 0, 1]
    )
    (band,) = axes.collections
    assert band.get_label() == "quantiles 0.2 to 0.9"
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == bands[:, 0, 0, 0].min()
    assert heights.max() == bands[:, 0, 0, 2].max()


def test_of_several_steps_the_last_is_shown_at_its_time(
    figure: Drawn, tmp_path
) -> None:
    test = hourly(150, horizon=3).test
    predicted = guesses(test)
    prediction(test, predicted, tmp_path / "p.png", targets=["flow"])
    shown = line(figure().axes[0], "predicted 3 rows ahead")
    np.testing.assert_array_equal(shown.get_ydata(), predicted[:, 2, 0])
    np.testing.assert_array_equal(shown.get_xdata(), test.times_ahead()[:, 2])


def test_of_a_long_series_a_typical_stretch_is_shown(figure: Drawn, tmp_path) -> None:
    test = hourly().test
    predicted = test.truth() + 1
    predicted[:200] += 7  # the first stretch is the worst
    predicted[200:400] += 1.9  # of 619 this one is closest to the error of all
    predicted = np.nan_to_num(predicted)
    prediction(test, predicted, tmp_path / "p.png", targets=["flow"])
    over_time, scatter = figure().axes
    shown = line(over_time, "predicted").get_ydata()
    np.testing.assert_array_equal(shown, predicted[200:400, 0, 0])
    assert over_time.get_title(loc="left") == "a typical stretch of 200 rows"
    assert scatter.get_title(loc="left") == "610 values"


def test_of_several_groups_the_median_by_error_is_shown(
    figure: Drawn, tmp_path
) -> None:
    draw = np.random.default_rng(6)
    names = [f"b{k}" for k in range(5)]
    series = {name: draw.normal(size=(120, 1)) for name in names}
    series["b4"][:] = np.nan
    test = parts(Plan(series), 40, 80).test
    off = np.array([{"b0": 3, "b1": 1, "b2": 9}.get(name, 2) for name in test.groups])
    predicted = np.nan_to_num(test.truth()) + off[:, None, None]
    path, names = tmp_path / "p.png", ["flow"]
    prediction(test, predicted, path, targets=names, part="test part")
    axes = figure().axes[0]
    expected = "test part, b3, the median of 5 groups by error"
    assert axes.get_title(loc="left") == expected
    mine = test.groups == "b3"
    np.testing.assert_array_equal(
        line(axes, "predicted").get_ydata(), predicted[mine, 0, 0]
    )


def test_a_hole_breaks_the_lines(figure: Drawn, tmp_path) -> None:
    test = hourly(150).test
    kept = Hand(test.plan, test.ends[:20] + test.ends[30:])
    prediction(kept, guesses(kept), tmp_path / "p.png", targets=["flow"])
    shown = line(figure().axes[0], "predicted")
    assert len(shown.get_ydata()) == len(kept) + 1
    assert list(np.flatnonzero(np.isnan(shown.get_ydata()))) == [20]


def test_points_that_holes_make_lonely_are_seen(figure: Drawn, tmp_path) -> None:
    test = hourly(150).test
    lonely = Hand(test.plan, test.ends[:25] + test.ends[30:31] + test.ends[35:])
    markers = []
    for windows in (test, lonely):
        truth = windows.truth()
        prediction(windows, truth, tmp_path / "p.png", targets=["flow"])
        markers.append(line(figure().axes[0], "truth").get_marker())
        assert np.isfinite(truth).sum() > 60
    assert markers == ["None", "o"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_few_points_are_drawn(
    count: int, dated: bool, known: bool, figure: Drawn, tmp_path
) -> None:
    test = hourly(150, dated=dated).test
    few = Hand(test.plan, test.ends[:count])
    if not known:
        few.plan.series[""][:] = np.nan
    values = np.ones((count, 1, 1, 3))
    levels = (0.1, 0.5, 0.9)
    prediction(few, values, tmp_path / "p.png", targets=["flow"], quantiles=levels)
    axes = figure().axes[0]
    assert len(line(axes, "predicted").get_ydata()) == count
    assert axes.get_xlabel() == ("" if dated else "row")


def test_what_a_model_cannot_predict_is_not_drawn(figure: Drawn, tmp_path) -> None:
    test = hourly(150).test
    predicted = guesses(test)
    predicted[::2] = np.nan
    predicted[1] = np.inf
    prediction(test, predicted, tmp_path / "p.png", targets=["flow"])
    points = figure().axes[1].get_lines()[0]
    assert np.isfinite(points.get_ydata()).all()
    assert len(points.get_ydata()) == 34


def test_no_windows_are_refused(tmp_path: Path) -> None:
    test = hourly(150).test
    none = Hand(test.plan, ())
    message = (
        "prediction: windows must hold at least one window: there is nothing to draw. "
        "Use a part that has windows."
    )
    path = tmp_path / "p.png"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        prediction(none, np.zeros((0, 1, 1)), path, targets=["flow"])
    assert not path.exists()


def test_the_same_numbers_give_the_same_file(tmp_path: Path) -> None:
    test = hourly(150).test
    files = [tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")]
    for path in files[:2]:
        prediction(test, guesses(test), path, targets=["flow"])
    for path in files[2:]:
        curve(history(8), BASELINES, path)
    first, again, third, fourth = (path.read_bytes() for path in files)
    assert first == again
    assert third == fourth
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"Software" not in first
