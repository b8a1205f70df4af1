"""Streams of a smart watch, joined from recordings of one activity each.

The joints are ours: a watch that is worn on would show how one activity passes into the
next. The length of every part is drawn, so that a change cannot be told by the clock.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from examples.packages import file_of

CLASSES = ("Standing", "Walking", "Running", "Badminton")
STEPS, SHORTEST = 512, 30  # of a stream; of a part
VALIDATION = 3  # of the ten training recordings of a class
COUNTS, GAIN = (384, 24, 48), 0.5  # streams: train, valid, test; see `streams`


class Recordings(NamedTuple):
    """n recordings of one activity each: `(n, 100, 6)`, and their classes `(n,)`."""

    xs: np.ndarray
    classes: np.ndarray


class Streams(NamedTuple):
    """N streams: inputs `(N, T, 6)`, and the class of each step, `(N, T)`."""

    xs: np.ndarray
    ys: np.ndarray


def read_ts(text: str) -> Recordings:
    """Recordings in the format ts of aeon: the channels and the class, by colons.

    Raises:
        ValueError: If the header does not say that all lengths are equal and no value
            is missing.
    """
    head, _, body = text.partition("@data\n")
    for line in ("@equalLength true", "@missing false"):
        if line not in head.splitlines():
            raise ValueError(
                f"read_ts: the header must have the line {line!r}. Use such a file."
            )
    rows = [line.split(":") for line in body.splitlines() if line]
    channels = [[part.split(",") for part in row[:-1]] for row in rows]
    classes = [CLASSES.index(row[-1].strip()) for row in rows]
    return Recordings(np.array(channels, float).swapaxes(1, 2), np.array(classes))


def read_part(part: str) -> Recordings:
    """The recordings of the package's own part, "TRAIN" or "TEST"."""
    folder = ("datasets", "data", "BasicMotions")
    path = file_of("aeon", *folder, f"BasicMotions_{part}.ts")
    return read_ts(path.read_text(encoding="utf-8"))


def split(made: Recordings) -> tuple[Recordings, Recordings]:
    """Recordings to train on, and the last `VALIDATION` of each class."""
    kept = np.ones(len(made.classes), bool)
    for number in range(len(CLASSES)):
        kept[np.flatnonzero(made.classes == number)[-VALIDATION:]] = False
    first, second = (Recordings(made.xs[k], made.classes[k]) for k in (kept, ~kept))
    return first, second


def streams(made: Recordings, count: int, seed: int, gain: float = 0.0) -> Streams:
    """So many streams, joined from parts of recordings drawn at random.

    A part is `SHORTEST` steps long or longer, and the next one is of another class.

    Args:
        made: What the parts are taken of.
        count: N.
        seed: Of the draw.
        gain: Each channel of a part is multiplied by a factor whose logarithm has this
            deviation: more to learn from than so few recordings. Of no use in a test.

    Returns:
        The streams. Their inputs are `arcsinh` of the watch's numbers, since those of
        running are a hundred times those of standing.
    """
    rng = np.random.default_rng(seed)
    pairs = [_stream(made, rng, gain) for _ in range(count)]
    xs, ys = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return Streams(np.arcsinh(xs).astype(np.float32), ys.astype(np.int32))


def _stream(
    made: Recordings, rng: np.random.Generator, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = [], []
    while sum(map(len, ys)) < STEPS:
        others = made.classes != ys[-1][0] if ys else made.classes >= 0
        row = rng.choice(np.flatnonzero(others))
        length = rng.integers(SHORTEST, made.xs.shape[1] + 1)
        start = rng.integers(made.xs.shape[1] - length + 1)
        factors = np.exp(gain * rng.standard_normal(made.xs.shape[2]))
        xs.append(made.xs[row, start : start + length] * factors)
        ys.append(np.full(length, made.classes[row]))
    return np.concatenate(xs)[:STEPS], np.concatenate(ys)[:STEPS]


def near_changes(ys: np.ndarray, steps: int = 10) -> np.ndarray:
    """Whether a step is one of the `steps` before or after a change, `(N, T)`."""
    near = np.zeros(ys.shape, bool)
    for row, change in zip(*np.nonzero(np.diff(ys, axis=1)), strict=True):
        near[row, max(change + 1 - steps, 0) : change + 1 + steps] = True
    return near


class Parts(NamedTuple):
    """Streams; inputs are standardised by those of `train`.

    Attributes:
        train: Parts of recordings, each channel multiplied by a factor.
        plain: The same without factors, for the linear model, which may do better so.
        valid: Of the other training recordings.
        test: Of the package's test recordings.
    """

    train: Streams
    plain: Streams
    valid: Streams
    test: Streams


@cache
def parts(share: int = 1) -> Parts:
    """The streams, the same for every seed; or one of so many of them."""
    (train, valid), test = split(read_part("TRAIN")), read_part("TEST")
    counts = [count // share for count in COUNTS]
    made = (
        streams(train, counts[0], 0, GAIN),
        streams(train, counts[0] // 2, 0),
        streams(valid, counts[1], 1),
        streams(test, counts[2], 2),
    )
    centre, scale = made[0].xs.mean(axis=(0, 1)), made[0].xs.std(axis=(0, 1))
    return Parts(*(Streams((one.xs - centre) / scale, one.ys) for one in made))
