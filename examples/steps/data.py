"""Five wearers of a wrist watch, minute by minute, as windows of a day and an hour."""

from datetime import datetime
from typing import NamedTuple

import numpy as np

from examples.packages import file_of

WEARERS = tuple(f"example_0{number}" for number in range(1, 6))
HEADER, MINUTE = 7, "4"  # lines before the counts; the code of one count a minute
BIN, DAY, HOUR = 10, 1440, 60  # minutes
LIES = 180  # so many minutes of zeros and more: the watch lies on a table
HARMONICS = (1, 2, 3)  # waves of so many periods a day, known at every step


class Recording(NamedTuple):
    """What a watch wrote: the minute of the day it began at, and a count a minute."""

    start: int
    counts: np.ndarray


class Windows(NamedTuple):
    """n windows of a day, each in units of its own mean, and the hours after them.

    Attributes:
        xs: A step is an hour: six means of ten minutes, and the harmonics of the time
            of day at its middle, `(n, 24, 12)`.
        ys: Mean of the next hour, `(n, 1)`, in units of the day's mean.
        scale: The day's mean, in counts a minute, `(n,)`.
        minute: When the next hour begins, in minutes of the day, `(n,)`.
        end: The same in minutes of the recording, `(n,)`.
    """

    xs: np.ndarray
    ys: np.ndarray
    scale: np.ndarray
    minute: np.ndarray
    end: np.ndarray

    @property
    def truth(self) -> np.ndarray:
        """Mean of the next hour, in counts a minute, `(n,)`."""
        return self.ys[:, 0] * self.scale

    def where(self, kept: np.ndarray) -> "Windows":
        """The windows that are kept, `(n,)` of bool."""
        return Windows(*(array[kept] for array in self))


def read_awd(text: str) -> Recording:
    """A recording in the format AWD of the Actiwatch.

    Its seven lines of header hold the time at which it begins and a code for the time
    between two counts. Every other line holds a count, and "M" where the wearer pressed
    the button.

    Raises:
        ValueError: If there is not one count a minute.
    """
    lines = [line.strip() for line in text.splitlines()]
    if lines[3] != MINUTE:
        raise ValueError(
            f"read_awd: the code of the interval {lines[3]!r} must be {MINUTE!r}, a "
            "count a minute. Use a recording of that interval."
        )
    clock = datetime.strptime(lines[2], "%H:%M")
    counts = [float(line.split()[0]) for line in lines[HEADER:] if line]
    return Recording(60 * clock.hour + clock.minute, np.array(counts))


def read_wearer(name: str) -> Recording:
    """The recording of one of `WEARERS`."""
    path = file_of("pyActigraphy", "tests", "data", f"{name}.AWD")
    return read_awd(path.read_text(encoding="utf-8"))


def worn(counts: np.ndarray) -> np.ndarray:
    """Whether the watch was worn, `(T,)`: not in long runs of zeros."""
    edges = np.diff(np.concatenate([[False], counts == 0, [False]]).astype(int))
    kept = np.ones(len(counts), bool)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    for begin, end in zip(begins, ends, strict=True):
        kept[begin:end] = end - begin < LIES
    return kept


def harmonics(minutes: np.ndarray) -> np.ndarray:
    """Sines and cosines of the time of day, `(..., 2 * harmonics)`."""
    angles = 2 * np.pi * minutes[..., None] / DAY * np.array(HARMONICS)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)


def windows(recording: Recording) -> Windows:
    """A window every ten minutes; all of its day and of the next hour is worn."""
    start, counts = recording
    unworn = np.concatenate([[0], np.cumsum(~worn(counts))])
    ends = np.arange(DAY, len(counts) - HOUR + 1, BIN)
    ends = ends[unworn[ends + HOUR] == unworn[ends - DAY]]
    days = counts[ends[:, None] + np.arange(-DAY, 0)]
    scale = days.mean(axis=1)
    means = days.reshape(len(ends), DAY // HOUR, HOUR // BIN, BIN).mean(axis=3)
    middles = start + ends[:, None] + np.arange(-DAY, 0, HOUR) + HOUR // 2
    xs = np.concatenate([means / scale[:, None, None], harmonics(middles)], axis=-1)
    hours = counts[ends[:, None] + np.arange(HOUR)].mean(axis=1)
    ys = (hours / scale)[:, None]
    kept = xs.astype(np.float32), ys.astype(np.float32)
    return Windows(*kept, scale, (start + ends) % DAY, ends)


def joined(parts: list[Windows]) -> Windows:
    """The windows of several wearers."""
    return Windows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def split(made: Windows, share: float = 0.8) -> tuple[Windows, Windows]:
    """Training and validation: the hours before and after a share of the recording."""
    cut = int(share * made.end[-1])
    return made.where(made.end + HOUR <= cut), made.where(made.end >= cut)


def hour_of(made: Windows, step: int) -> np.ndarray:
    """The mean of an hour of each window: 0 is the same hour yesterday, -1 the last."""
    return made.xs[:, step, : HOUR // BIN].mean(axis=1)


def hourly_mean(train: Windows, test: Windows) -> np.ndarray:
    """The training wearers' mean by hour of the day, in units of the day before."""
    hours, asked = train.minute // HOUR, test.minute // HOUR
    weights = train.scale**2  # the least error in counts
    sums = np.bincount(hours, weights * train.ys[:, 0], DAY // HOUR)
    return (sums / np.bincount(hours, weights, DAY // HOUR))[asked]
