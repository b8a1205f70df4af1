"""The losses of a run beside those of its baselines."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend

_LOG = 8.0  # from such a ratio of losses on their axis is logarithmic
_BEYOND = 1.5  # times the largest loss: a baseline above is named, not drawn
_MARKED = 30  # so many epochs have a marker each
_APART = 0.055  # of the height of the axes, between two names beside lines


def curve(
    history: pd.DataFrame,
    baselines: Mapping[str, float],
    path: str | PathLike[str],
    *,
    loss: str = "loss",
) -> None:
    """Draw both losses over the steps, and each baseline's as a line across.

    A baseline far above the losses is only named, so that the losses can be told apart.

    Args:
        history: A row for each epoch with `step`, `loss`, and `validation` where there
            is one, as `fit` returns it.
        baselines: The loss of each baseline on the validation part, as
            `baseline_losses` gives it.
        path: The PNG file.
        loss: What the losses are, for the axis.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> history = pd.DataFrame({"step": [5, 10], "loss": [2.0, 1.0]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     curve(history, {"persistence": 1.5}, Path(folder) / "curve.png")
        ...     print([path.name for path in Path(folder).iterdir()])
        ['curve.png']
    """
    with drawn(path, 7.0, 3.8) as figure:
        axes = figure.subplots()
        losses = _draw_losses(axes, history)
        known = {name: x for name, x in baselines.items() if np.isfinite(x)}
        most = _BEYOND * max(losses, default=np.inf)
        near = {name: x for name, x in known.items() if x <= most}
        far = {name: x for name, x in known.items() if x > most}
        values = [*losses, *near.values()]
        if values and min(values) > 0 and max(values) / min(values) > _LOG:
            _logarithmic(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(left=0)
        _name_lines(axes, near, far)
        axes.set_xlabel("step")
        axes.set_ylabel(loss, parse_math=False)
        if losses:
            legend(axes)


def _logarithmic(axes: Any) -> None:
    """A logarithmic axis of losses, with numbers as people write them."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_losses(axes: Any, history: pd.DataFrame) -> list[float]:
    """The losses that are drawn."""
    steps, drawn = history["step"].to_numpy(), []
    marker = "o" if len(steps) <= _MARKED else None
    for column, name, color in (
        ("loss", "training", GREY),
        ("validation", "validation", BLUE),
    ):
        if column not in history:
            continue
        values = history[column].to_numpy(np.float64, na_value=np.nan)
        known = np.isfinite(values)
        if not known.any():
            continue
        _ = axes.plot(steps, values, color=color, marker=marker, ms=3, label=name)
        drawn += values[known].tolist()
        if column == "validation":
            best = int(np.nanargmin(np.where(known, values, np.nan)))
            place = {"label": f"best, step {steps[best]:,}", "zorder": 3}
            look = {"color": ORANGE, "marker": "o", "ms": 6, "ls": "none"}
            _ = axes.plot(steps[best], values[best], **place, **look)
    return drawn


def _name_lines(axes: Any, near: Mapping[str, float], far: Mapping[str, float]) -> None:
    """A line across for each near baseline; the names of all, the far ones on top."""
    look = {"color": BLACK, "lw": 0.8, "ls": (0, (4, 3)), "zorder": 1}
    for value in near.values():
        _ = axes.axhline(value, **look)
    if near or far:
        _ = axes.plot([], [], label="baselines, validation", **look)
    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {n: float(to_axes.transform((0, x))[1]) for n, x in near.items()}
    heights |= dict.fromkeys(far, 1.0 + _APART)
    both = {**near, **far}
    order = sorted(both, key=lambda name: both[name])
    placed = spread([heights[name] for name in order], _APART)
    for name, height in zip(order, placed, strict=True):
        above = " (above)" if name in far else ""
        place = {"transform": axes.transAxes, "va": "center", "fontsize": 8}
        said = f"{name} {both[name]:.3g}{above}"
        _ = axes.text(1.015, height, said, color=BLACK, **place)


def spread(heights: Sequence[float], apart: float) -> list[float]:
    """Growing heights moved as little as needed to be so far apart.

    Example:
        >>> spread([0.0, 0.5, 0.5], 0.25)
        [0.0, 0.375, 0.625]
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _overlap(groups[-2], groups[-1], apart):
            last = groups.pop()
            groups[-1] += last
    return [x for group in groups for x in _placed(group, apart)]


def _overlap(below: Sequence[float], above: Sequence[float], apart: float) -> bool:
    return _placed(above, apart)[0] - _placed(below, apart)[-1] < apart


def _placed(group: Sequence[float], apart: float) -> list[float]:
    first = sum(group) / len(group) - apart * (len(group) - 1) / 2
    return [first + apart * k for k in range(len(group))]
