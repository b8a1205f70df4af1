"""The results for a reader: a table for each measurement, and ratios over all."""

from itertools import compress
from math import exp, log

from parity.bench.results.steady import unsteady
from parity.bench.results.store import Measurement, Timed
from parity.bench.runners import FLAX, OURS, RUNNERS, TORCH, family_of

_RATIO = "torch / it"
HEADER = (
    "runner",
    "median",
    "10-90 %",
    _RATIO,
    "of product rate",
    "compile",
    "memory",
    "error",
)
_OF_TORCH = "torch's time over this one's, so above 1 it is faster; "
_LEGEND = (
    "of product rate: its operations a second over those of one large product; memory: "
    "what a call takes on a GPU, or what the process grows by; error: in roundings of "
    "the type."
)


def legend(measurements: list[Measurement]) -> str:
    """What the columns mean."""
    ratios = any(map(_has_ratios, measurements))
    return f"{_RATIO}: {_OF_TORCH}" * ratios + _LEGEND


def _has_ratios(measurement: Measurement) -> bool:
    """Whether torch was timed, and steadily."""
    return measurement.ratio(TORCH, TORCH) is not None and not unsteady(measurement)


def title(measurement: Measurement) -> str:
    """The work and where it ran."""
    return f"{measurement.key['case']}, {measurement.key['mode']}: {where(measurement)}"


def where(measurement: Measurement) -> str:
    """The type, the device and the cores."""
    key = measurement.key
    plural = "" if key["cores"] == 1 else "s"
    cores = f"{key['cores']} core{plural}" if key["device"] == "cpu" else ""
    tf32 = "" if key["precision"] == "highest" else f"{key['precision']} precision"
    return ", ".join(filter(None, (key["dtype"], key["device"], cores, tf32)))


def alike(measurements: list[Measurement]) -> list[list[Measurement]]:
    """The measurements in lists that differ only in the case."""
    found: dict[tuple[str, str], list[Measurement]] = {}
    for measurement in measurements:
        found.setdefault((measurement.key["mode"], where(measurement)), []).append(
            measurement
        )
    return list(found.values())


def table(measurement: Measurement) -> tuple[list[str], list[list[str]]]:
    """The header, and a row for each runner that was timed, the fastest first.

    Without torch's time, or where the samples are unsteady, there is no ratio to it.
    """
    timed = [a for a in measurement.runners.values() if a.samples]
    lines = [_cells(measurement, a) for a in sorted(timed, key=lambda a: a.median)]
    shown = [name != _RATIO or _has_ratios(measurement) for name in HEADER]
    header, *rows = ([*compress(line, shown)] for line in (HEADER, *lines))
    return header, rows


def left_out(measurement: Measurement) -> list[str]:
    """A line for each runner that was not timed: why."""
    return [
        f"{a.runner}: {a.skipped}" for a in measurement.runners.values() if a.skipped
    ]


def refuse_none(names: list[str], measurements: list[Measurement]) -> None:
    """Refuse results in which none of these runners ran.

    Raises:
        ValueError: With why each did not run.
    """
    asked = [one.runners[name] for one in measurements for name in names]
    if asked and not any(one.samples or one.wrong for one in asked):
        reasons = dict.fromkeys(f"{one.runner}: {one.skipped}" for one in asked)
        raise ValueError(
            "bench: a runner that was asked for must run: none did. Give another "
            f"runner or another work: {'; '.join(reasons)}"
        )


def other_commits(measurements: list[Measurement], commit: str) -> str:
    """Which other commits results are of; empty of none, or where ours has no name."""
    older = {one.run.get("commit", "") for one in measurements} - {commit}
    if not older or not commit:
        return ""
    named = ", ".join(sorted(filter(None, older)))
    said = [f"another commit, {named}"] * bool(named)
    return " and of ".join(said + ["a commit without a name"] * ("" in older))


def _cells(measurement: Measurement, timed: Timed) -> list[str]:
    facts, rate = timed.facts, measurement.run.get("product_rate")
    share = f"{measurement.flops / timed.median / rate:.0%}" if rate else ""
    ratio = measurement.ratio(timed.runner, TORCH)
    low, high = timed.spread
    compiling = facts.get("compile_seconds")
    return [
        timed.runner,
        seconds(timed.median),
        f"{seconds(low)} to {seconds(high)}",
        "" if ratio is None else f"{ratio:.2f}",
        share,
        "" if compiling is None else f"{compiling:.2f} s",
        f"{facts.get('peak_bytes', 0) / 1e6:.0f} MB",
        f"{facts.get('error', float('nan')):.2g}",
    ]


def seconds(value: float) -> str:
    """Seconds with a unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"


def fastest(measurement: Measurement, family: str) -> str | None:
    """The fastest runner of a family."""
    times = {
        name: timed.median
        for name, timed in measurement.runners.items()
        if timed.samples and family_of(name) == family
    }
    return min(times, key=times.__getitem__, default=None)


def ratios(
    measurements: list[Measurement], runner: str, rivals: str
) -> dict[str, float]:
    """How many times longer the fastest of a family takes than `runner`, by case.

    Where `runner` cannot divide the batch, the undivided runner counts: that is what a
    user of it gets.
    """
    found = {}
    undivided = RUNNERS[runner].undivided if runner in RUNNERS else ""
    for measurement in measurements:
        ours = runner if measurement.ratio(runner, runner) else undivided
        rival = fastest(measurement, rivals)
        ratio = None if rival is None else measurement.ratio(ours, rival)
        if ratio is not None:
            found[measurement.key["case"]] = ratio
    return found


def geometric_mean(values: list[float]) -> float:
    """The geometric mean; NaN of none."""
    return exp(sum(map(log, values)) / len(values)) if values else float("nan")


def sentences(measurements: list[Measurement]) -> list[str]:
    """The ratios over works that differ only in the case, and the worst of each."""
    found = []
    for some in alike([one for one in measurements if not unsteady(one)]):
        start = f"{some[0].key['mode']}, {where(some[0])}"
        for runner in _our_runners(some):
            for rivals, name in ((TORCH, "torch"), (FLAX, "the fastest of Flax")):
                each = ratios(some, runner, rivals)
                if each:
                    found.append(f"{start}: {runner} is {_summary(each, name)}")
    left_out = sum(bool(unsteady(one)) for one in measurements)
    if left_out:
        of = f"{left_out} of {len(measurements)} measurements"
        found.append(f"{of} are unsteady: they are left out of every ratio")
    return found


def _summary(each: dict[str, float], name: str) -> str:
    worst = min(each, key=each.__getitem__)
    if len(each) == 1:
        return f"{each[worst]:.2f} times as fast as {name} in {worst}"
    return (
        f"{geometric_mean([*each.values()]):.2f} times as fast as {name} in the "
        f"geometric mean of {len(each)} cases; least {each[worst]:.2f}, in {worst}"
    )


def _our_runners(measurements: list[Measurement]) -> list[str]:
    timed = {
        one.runner for m in measurements for one in m.runners.values() if one.samples
    }
    return sorted(name for name in timed if family_of(name) == OURS)
