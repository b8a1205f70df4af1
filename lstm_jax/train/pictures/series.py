"""Predictions beside the truth: over time, and one against the other."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from lstm_jax.train.pictures.stretch import Stretch, typical
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, drawn, legend
from lstm_jax.train.scores.scored import Scored

_MARKED = 60  # so many points have a marker each
_DOTS = 20_000  # so many points are scattered; of more every second, third, ...


def prediction(
    windows: Scored,
    predicted: np.ndarray,
    path: str | PathLike[str],
    *,
    targets: Sequence[str],
    quantiles: Sequence[float] = (),
    part: str = "",
) -> None:
    """Draw predictions beside the truth, over time and one against the other.

    Of several targets the first is drawn, of several steps ahead the last, of several
    groups the one with the median error, and of a long series a stretch whose error is
    close to the whole's: a typical piece, neither the best nor the worst.

    Args:
        windows: The windows that are predicted.
        predicted: `(n, horizon', targets)`, in the targets' own units, or with
            quantiles `(n, horizon', targets, Q)`, the median among them.
        path: The PNG file.
        targets: Names of the targets.
        quantiles: Levels of the last axis.
        part: What the windows are, such as "test part", for the title.

    Raises:
        ValueError: If there are no windows.

    Example:
        >>> import tempfile
        >>> import pandas as pd
        >>> from pathlib import Path
        >>> from lstm_jax.train import windows
        >>> rain = pd.DataFrame({"rain": np.arange(40.0) % 7})
        >>> made = windows(rain, target="rain", window=7)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "prediction.png"
        ...     prediction(made.test, made.test.truth(), path, targets=["rain"])
        ...     print(path.is_file())
        True
    """
    if not len(windows):
        raise ValueError(
            "prediction: windows must hold at least one window: there is nothing to "
            "draw. Use a part that has windows."
        )
    levels = [float(level) for level in quantiles]
    bands = predicted[..., None] if not levels else predicted
    central = levels.index(0.5) if levels else 0
    stretch = typical(windows, bands[:, -1, 0].astype(np.float64), central)
    title = ", ".join(filter(None, (part, stretch.title)))
    stretch = replace(stretch, title=title)
    with drawn(path, 9.0, 3.6) as figure:
        over_time, scatter = figure.subplots(1, 2, width_ratios=(2.6, 1))
        _draw_time(over_time, stretch, levels)
        over_time.set_ylabel(targets[0], parse_math=False)
        _draw_scatter(scatter, stretch)
        scatter.set_xlabel(f"true {targets[0]}", parse_math=False)
        scatter.set_ylabel(f"predicted {targets[0]}", parse_math=False)


def _draw_time(axes: Any, stretch: Stretch, levels: Sequence[float]) -> None:
    known = np.isfinite(
        np.pad(stretch.line(stretch.truth)[1], 1, constant_values=np.nan)
    )
    lonely = known[1:-1] & ~known[:-2] & ~known[2:]  # no line would show them
    marker = "o" if known.sum() <= _MARKED or lonely.any() else None
    if len(levels) > 1:
        times, low = stretch.line(stretch.bands[:, 0])
        _, high = stretch.line(stretch.bands[:, -1])
        name = f"quantiles {levels[0]:g} to {levels[-1]:g}"
        _ = axes.fill_between(times, low, high, label=name, color=BLUE, alpha=0.2, lw=0)
    lines = {
        "persistence": (stretch.last, {"color": GREY, "lw": 0.8}),
        "truth": (stretch.truth, {"color": BLACK, "lw": 1.2}),
        f"predicted{stretch.ahead}": (stretch.central, {"color": BLUE, "lw": 1.5}),
    }
    for name, (values, look) in lines.items():
        _ = axes.plot(*stretch.line(values), label=name, marker=marker, ms=2.5, **look)
    axes.margins(x=0.01)
    legend(axes)
    if stretch.title:
        axes.set_title(stretch.title, parse_math=False, pad=20)
    if np.issubdtype(stretch.times.dtype, np.datetime64):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axes.set_xlabel(
            "row" if np.issubdtype(stretch.times.dtype, np.integer) else "time"
        )


def _draw_scatter(axes: Any, stretch: Stretch) -> None:
    """Predicted against true, of the whole group, with the line of no error."""
    known = np.flatnonzero(np.isfinite(stretch.truth + stretch.central))
    count = len(known)
    known = known[:: 1 + count // _DOTS]
    x, y = stretch.truth[known], stretch.central[known]
    alpha = float(np.clip(12 / max(len(known), 1) ** 0.5, 0.1, 0.8))
    look = {"ms": 3.5, "mew": 0, "alpha": alpha, "rasterized": True}
    _ = axes.plot(x, y, "o", color=BLUE, **look)
    if len(known):
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        room = 0.04 * (high - low) or 1.0
        ends = low - room, high + room
        _ = axes.plot(ends, ends, color=BLACK, lw=0.8)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(nbins=5)
    axes.set_title(f"{count:,} values" if count > 1 else "")
