"""Whether a measurement can be read: what ran beside it, how far its samples lie."""

from parity.bench.results.store import Measurement, Timed

# The slowest tenth of the samples over the fastest: one in a hundred of the 738 sets of
# samples in docs/benchmarks/cpu-*.jsonl has more.
MOST_SPREAD = 1.5
# Share of the cores' time that other programs took. With a thread on each core, all of
# them wait for the one that lost its core.
MOST_OTHERS = 0.1


def unsteady(measurement: Measurement) -> str:
    """Why no ratio should be read off a measurement; empty where one can."""
    reasons = "; ".join(filter(None, (_load(measurement), _spread(measurement))))
    if not reasons:
        return ""
    return (
        f"UNSTEADY, so no ratio is given: {reasons}. Measure again when nothing else "
        "runs."
    )


def _load(measurement: Measurement) -> str:
    others = [share for one in measurement.runners.values() for share in one.others]
    share = sum(others) / len(others) if others else 0.0
    if share <= MOST_OTHERS:
        return ""
    return f"other programs took {share:.0%} of the cores".replace("%", " %")


def _spread(measurement: Measurement) -> str:
    timed = [one for one in measurement.runners.values() if one.samples]
    worst = max(timed, key=_apart, default=None)
    if worst is None or _apart(worst) <= MOST_SPREAD:
        return ""
    return (
        f"the slowest tenth of the samples of {worst.runner} takes "
        f"{_apart(worst):.1f} times as long as the fastest"
    )


def _apart(timed: Timed) -> float:
    low, high = timed.spread
    return high / low
