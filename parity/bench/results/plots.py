"""Pictures of results: ratios to torch, and curves over one size."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity.bench.results.steady import unsteady
from parity.bench.results.store import Measurement, Timed
from parity.bench.results.table import alike, where
from parity.bench.runners import RUNNERS, TORCH
from parity.bench.works import CASE_TAGS, ENTRIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Low, middle and high of a quantity; None where a runner has no such number.
Range = tuple[float, float, float]

# In the order of the runners; torch, the eighth, is black.
_MARKERS = "oDv1+pdsP^X<>h*8"
_COLORS = ("C0", "C9", "C4", "C0", "C4", "C2", "C8", "black", "C1", "C3", "C6", "C5")
_TICKS = [k * 10.0**n for n in range(-4, 5) for k in (1, 1.5, 2, 3, 5, 7)]
_VERSIONS = ("python", "jax", "flax", "torch", "numpy")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A quantity of each runner over the size that a sweep changes."""

    name: str
    sweep: str
    size: Callable[[Any], int]
    along: str
    title: str
    unit: str
    of: Callable[[Measurement, Timed], Range | None]


def draw(measurements: list[Measurement], directory: Path) -> list[Path]:
    """Draw every figure that there are results for; the paths of the files."""
    written = []
    for name, figure in figures(measurements):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, metadata={"Software": None})
        written.append(path)
    return written


def why_nothing(measurements: list[Measurement]) -> str:
    """Why there is no figure: what was timed, and what each figure needs."""
    timed = {
        name for m in measurements for name, one in m.runners.items() if one.samples
    }
    sweeps = ", ".join(dict.fromkeys(curve.sweep for curve in CURVES))
    return (
        f"there are times of {', '.join(_in_order(timed)) or 'no runner'}. Ratios need "
        "torch and another runner in one measurement, curves two sizes of one of the "
        f"cases {sweeps}."
    )


def figures(measurements: list[Measurement]) -> Iterator[tuple[str, "Figure"]]:
    """Every figure that there are results for, with the name of its file."""
    for some in alike(measurements):
        for name, figure in _figures_of(some):
            _finish(figure, some[-1])
            words = f"{name} {some[0].key['mode']} {where(some[0])}"
            yield f"{words.replace(',', '').replace(' ', '-')}.png", figure


def _figures_of(measurements: list[Measurement]) -> Iterator[tuple[str, "Figure"]]:
    """The figures of measurements that differ only in the case."""
    compared = [measurement for measurement in measurements if _rivals(measurement)]
    if compared:
        yield "ratio", _ratios(compared)
    for curve in CURVES:
        lines = _values_by_runner(curve, measurements)
        if any(len(line) > 1 for line in lines.values()):
            yield curve.name, _draw_curve(curve, lines, measurements[0])


def _finish(figure: "Figure", measurement: Measurement) -> None:
    """Say below the figure where its numbers are from."""
    facts = measurement.run["environment"]
    versions = [f"{name} {facts[name]}" for name in _VERSIONS if name in facts]
    commit = (
        [f"commit {measurement.run['commit']}"] if measurement.run.get("commit") else []
    )
    machine = facts.get("gpu", facts.get("processor", ""))
    words = [machine, *versions, *commit, facts.get("date", "")]
    footer = textwrap.fill(", ".join(filter(None, words)), 150)
    _ = figure.supxlabel(footer, fontsize=6, color="0.4")


def _rivals(measurement: Measurement) -> list[str]:
    """Torch and the runners to compare with it; empty if either is missing."""
    timed = [name for name, one in measurement.runners.items() if one.samples]
    others = [name for name in timed if name != TORCH]
    return [TORCH, *others] if TORCH in timed and others else []


def _ratios(measurements: list[Measurement]) -> "Figure":
    """How many times as fast as torch, case by case."""
    names = _in_order(
        {name for measurement in measurements for name in _rivals(measurement)}
    )
    figure, axes = _empty(height=1.6 + len(measurements) * (0.16 + 0.1 * len(names)))
    for name in names:
        shift = (names.index(name) + 0.5) / len(names) * 0.8 - 0.4
        points = [
            (k + shift, _ratio(measurement, measurement.runners[name]))
            for k, measurement in enumerate(measurements)
            if name in _rivals(measurement)
        ]
        places, ranges = zip(*points, strict=True)
        _dots(axes, name, places, ranges)
    _ = axes.axvline(1.0, color="0.3", lw=1, zorder=0)
    for k in range(1, len(measurements)):
        _ = axes.axhline(k - 0.5, color="0.9", lw=0.8, zorder=0)
    axes.set_yticks(
        range(len(measurements)),
        [_case(measurement) for measurement in measurements],
    )
    axes.set_ylim(len(measurements) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlim(*_limits(measurements))
    axes.set_xlabel("times as fast as torch; bars: 10-90 % of the samples")
    _label(figure, axes, "Speed, torch = 1", measurements[0])
    return figure


def _case(measurement: Measurement) -> str:
    return measurement.key["case"] + " (unsteady)" * bool(unsteady(measurement))


def _limits(measurements: list[Measurement]) -> tuple[float, float]:
    """Limits that show every bar, and ticks beside torch's line."""
    ranges = [_ratio(g, g.runners[name]) for g in measurements for name in _rivals(g)]
    return (
        min(0.7, *(low for low, _, _ in ranges)) / 1.1,
        max(1.5, *(high for _, _, high in ranges)) * 1.1,
    )


def _ratio(measurement: Measurement, timed: Timed) -> Range:
    torch = measurement.runners[TORCH].median
    low, high = timed.spread
    return torch / high, torch / timed.median, torch / low


def _dots(axes: Any, name: str, places: Any, ranges: Any) -> None:
    middle = [middle for _, middle, _ in ranges]
    _ = axes.errorbar(middle, places, xerr=_bars(ranges), ls="none", **_look(name))


def _values_by_runner(
    curve: Curve, measurements: list[Measurement]
) -> dict[str, dict[int, Range]]:
    """The quantity of each runner that has it, by size."""
    names = CASE_TAGS[curve.sweep]
    lines: dict[str, dict[int, Range]] = {}
    for measurement in measurements:
        if measurement.key["case"] not in names:
            continue
        for timed in (one for one in measurement.runners.values() if one.samples):
            value = curve.of(measurement, timed)
            if value is not None:
                size = curve.size(ENTRIES[measurement.key["case"]].case)
                lines.setdefault(timed.runner, {})[size] = value
    return lines


def _draw_curve(
    curve: Curve, lines: dict[str, dict[int, Range]], measurement: Measurement
) -> "Figure":
    figure, axes = _empty(height=4.2)
    for name in _in_order(lines):
        sizes, ranges = zip(*sorted(lines[name].items()), strict=True)
        middle = [middle for _, middle, _ in ranges]
        _ = axes.errorbar(sizes, middle, yerr=_bars(ranges), lw=1, **_look(name))
    sizes = sorted({size for line in lines.values() for size in line})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size}" for size in sizes])
    axes.set_yscale("log")
    _ticks(axes.yaxis, [a for line in lines.values() for a, _, _ in line.values()])
    axes.set_xlabel(curve.along)
    axes.set_ylabel(curve.unit)
    axes.grid(visible=True, color="0.92")
    _label(figure, axes, curve.title, measurement)
    return figure


def _ticks(axis: Any, values: list[float]) -> None:
    """Plain numbers on a logarithmic axis, closer together where the range is small."""
    from matplotlib.ticker import LogLocator, NullFormatter

    few = max(values) > 10 * min(values)
    subs = (1.0, 2.0, 5.0) if few else (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _empty(height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, height), layout="constrained")
    return figure, figure.subplots()


def _label(figure: "Figure", axes: Any, title: str, measurement: Measurement) -> None:
    """A title, and a legend beside the axes, where it covers nothing."""
    axes.set_title(
        f"{title}: {measurement.key['mode']}\n{where(measurement)}", fontsize=10
    )
    _ = figure.legend(
        *axes.get_legend_handles_labels(), loc="outside right upper", fontsize=7
    )


def _bars(ranges: Any) -> list[list[float]]:
    """How far each range goes below its middle, and how far above."""
    return [
        [middle - low for low, middle, _ in ranges],
        [high - middle for _, middle, high in ranges],
    ]


def _look(name: str) -> dict[str, Any]:
    """A runner has the same colour and marker in every figure."""
    place = _order(name)
    marker = _MARKERS[place % len(_MARKERS)]
    return {
        "label": name,
        "color": _COLORS[place % len(_COLORS)],
        "marker": marker,
        "ms": 4,
        "elinewidth": 1,
        "capsize": 2,
    }


def _in_order(names: Any) -> list[str]:
    return sorted(names, key=lambda name: (_order(name), name))


def _order(name: str) -> int:
    return [*RUNNERS, name].index(name)


def _step_seconds(measurement: Measurement, timed: Timed) -> Range:
    steps = (
        1
        if measurement.key["mode"] == "step"
        else ENTRIES[measurement.key["case"]].case.steps
    )
    low, high = timed.spread
    return tuple(1e6 * a / steps for a in (low, timed.median, high))  # type: ignore[return-value]


def _fact(
    scale: float, name: str, least: float = 0.0
) -> Callable[[Measurement, Timed], Range | None]:
    """A fact of each runner, if it is more than `least`."""

    def of(_: Measurement, timed: Timed) -> Range | None:
        value = timed.facts.get(name, 0) * scale
        return (value, value, value) if value > least else None

    return of


_HIDDEN, _STEPS = attrgetter("hidden_size"), attrgetter("steps")
CURVES = (
    Curve(
        name="hidden",
        sweep="hidden",
        size=_HIDDEN,
        along="hidden size H (inputs as many)",
        title="Time per step",
        unit="microseconds",
        of=_step_seconds,
    ),
    Curve(
        name="batch",
        sweep="batch",
        size=lambda case: case.batch[0],
        along="batch size B",
        title="Time per step",
        unit="microseconds",
        of=_step_seconds,
    ),
    Curve(
        name="compile",
        sweep="steps",
        size=_STEPS,
        along="time steps T",
        title="Compilation",
        unit="seconds",
        of=_fact(1.0, "compile_seconds"),
    ),
    Curve(
        name="memory",
        sweep="steps",
        size=_STEPS,
        along="time steps T",
        title="Memory of a call",
        unit="MB",
        # A process grows by pages, and has some left from before.
        of=_fact(1e-6, "peak_bytes", least=1.0),
    ),
    Curve(
        name="temporary",
        sweep="steps",
        size=_STEPS,
        along="time steps T",
        title="Temporary memory, says the compiler",
        unit="MB",
        of=_fact(1e-6, "temp_bytes"),
    ),
)
