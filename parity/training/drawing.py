"""A figure of two trainings: both curves, and how far they are apart."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from parity.training.report import TrainingReport

MOST = 4  # rows: the failures first
_LEAST = 1e-18  # what a distance of zero is drawn as


def figure(reports: Sequence[TrainingReport], suffix: str) -> bytes:
    """The figure as bytes, in the format that the suffix tells.

    A row for each training, at most four, first those that part: the losses of torch
    and JAX, and beside them the distances of losses and weights with their budgets.
    """
    from matplotlib.figure import Figure

    shown = sorted(reports, key=lambda report: report.ok)[:MOST]
    size = (8.0, 0.4 + 2.7 * len(shown))
    drawn = Figure(figsize=size, layout="constrained")
    rows = drawn.subplots(len(shown), 2, squeeze=False, width_ratios=(4, 5))
    for report, (left, right) in zip(shown, rows, strict=True):
        _draw_losses(left, report)
        _draw_distances(right, report)
    held = io.BytesIO()
    drawn.savefig(held, format=suffix[1:], dpi=150)
    return held.getvalue()


def _draw_losses(axes: Any, report: TrainingReport) -> None:
    steps = np.arange(1, report.steps + 1)
    _ = axes.plot(steps, report.exact.losses, color="0.6", lw=3, label="torch")
    _ = axes.plot(steps, report.ours.losses, color="C0", lw=1, label="JAX")
    _mark(axes, report)
    axes.set_title(f"{report.title}: {report.verdict}", fontsize=9, loc="left")
    axes.set_ylabel("loss")
    axes.set_xlabel("step")
    axes.set_yscale("log")
    _ = axes.legend(fontsize=7)


def _draw_distances(axes: Any, report: TrainingReport) -> None:
    steps = np.arange(1, report.steps + 1)
    for color, name, far, budget in (
        ("C1", "loss", report.far.loss, report.budget.loss),
        ("C0", "furthest weight", report.far.worst, report.budget.weights),
    ):
        drawable = np.clip(far, _LEAST, 1e3)
        _ = axes.plot(steps, drawable, color=color, lw=1, label=name)
        _ = axes.axhline(budget, color=color, ls=":", lw=1)
    if report.dtype != "float64":
        own = np.clip(report.torch_far.worst, _LEAST, 1e3)
        _ = axes.plot(steps, own, color="0.6", lw=1, label="torch's own float32")
    _mark(axes, report)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("relative distance")
    axes.set_title("dotted: the budget", fontsize=8, loc="right")
    _ = axes.legend(fontsize=7)


def _mark(axes: Any, report: TrainingReport) -> None:
    """A line where they part."""
    if report.parting is not None:
        at = report.parting.step
        _ = axes.axvline(at, color="C3", lw=1, label=f"part at step {at}")
