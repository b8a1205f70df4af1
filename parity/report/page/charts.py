"""Drawings as inline SVG; style.css has the colours and lines."""

import math
from collections.abc import Iterable, Sequence

from parity.report.curves import Mismatch, Trajectory
from parity.report.page import axes
from parity.report.page.axes import Number, Scale
from parity.report.page.markup import Markup, concat, element
from parity.report.rows import Row
from parity.show import roundings

_WIDTH, _HEIGHT = 340, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 34
_FEW = 24


def bar(row: Row, scale: Scale) -> Markup:
    """Our error above torch's, on a logarithmic axis, and a line at the budget."""
    kinds = [("ours", row.error, 3, 8), ("torch", row.torch, 13, 4)]
    bars = [
        element("rect", x=0, y=y, width=max(2, scale(v)), height=height, class_=kind)
        for kind, v, y, height in kinds
        if v is not None
    ]
    at = scale(row.budget)
    line = element("line", x1=at, x2=at, y1=0, y2=20, class_="budget")
    torch = "" if row.torch is None else f"torch {roundings(row.torch)}, "
    said = f"error {roundings(row.error)}, {torch}budget {row.budget:g}, "
    said += "on a logarithmic axis"
    return _svg(said, 160, 20, *bars, line, class_="bar" if row.ok else "bar wrong")


def over_time(row: Row, steps: int) -> Markup:
    """The error of each time step, ours and torch's."""
    both = (*row.profile, *row.torch_profile)
    ys = axes.errors(both, row.budget, _HEIGHT - _BOTTOM, _TOP)
    xs = Scale(0, max(1, steps - 1), _LEFT, _WIDTH - _RIGHT)
    lines = []
    for kind, values in (("torch", row.torch_profile), ("ours", row.profile)):
        places = _places(len(values), steps)
        points = [(xs(x), ys(y)) for x, y in zip(places, values, strict=True)]
        lines.append(_polyline(points, kind))
    torch = "" if row.torch is None else f"torch's {roundings(row.torch)}, "
    said = f"Error of {row.tensor} at each of {steps} time steps: ours at most "
    said += f"{roundings(row.error)}, {torch}budget {row.budget:g}"
    frame = [*_y_axis(ys), *_x_axis(xs, "time step"), _budget(ys, row.budget)]
    return _svg(said, _WIDTH, _HEIGHT, *frame, *lines)


def _places(points: int, steps: int) -> list[float]:
    """The time step at which each point is drawn; a point may stand for several."""
    width = steps / max(1, points)
    return [width * k + (width - 1) / 2 for k in range(points)]


def over_layers(
    names: Sequence[str], series: dict[str, list[tuple[float, float | None]]], row: Row
) -> Markup:
    """A mark for each layer and series: ours filled, torch's hollow."""
    everything = [
        v for s in series.values() for pair in s for v in pair if v is not None
    ]
    ys = axes.errors(everything, row.budget, _HEIGHT - _BOTTOM, _TOP)
    width = (_WIDTH - _LEFT - _RIGHT) / len(names)
    marks, texts = [], []
    for k, name in enumerate(names):
        centre = _LEFT + width * (k + 0.5)
        if k % math.ceil(len(names) / 8) == 0:
            texts.append(_text(centre, _HEIGHT - _BOTTOM + 15, name, "middle"))
        offset = min(22.0, width / (len(series) + 1))
        for s, values in enumerate(series.values()):
            x = round(centre + (s - (len(series) - 1) / 2) * offset, 1)
            ours, torch = values[k]
            if torch is not None:
                marks.append(_mark(s, x, ys(torch), "torch"))
            marks.append(_mark(s, x, ys(ours), "ours"))
    said = f"Error in each layer and direction, budget {row.budget:g}: " + ", ".join(
        f"{name} at most {roundings(max(v for v, _ in values))}"
        for name, values in series.items()
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    texts.append(_text(middle, _HEIGHT - 4, "layer and direction", "middle"))
    frame = [*_y_axis(ys), _budget(ys, row.budget)]
    return _svg(said, _WIDTH, _HEIGHT, *frame, *texts, *marks)


def mark(index: int) -> Markup:
    """The mark of a series, for the legend."""
    return _svg("", 12, 12, _mark(index, 6, 6, "ours"), class_="key")


def _mark(index: int, x: Number, y: Number, kind: str) -> Markup:
    if index == 0:
        return element("circle", cx=x, cy=y, r=4, class_=kind)
    if index == 1:
        return element(
            "rect",
            x=round(x - 3.5, 1),
            y=round(y - 3.5, 1),
            width=7,
            height=7,
            class_=kind,
        )
    up, down = round(y - 4.5, 1), round(y + 3.5, 1)
    left, right = round(x - 4.5, 1), round(x + 4.5, 1)
    return element("path", d=f"M{x} {up}L{right} {down}L{left} {down}Z", class_=kind)


def curves(found: Mismatch) -> list[tuple[str, Markup]]:
    """Each curve of a mismatch, as it is and as it should be."""
    return [(curve.name, _trajectory(curve, found)) for curve in found.curves]


def _trajectory(curve: Trajectory, found: Mismatch) -> Markup:
    both = [v for v in (*curve.given, *curve.right) if math.isfinite(v)] or [0.0]
    low, high = min(both), max(both)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    ys = Scale(low - room, high + room, _HEIGHT - _BOTTOM, _TOP)
    end = found.start + len(curve.right) - 1
    xs = Scale(found.start, max(end, found.start + 1), _LEFT, _WIDTH - _RIGHT)
    lines = []
    for kind, values in (("right", curve.right), ("given", curve.given)):
        points = [(xs(found.start + k), ys(v)) for k, v in enumerate(values) if v == v]
        lines.append(_polyline(points, kind))
    far = max(abs(a - b) for a, b in zip(curve.given, curve.right, strict=True))
    said = f"{curve.name} as it is and as it should be: they differ by up to {far:.3g}"
    frame = [*_y_axis(ys), *_x_axis(xs, found.axis)]
    return _svg(said, _WIDTH, _HEIGHT, *frame, *lines)


def _polyline(points: list[tuple[Number, Number]], kind: str) -> Markup:
    """A line; few points are marked too."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""
    dots = points if len(points) <= _FEW else []
    return concat(
        element("path", d=path, class_=f"line {kind}"),
        *(element("circle", cx=x, cy=y, r=2.2, class_=f"dot {kind}") for x, y in dots),
    )


def _budget(ys: Scale, budget: Number) -> Markup:
    y = ys(budget)
    end = _WIDTH - _RIGHT
    return concat(
        element("line", x1=_LEFT, x2=end, y1=y, y2=y, class_="budget"),
        _text(end, y - 4, f"budget {budget:g}", "end"),
    )


def _y_axis(ys: Scale) -> Iterable[Markup]:
    for value in ys.ticks(5):
        y = ys(value)
        yield element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        yield _text(_LEFT - 6, y + 3.5, axes.label(value), "end")


def _x_axis(xs: Scale, name: str) -> Iterable[Markup]:
    y = _HEIGHT - _BOTTOM
    yield element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="axis")
    for value in xs.ticks(6):
        if value == round(value):
            yield _text(xs(value), y + 15, axes.label(value), "middle")
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4, name, "middle")


def _text(x: Number, y: Number, text: str, anchor: str) -> Markup:
    return element("text", text, x=round(x, 1), y=round(y, 1), text_anchor=anchor)


def _svg(
    said: str, width: int, height: int, *children: Markup, class_: str = "chart"
) -> Markup:
    """A drawing that says in words what it shows; without words it is decoration."""
    box = f"0 0 {width} {height}"
    spoken = {"role": "img", "aria_label": said} if said else {"aria_hidden": "true"}
    title = element("title", said) if said else None
    return element("svg", title, *children, viewBox=box, class_=class_, **spoken)
