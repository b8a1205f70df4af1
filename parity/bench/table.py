"""The results for a reader: a table for each measurement, and ratios over all."""

from math import exp, log

from parity.bench.runner import OURS, TORCH
from parity.bench.store import Group, Timed

HEADER = (
    "runner",
    "median",
    "10-90 %",
    "torch / it",
    "of product rate",
    "compile",
    "memory",
    "error",
)
FLAX = ("linen ", "nnx ")


def title(group: Group) -> str:
    """The work and where it ran."""
    key = group.key
    cores = f", {key['cores']} cores" if key["device"] == "cpu" else ""
    return f"{key['case']}, {key['mode']}: {key['dtype']}, {key['device']}{cores}"


def rows(group: Group) -> list[list[str]]:
    """A row for each runner that was timed, the fastest first."""
    timed = [a for a in group.runners.values() if a.samples]
    return [_row(group, a) for a in sorted(timed, key=lambda a: a.median)]


def left_out(group: Group) -> list[str]:
    """A line for each runner that was not timed: why."""
    return [f"{a.runner}: {a.skipped}" for a in group.runners.values() if a.skipped]


def _row(group: Group, timed: Timed) -> list[str]:
    facts, rate = timed.facts, group.run.get("product_rate")
    share = f"{group.flops / timed.median / rate:.0%}" if rate else ""
    ratio = group.ratio(timed.runner, TORCH)
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


def best_flax(group: Group) -> str | None:
    """The fastest of Flax's runners."""
    timed = [
        a for a in group.runners.values() if a.samples and a.runner.startswith(FLAX)
    ]
    return min(timed, key=lambda a: a.median).runner if timed else None


def ratios(groups: list[Group], runner: str, other: str | None) -> dict[str, float]:
    """How many times longer `other` takes than `runner`, by work; Flax's best if None.

    A work that `runner` cannot do is the default runner's, since that is what a user
    of it gets: a batch of one row is not divided.
    """
    found = {}
    for group in groups:
        ours = runner if group.ratio(runner, runner) else OURS
        rival = other or best_flax(group)
        ratio = None if rival is None else group.ratio(ours, rival)
        if ratio is not None:
            found[f"{group.key['case']}, {group.key['mode']}"] = ratio
    return found


def geometric_mean(values: list[float]) -> float:
    """The geometric mean; NaN of none."""
    return exp(sum(map(log, values)) / len(values)) if values else float("nan")


def sentences(groups: list[Group]) -> list[str]:
    """The ratios over all works, and the worst of each."""
    found = []
    for mode in dict.fromkeys(group.key["mode"] for group in groups):
        some = [group for group in groups if group.key["mode"] == mode]
        for runner in _ours(some):
            for other, name in ((TORCH, "torch"), (None, "the fastest of Flax")):
                each = ratios(some, runner, other)
                if each:
                    worst = min(each, key=each.__getitem__)
                    found.append(
                        f"{mode}: {runner} is {geometric_mean([*each.values()]):.2f} "
                        f"times as fast as {name} in the geometric mean of "
                        f"{len(each)}; least {each[worst]:.2f}, {worst.split(',')[0]}"
                    )
    return found


def _ours(groups: list[Group]) -> list[str]:
    names = {a.runner for group in groups for a in group.runners.values() if a.samples}
    return sorted(name for name in names if name.startswith(OURS))
