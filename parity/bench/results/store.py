"""Results as JSON lines: everything that is measured, as soon as it is.

Each line has a `kind`. `run`: machine, versions, commit, settings and the rate of a
product. `work`: what the lines below measure. `prepared`: what a runner's program cost
to make, and its error. `sample`: one time. `skipped`: a runner that did not run, and
why. `done`: all rounds of the work are there; without it, the work is measured again.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.terminal import jsonable

Line = dict[str, Any]
# What lines of the same measurement share.
KEY = ("case", "mode", "dtype", "device", "cores", "precision")
# What a line of each kind holds, at least.
_FIELDS = {
    "run": ("environment", "settings"),
    "work": (*KEY, "flops"),
    "prepared": ("runner",),
    "sample": ("runner", "seconds"),
    "skipped": ("runner", "reason"),
    "done": (),
}
_START = '{"kind": "'


@dataclass
class Timed:
    """A runner's times of a work, in seconds, and what else is known.

    `others` are shares of the cores that other programs took while it was timed.
    """

    runner: str
    samples: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    facts: Line = field(default_factory=dict)
    skipped: str = ""

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return float(np.median(self.samples))

    @property
    def wrong(self) -> bool:
        """Whether its numbers are outside the budget."""
        return self.skipped.startswith("wrong")

    @property
    def spread(self) -> tuple[float, float]:
        """The range of the middle eight of ten samples."""
        low, high = np.quantile(self.samples, (0.1, 0.9))
        return float(low), float(high)


@dataclass
class Measurement:
    """All runners of a work, measured round by round."""

    key: dict[str, Any]
    run: Line
    flops: int = 0
    runners: dict[str, Timed] = field(default_factory=dict)
    done: bool = False

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes it the same measurement as another."""
        return tuple(self.key[name] for name in KEY)

    @property
    def rounds(self) -> int:
        """How many samples there are of each runner that could be timed."""
        return max((len(timed.samples) for timed in self.runners.values()), default=0)

    def covers(self, runners: Collection[str], rounds: int, seconds: float) -> bool:
        """Whether it has these runners, with as many samples, at least as long."""
        timed = any(one.samples for one in self.runners.values())
        enough = self.rounds >= rounds or not timed
        long = self.run["settings"].get("seconds", 0.0) >= seconds
        return set(runners) <= set(self.runners) and enough and long

    def ratio(self, runner: str, other: str) -> float | None:
        """How many times longer `other` takes; None where one of them has no time."""
        pair = (self.runners.get(runner), self.runners.get(other))
        if any(timed is None or not timed.samples for timed in pair):
            return None
        return pair[1].median / pair[0].median  # type: ignore[union-attr]


def append(path: Path | None, line: Line) -> None:
    """Add a line to the file, if there is one, at once."""
    if path is None:
        return
    with path.open("a", encoding="utf-8") as file:
        _ = file.write(json.dumps(jsonable(line), allow_nan=False) + "\n")


def read_lines(path: Path) -> list[Line]:
    """The lines of a file of results.

    Raises:
        ValueError: If a line is none of ours; a last line may be cut off.
    """
    *whole, last = path.read_text("utf-8", "replace").split("\n")
    found = []
    for number, text in enumerate(whole, start=1):
        line = _parsed(text)
        if line is None:
            raise _not_ours(path, number)
        found.append(line)
    if not (last.startswith(_START) or _START.startswith(last)):
        raise _not_ours(path, len(whole) + 1)
    return found


def read_to_continue(path: Path) -> list[Line]:
    """The lines of a file that is to be continued; a last line cut off is removed."""
    if not path.is_file():
        return []
    found = read_lines(path)
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        _ = path.write_bytes(text[: text.rfind(b"\n") + 1])
    return found


def _parsed(text: str) -> Line | None:
    """A line, if it is one of ours."""
    try:
        line = json.loads(text)
        return line if all(name in line for name in _FIELDS[line["kind"]]) else None
    except (ValueError, TypeError, KeyError):
        return None


def _not_ours(path: Path, number: int) -> ValueError:
    return ValueError(
        f"bench: line {number} of {path} must be a result: it is not JSON with a kind "
        "and its fields. Give a file that `bench --json` wrote."
    )


def measurements(lines: Iterable[Line]) -> list[Measurement]:
    """The finished measurements, the last of each work, in the order of the file."""
    finished: dict[tuple, Measurement] = {}
    for measurement in list(_all(lines)):  # a later line says whether it is done
        if measurement.done:
            _ = finished.pop(measurement.identity, None)
            finished[measurement.identity] = measurement
    return list(finished.values())


def _all(lines: Iterable[Line]) -> Iterator[Measurement]:
    run: Line = {}
    measurement: Measurement | None = None
    for line in lines:
        if line["kind"] == "run":
            run = line
        elif line["kind"] == "work":
            measurement = Measurement(
                {name: line[name] for name in KEY}, run, line["flops"]
            )
            yield measurement
        elif measurement is not None:
            _take(measurement, line)


def _take(measurement: Measurement, line: Line) -> None:
    if line["kind"] == "done":
        measurement.done = True
        return
    name = line["runner"]
    timed = measurement.runners.setdefault(name, Timed(name))
    if line["kind"] == "sample":
        timed.samples.append(line["seconds"])
        timed.others += [line["others"]] if "others" in line else []
        return
    if line["kind"] == "skipped":
        timed.skipped = line["reason"]
        timed.samples.clear()
    others = ("kind", "runner", "reason", "round")
    timed.facts |= {k: v for k, v in line.items() if k not in others}
