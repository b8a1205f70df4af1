"""The rows of a table as series: their order, their step, and where they break off."""

from typing import NamedTuple

import numpy as np

from lstm_jax.train.table.notes import Notes, counted, listed
from lstm_jax.train.table.times.dates import COUNTED, DATES, Instants, show_time

MICROSECONDS = "timedelta64[us]"
MONTH = (28 * 86_400_000_000, 31 * 86_400_000_000)  # days of a month, in microseconds
Step = float | int | None


class Series(NamedTuple):
    """The rows of a table, group after group, each in the order of time.

    Attributes:
        rows: Where each row is in the table, `(N,)`.
        group: The number of its group, `(N,)`.
        names: The groups, sorted by name; one, "", where the table has none.
        times: The time of each row, `(N,)`; without a column of times, the number of
            the row in its group.
        kind: "dates", "numbers" or "rows": what `times` are.
    """

    rows: np.ndarray
    group: np.ndarray
    names: tuple[str, ...]
    times: np.ndarray
    kind: str

    def pick(self, keep: np.ndarray) -> "Series":
        """The series of some of the rows, with the groups that are left."""
        left, group = np.unique(self.group[keep], return_inverse=True)
        names = tuple(self.names[k] for k in left)
        rows, times = self.rows[keep], self.times[keep]
        return Series(rows, group, names, times, self.kind)


class Segments(NamedTuple):
    """The first and the last row of the segment that each row is in, `(N,)`."""

    first: np.ndarray
    last: np.ndarray


def in_series(
    notes: Notes,
    groups: tuple[tuple[str, ...], np.ndarray],
    instants: Instants,
    duplicates: str | None,
) -> Series:
    """Sort rows by group and time.

    Raises:
        ValueError: If a group has two rows of one time and `duplicates` is not "first".
    """
    names, group = groups
    order = np.lexsort((np.arange(len(group)), instants.values, group))
    by_group = np.argsort(group, kind="stable")
    if not np.array_equal(order, by_group):
        notes.say("The rows were not in the order of time, and are sorted.")
    times = instants.values[order]
    series = Series(order, group[order], names, times, instants.kind)
    if series.kind == COUNTED:
        return series._replace(times=_counted(series.group))
    return _without_duplicates(notes, series, duplicates)


def _counted(group: np.ndarray) -> np.ndarray:
    """The number of each row in its group, from 0."""
    return np.arange(len(group)) - np.searchsorted(group, group)


def _without_duplicates(notes: Notes, series: Series, duplicates: str | None) -> Series:
    same = series.times[1:] == series.times[:-1]
    again = np.append(False, same & (series.group[1:] == series.group[:-1]))
    if not again.any():
        return series
    if duplicates != "first":
        k = int(np.argmax(again))
        first, second = sorted(series.rows[k - 1 : k + 1].tolist())
        name = series.names[series.group[k]]
        place = f"a group, here {name!r}" if name else "the table"
        raise notes.wrong(
            f"time={show_time(series.times[k])!r} must be in one row of {place}: "
            f"it is in {notes.row(first)} and {notes.row(second)}, the first of "
            f"{counted(again.sum(), 'repeat')}. {_cure(notes)}"
        )
    notes.say(f"Rows left out, for they repeat a time of their group: {again.sum()}.")
    return series.pick(~again)


def _cure(notes: Notes) -> str:
    if notes.where != "windows":
        return (
            "Drop all but one, or train with duplicates='first', which keeps the first."
        )
    return (
        "Use group= if rows of several groups are mixed, or duplicates='first' to keep "
        "the first row of each time."
    )


def find_step(series: Series, training: np.ndarray) -> Step:
    """The most frequent difference in time between rows of the training part.

    Returns:
        Microseconds for dates, a number for numbers, 1 where the rows have no times,
        and None where no group has two training rows.
    """
    if series.kind == COUNTED:
        return 1
    within = (series.group[1:] == series.group[:-1]) & training[1:] & training[:-1]
    apart = np.diff(series.times)[within]
    if not apart.size:
        return None
    if series.kind == DATES:
        found, counts = np.unique(apart.astype(MICROSECONDS), return_counts=True)
        return int(found[np.argmax(counts)].astype(np.int64))
    # Numbers such as 0.1, 0.2, 0.3 differ by 0.1 up to their rounding.
    coarse = np.rint(apart / np.median(apart) * 1e6)
    found, which, counts = np.unique(coarse, return_inverse=True, return_counts=True)
    return float(np.median(apart[which == np.argmax(counts)]))


def find_segments(
    series: Series, step: Step, max_gap: int, part: np.ndarray | None = None
) -> Segments:
    """Where each row's segment begins and ends.

    A segment ends with its group, before a hole of more than `max_gap` steps, and
    before a row that is less than half a step after the last, which is no step. With
    the parts of the rows it also ends where an earlier part follows a later one, so
    that no row has one of a later part before it.
    """
    new = np.ones(len(series.rows) + 1, bool)
    same = series.group[1:] == series.group[:-1]
    steps = steps_between(series, step)
    near = (steps >= 1) & (steps <= max_gap)
    if part is not None:
        near &= part[1:] >= part[:-1]
    new[1:-1] = ~(same & near)
    begin = np.flatnonzero(new)
    sizes = np.diff(begin)
    return Segments(np.repeat(begin[:-1], sizes), np.repeat(begin[1:] - 1, sizes))


def steps_between(series: Series, step: Step) -> np.ndarray:
    """The steps from each row to the next, rounded; infinite where there is no step."""
    if step is None:
        return np.full(max(len(series.rows) - 1, 0), np.inf)
    apart = np.diff(series.times)
    if series.kind == DATES:
        apart = apart.astype(MICROSECONDS).astype(np.int64)
    return np.floor(apart / step + 0.5)  # half a step is one


def later(times: np.ndarray, steps: np.ndarray, step: Step) -> np.ndarray:
    """The times so many steps later; for months, the same day of a later month."""
    if not np.issubdtype(times.dtype, np.datetime64):
        return times + steps * (step or 0)
    step = int(step or 0)
    if not MONTH[0] <= step <= MONTH[1]:
        return times + (steps * step).astype(MICROSECONDS)
    months = times.astype("datetime64[M]")
    within = times - months.astype("datetime64[us]")
    first = months + steps.astype("timedelta64[M]")
    begin = first.astype("datetime64[us]")
    end = (first + np.timedelta64(1, "M")).astype("datetime64[us]")
    last_day = end - np.timedelta64(1, "D")
    clock = within % np.timedelta64(1, "D")
    return np.minimum(begin + within, last_day + clock)


def name_step(kind: str, step: Step) -> str:
    """The step for a reader, such as "5 minutes"."""
    if kind == COUNTED or step is None:
        return "a row"
    if kind != DATES:
        return f"{step:g}"
    if MONTH[0] <= step <= MONTH[1]:
        return "a month"
    for name, size in UNITS.items():
        if step % size == 0:
            count = int(step // size)
            return f"{count} {name}" + "s" * (count > 1)
    return f"{step / 1e6:g} seconds"


UNITS = {
    "week": 604_800_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
}


def say_holes(
    notes: Notes, series: Series, segments: Segments, step: Step, max_gap: int
) -> None:
    """Say how many holes no window crosses, and the groups that have the most."""
    begin = np.flatnonzero(segments.first == np.arange(len(series.rows)))
    holes = np.bincount(series.group[begin], minlength=len(series.names)) - 1
    same = series.group[1:] == series.group[:-1]
    close = same & (steps_between(series, step) == 0)
    near = np.bincount(series.group[1:][close], minlength=len(series.names))
    _say_where(
        notes,
        series,
        holes - near,
        f"Holes of more than {counted(max_gap, 'step')}, which no window crosses",
        "A larger max_gap= crosses more.",
    )
    _say_where(
        notes,
        series,
        near,
        "Rows less than half a step after the last one, where every window ends",
        "Without these rows there are more windows.",
    )


def _say_where(
    notes: Notes, series: Series, found: np.ndarray, what: str, cure: str
) -> None:
    if not found.any():
        return
    most = [series.names[k] for k in np.argsort(-found, kind="stable") if found[k]]
    whose = f", in {listed(most)}" if most[0] else ""
    notes.say(f"{what}{whose}: {found.sum()}. {cure}")
