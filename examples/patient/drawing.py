"""Two pictures: some hours with their forecasts, and the alarms of every threshold."""

from pathlib import Path
from typing import Any

import numpy as np

from examples.form import MODEL, Outcome
from examples.patient.alarms import LOW, THRESHOLDS, clopper_pearson, raise_alarms
from examples.patient.forecasts import HORIZON, watched
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend

BEFORE, AFTER = 120, 60  # readings that are drawn before and after an event begins
MOST = 6.0  # false alarms a day that are drawn
LOOKS = {
    MODEL: {"color": BLUE, "lw": 1.8},
    "ridge": {"color": ORANGE, "lw": 1.3},
    "line": {"color": GREY, "lw": 1.3},
    "persistence": {"color": BLACK, "lw": 1.3, "ls": "--"},
}


def draw(outcome: Outcome, folder: Path) -> None:
    """Write `stretch.png` and `alarms.png`."""
    test, found = outcome.kept
    with drawn(folder / "stretch.png", 9.0, 3.6) as figure:
        _stretch(figure.subplots(), test, found)
    with drawn(folder / "alarms.png", 9.0, 3.8) as figure:
        left, right = figure.subplots(1, 2)
        _share(left, found)
        _leads(right, found)


def _stretch(axes: Any, test: Any, found: Any) -> None:
    """The hours around the event in the middle of the test part."""
    seen, times = watched(test), test.source.series.times
    start = int(seen.starts[len(seen.starts) // 2])
    rows = np.arange(max(start - BEFORE, 0), min(start + AFTER, len(times)))
    readings = test.source.targets[:, 0]
    holes = np.isin(rows, test.source.segments.first)
    later = times[rows] + HORIZON * np.timedelta64(5, "m")
    for name in ("ridge", MODEL):
        line = np.where(holes, np.nan, found[name].predicted[rows])
        _ = axes.plot(later, line, label=f"{name}, 30 min before", **LOOKS[name])
    line = np.where(holes, np.nan, readings[rows])
    _ = axes.plot(times[rows], line, color=BLACK, lw=1.2, label="reading")
    _ = axes.axhline(LOW, color=BLACK, lw=0.8, ls=":", label=f"{LOW:g} mg/dL")
    for name, marker in {"ridge": "^", MODEL: "v"}.items():
        one = found[name]
        rung = raise_alarms(seen, one.predicted, float(THRESHOLDS[one.chosen]))
        rung = rung[np.isin(rung, rows)]
        look = {"color": LOOKS[name]["color"], "ls": "", "marker": marker, "ms": 7}
        _ = axes.plot(times[rung], readings[rung], label=f"alarm, {name}", **look)
    axes.set_ylabel("glucose, mg/dL")
    axes.set_title("Around the event in the middle of the test part", pad=34)
    _dates(axes)
    legend(axes)


def _share(axes: Any, found: Any) -> None:
    """Events found over false alarms, with the interval of the model's."""
    for name, look in LOOKS.items():
        held = [one for one in found[name].curve if one.false_a_day <= MOST]
        days = [one.false_a_day for one in held]
        _ = axes.plot(days, [100 * one.sensitivity for one in held], label=name, **look)
        if name == MODEL:
            ends = [clopper_pearson(one.events, len(one.leads)) for one in held]
            low, high = 100 * np.array(ends).T
            _ = axes.fill_between(days, low, high, color=BLUE, alpha=0.15, lw=0)
        point = found[name].curve[found[name].chosen]
        place = [point.false_a_day], [100 * point.sensitivity]
        _ = axes.plot(*place, "o", color=look["color"], ms=6)
    axes.set(xlabel="false alarms a day", ylabel="events found, %", ylim=(0, 103))
    axes.set_title("Events with an alarm before them", pad=20)
    legend(axes)


def _leads(axes: Any, found: Any) -> None:
    for name, look in LOOKS.items():
        held = [one for one in found[name].curve if one.false_a_day <= MOST]
        days = [one.false_a_day for one in held]
        _ = axes.plot(days, [one.median_lead for one in held], label=name, **look)
        point = found[name].curve[found[name].chosen]
        place = [point.false_a_day], [point.median_lead]
        _ = axes.plot(*place, "o", color=look["color"], ms=6)
    axes.set(xlabel="false alarms a day", ylabel="minutes before the event")
    axes.set_title("Median lead; a missed event counts 0 minutes", pad=20)
    axes.set_ylim(bottom=-1)


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.margins(x=0.01)
