"""The famous curve of a predicted price, beside the same curve of persistence."""

from pathlib import Path
from typing import Any

import numpy as np

from examples.form import MODEL, Outcome
from examples.stocks.measures import lag_correlations, r_squared
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend

PERSISTENCE = "persistence"
ZOOM = slice(200, 240)  # days of the test part that are drawn larger
LOOKS = {MODEL: {"color": BLUE}, PERSISTENCE: {"color": ORANGE}}


def draw(outcome: Outcome, folder: Path) -> None:
    """Write `curve.png`: the curves, forty days of them, and the lag of each."""
    name, days, curves = outcome.kept
    with drawn(folder / "curve.png", 9.0, 6.0) as figure:
        above, below = figure.subplots(2, 2, gridspec_kw={"hspace": 0.1})
        for axes, row in zip(above, LOOKS, strict=True):
            _curve(axes, name, days, row, *curves[row])
        _zoom(below[0], name, days, curves)
        _lags(below[1], name, curves)


def _curve(axes: Any, name: str, days: Any, row: str, guess: Any, true: Any) -> None:
    _ = axes.plot(days, true, color=BLACK, lw=1.6, label="true")
    _ = axes.plot(days, guess, lw=0.8, label=f"predicted by {row}", **LOOKS[row])
    share = r_squared(guess, true)
    _ = axes.set_title(f"{name}, test part: R² of the price {share:.4f}", pad=20)
    axes.set_ylabel("adjusted price, $", parse_math=False)
    _dates(axes)
    legend(axes)


def _zoom(axes: Any, name: str, days: Any, curves: Any) -> None:
    true = curves[MODEL][1]
    _ = axes.plot(days[ZOOM], true[ZOOM], color=BLACK, lw=1.6, label="true")
    for row, look in LOOKS.items():
        ls = "--" if row == PERSISTENCE else "-"
        _ = axes.plot(days[ZOOM], curves[row][0][ZOOM], ls=ls, label=row, **look)
    _ = axes.set_title(f"{name}, forty days: both are the price a day late", pad=20)
    axes.set_ylabel("adjusted price, $", parse_math=False)
    _dates(axes)
    legend(axes)


def _lags(axes: Any, name: str, curves: Any) -> None:
    for row, look in LOOKS.items():
        found = lag_correlations(*curves[row])
        side = -0.2 if row == MODEL else 0.2
        _ = axes.bar(np.arange(len(found)) + side, found, 0.38, label=row, **look)
    _ = axes.axhline(0, color=GREY, lw=0.8)
    _ = axes.set_title(
        f"{name}: moves of the predicted price after the true ones", pad=20
    )
    axes.set(xlabel="days after", ylabel="correlation", ylim=(-0.2, 1.05))
    legend(axes)


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.margins(x=0.01)
