"""The results for a reader: a table for each measurement, and ratios over all."""

import re
from math import exp, log

from parity.bench.results.store import Group, Timed
from parity.bench.runner import OURS, TORCH

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
_DIVIDED = re.compile(r" (devices|shard_map)")


LEGEND = (
    "torch / it: torch's time over this one's, so above 1 it is faster; of product "
    "rate: operations a second, of those of one large product; memory: what a call "
    "takes of a GPU's, or what the process grows by; error: in roundings of the type."
)


def title(group: Group) -> str:
    """The work and where it ran."""
    return f"{group.key['case']}, {group.key['mode']}: {where(group)}"


def where(group: Group) -> str:
    """The type, the device and the cores."""
    key = group.key
    plural = "" if key["cores"] == 1 else "s"
    cores = f"{key['cores']} core{plural}" if key["device"] == "cpu" else ""
    tf32 = "" if key["precision"] == "highest" else f"{key['precision']} precision"
    return ", ".join(filter(None, (key["dtype"], key["device"], cores, tf32)))


def alike(groups: list[Group]) -> list[list[Group]]:
    """The groups that differ in nothing but the case, together."""
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        found.setdefault((group.key["mode"], where(group)), []).append(group)
    return list(found.values())


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
    """How many times longer `other` takes than `runner`, by case; Flax's best if None.

    A work that `runner` cannot do is that of the one which does not divide the batch,
    since that is what a user of it gets: a batch of one row is not divided.
    """
    found, undivided = {}, _DIVIDED.sub("", runner)
    for group in groups:
        ours = runner if group.ratio(runner, runner) else undivided
        rival = other or best_flax(group)
        ratio = None if rival is None else group.ratio(ours, rival)
        if ratio is not None:
            found[group.key["case"]] = ratio
    return found


def geometric_mean(values: list[float]) -> float:
    """The geometric mean; NaN of none."""
    return exp(sum(map(log, values)) / len(values)) if values else float("nan")


def sentences(groups: list[Group]) -> list[str]:
    """The ratios over works that differ in the case alone, and the worst of each."""
    found = []
    for some in alike(groups):
        start = f"{some[0].key['mode']}, {where(some[0])}"
        for runner in _ours(some):
            for other, name in ((TORCH, "torch"), (None, "the fastest of Flax")):
                each = ratios(some, runner, other)
                if each:
                    found.append(f"{start}: {runner} is {_summary(each, name)}")
    return found


def _summary(each: dict[str, float], name: str) -> str:
    worst = min(each, key=each.__getitem__)
    if len(each) == 1:
        return f"{each[worst]:.2f} times as fast as {name} in {worst}"
    return (
        f"{geometric_mean([*each.values()]):.2f} times as fast as {name} in the "
        f"geometric mean of {len(each)} cases; least {each[worst]:.2f}, in {worst}"
    )


def _ours(groups: list[Group]) -> list[str]:
    names = {a.runner for group in groups for a in group.runners.values() if a.samples}
    return sorted(name for name in names if name.startswith(OURS))
