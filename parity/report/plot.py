"""A figure of a check for a paper: the error of each tensor, and over time."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lstm_jax.terminal import printable
from parity.report.rows import Findings, Row
from parity.report.summary import summary

SUFFIXES = (".png", ".svg", ".pdf")
_LEAST = 1e-2


def check_installed(command: str, path: Path) -> None:
    """Refuse to draw without matplotlib before the command does its work.

    Raises:
        ValueError: If matplotlib is missing.
    """
    if not _has_matplotlib():
        raise ValueError(
            f"{command}: --plot {path} must have matplotlib: it draws the figure, and "
            "is not installed. Use pip install matplotlib."
        )


def _has_matplotlib() -> bool:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def figure(reports: Sequence[Findings], suffix: str) -> bytes:
    """The figure as bytes, in the format that the suffix tells."""
    from matplotlib.figure import Figure

    tensors = {row.tensor for report in reports for row in report.rows}
    height = max(3.2, 1 + len(tensors) / 7)
    drawn = Figure(figsize=(7.0, height), layout="constrained")
    left, right = drawn.subplots(1, 2, width_ratios=(3, 2))
    _draw_tensors(left, reports)
    _draw_time(right, reports)
    _ = drawn.suptitle(_title(reports), fontsize=9, parse_math=False)
    held = io.BytesIO()
    drawn.savefig(held, format=suffix[1:], dpi=200)
    return held.getvalue()


def _title(reports: Sequence[Findings]) -> str:
    """What was checked, in which types, and the verdict."""
    types = dict.fromkeys(str(r.facts["dtype"]) for r in reports if "dtype" in r.facts)
    files = dict.fromkeys(str(r.facts["file"]) for r in reports if "file" in r.facts)
    if len(reports) == 1:
        said = [reports[0].title, reports[0].messages()[0]]
    else:
        said = [f"{len(reports)} checks", summary(reports).sentence()]
    about = ", ".join(map(printable, (*files, *types)))
    return "\n".join(textwrap.fill(line, 100) for line in (said[0], about, said[1]))


def _draw_tensors(axes: Any, reports: Sequence[Findings]) -> None:
    """The worst error of each tensor over the reports, beside torch's."""
    worst = _worst(reports)
    names = list(worst)
    for kind, marker, filled in (("ours", "o", True), ("torch", "s", False)):
        places = [k for k, name in enumerate(names) if worst[name][kind] is not None]
        if not places:
            continue
        values = [_drawable(worst[names[k]][kind]) for k in places]
        face = None if filled else "none"
        _ = axes.plot(values, places, marker, label=kind, markerfacecolor=face, ms=4)
    for budget in sorted({row.budget for report in reports for row in report.rows}):
        _ = axes.axvline(budget, color="0.3", ls=":", lw=1, label=f"budget {budget:g}")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    if names:
        axes.set_xscale("log")
    axes.set_xlabel("error in roundings")
    if names:
        _ = axes.legend(fontsize=7)


def _worst(reports: Sequence[Findings]) -> dict[str, dict[str, Any]]:
    """The largest errors of each tensor, ours and torch's."""
    worst: dict[str, dict[str, Any]] = {}
    for row in (row for report in reports for row in report.rows):
        held = worst.setdefault(row.tensor, {"ours": None, "torch": None})
        for kind, value in (("ours", row.error), ("torch", row.torch)):
            if value is not None and not (held[kind] or 0) > value:
                held[kind] = value
    return worst


def _draw_time(axes: Any, reports: Sequence[Findings]) -> None:
    """The error over time, of the report with the worst outputs."""
    report = max(
        reports, key=lambda one: _nan_least(one.worst_of(("ys",))[0]), default=None
    )
    rows = {} if report is None else {row.tensor: row for row in report.worst()}
    for color, name in (("C0", "ys"), ("C1", "d_xs")):
        if name in rows:
            _draw_row(axes, rows[name], color)
    if rows:
        axes.set_yscale("log")
        _ = axes.axhline(next(iter(rows.values())).budget, color="0.3", ls=":", lw=1)
    if axes.get_legend_handles_labels()[0]:
        _ = axes.legend(fontsize=7)
    axes.set_xlabel("time step")
    axes.set_ylabel("error in roundings")


def _draw_row(axes: Any, row: Row, color: str) -> None:
    for whose, style, values in (
        ("", "-", row.profile),
        (", torch", "--", row.torch_profile),
    ):
        if not values:
            continue
        drawable = [_drawable(value) for value in values]
        label = f"{row.tensor}{whose}"
        _ = axes.plot(drawable, style, color=color, lw=1, label=label)


def _nan_least(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _drawable(value: float) -> float:
    """The nearest value that a logarithmic axis can show: not zero, not infinite."""
    return min(max(value, _LEAST), 1e12) if value == value else 1e12
