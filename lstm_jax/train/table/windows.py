"""Windows over series: samples for training, and what to judge predictions by."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lstm_jax.train.batch import Batch
from lstm_jax.train.table.times.steps import Segments, Series, Step, later


class Source(NamedTuple):
    """The series that windows are cut from.

    Attributes:
        series: The rows.
        segments: Where they begin and end.
        features: What the model reads at each row, float32 `(N, I)`.
        targets: The targets in their own unit, float64 `(N, targets)`, NaN where one is
            missing.
        known: The last known targets at or before each row of its segment, the same
            shape.
        base: What a prediction of 0 stands for at each row, the same shape.
        scale: What a prediction of 1 adds to it, the same shape.
        window: Rows of a window.
        horizon: Steps ahead; 0 for the target at the window's last row.
        step: The time between rows, as `find_step` gives it.
    """

    series: Series
    segments: Segments
    features: np.ndarray
    targets: np.ndarray
    known: np.ndarray
    base: np.ndarray
    scale: np.ndarray
    window: int
    horizon: int
    step: Step


class Stretch(NamedTuple):
    """Rows of a series, one after the other, with what each is to give.

    Attributes:
        first: The number of its first row among those of `Source`.
        xs: Features, float32 `(T, I)`.
        ys: Scaled targets, float32 `(T, horizon' * targets)`.
        weights: What each counts, the same shape: 0 where no window ends, or a target
            is missing.
    """

    first: int
    xs: np.ndarray
    ys: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows over one or many series, which are not copied: `Rows` for `fit`.

    In all of these n counts windows, in the order of `take`, and horizon' is the
    horizon, or 1 where it is 0.

    Attributes:
        source: The series.
        ends: The last input row of each window, `(n,)`.
        said: What is to be said of the table.
    """

    source: Source
    ends: np.ndarray
    said: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.ends)

    def take(self, rows: np.ndarray) -> Batch:
        """The windows with these numbers, in this order.

        Returns:
            `xs (B, window, I)`, `ys (B, horizon' * targets)` scaled, step by step, and
            `weights` of the same shape: 0 where a target is missing. All float32.
        """
        source, ends = self.source, self.ends[rows]
        xs = self._views[ends - source.window + 1]
        xs = xs.reshape(len(ends), source.window, source.features.shape[1])
        return Batch(xs, *self._targets(ends))

    def stretches(self) -> Iterator[Stretch]:
        """The series that the windows lie in, each once, as a model reads it in order.

        A stretch goes from the first row of its segment to the last row that a window
        reads: windows of validation and test have the rows of earlier parts before
        them. Its targets have weight 0 at rows where no window ends.
        """
        source, ends = self.source, np.sort(self.ends)
        firsts = source.segments.first[ends]
        for mine in np.split(ends, np.flatnonzero(np.diff(firsts)) + 1):
            first, stop = int(source.segments.first[mine[0]]), int(mine[-1]) + 1
            found = self._targets(mine)
            held = [np.zeros((stop - first, a.shape[1]), a.dtype) for a in found]
            for whole, part in zip(held, found, strict=True):
                whole[mine - first] = part
            yield Stretch(first, source.features[first:stop], *held)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the windows read: other numbers have another one."""
        source, digest = self.source, hashlib.sha256()
        held = (source.features, source.targets, source.base, source.scale, self.ends)
        for array in held:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @cached_property
    def _views(self) -> np.ndarray:
        """The window that begins at each row, flat: `(N - window + 1, window * I)`."""
        flat, width = self.source.features.reshape(-1), self.source.features.shape[1]
        size = self.source.window * width
        if len(flat) < size:
            return np.empty((0, size), np.float32)
        return np.lib.stride_tricks.sliding_window_view(flat, size)[::width]

    @property
    def groups(self) -> np.ndarray:
        """The name of each window's group, `(n,)`; "" where there are no groups."""
        series = self.source.series
        return np.array(series.names, object)[series.group[self.ends]]

    @property
    def times(self) -> np.ndarray:
        """The time of each window's last input row, `(n,)`.

        `datetime64[us]` for dates, float64 for other numbers; without a column of
        times the number of the row in its group, from 0.
        """
        return self.source.series.times[self.ends]

    def times_ahead(self) -> np.ndarray:
        """The times predicted for, `(n, horizon')`: the table's own, or steps later."""
        source, steps = self.source, self._steps
        places = self.ends[:, None] + steps
        last = np.broadcast_to(source.segments.last[self.ends, None], places.shape)
        within = np.minimum(places, last)
        return later(source.series.times[within], places - within, source.step)

    def truth(self) -> np.ndarray:
        """The targets in their own unit, float64 `(n, horizon', targets)`, or NaN."""
        return self._truth(self.ends)

    def last(self) -> np.ndarray:
        """The last known targets before the first predicted step, `(n, targets)`.

        In their own unit, NaN where none was known. At horizon 0 they lie one row or
        more before the window's last row, whose target is predicted.
        """
        before = self.ends - (self.source.horizon == 0)
        there = before >= self.source.segments.first[self.ends]
        known = self.source.known[np.maximum(before, 0)]
        return np.where(there[:, None], known, np.nan)

    def past(self, period: int) -> np.ndarray:
        """The targets whole periods before each predicted step: the seasonal naive.

        Args:
            period: Rows of a period, at least 1.

        Returns:
            `(n, horizon', targets)` of the fewest periods that lead to the window's
            last row or before it (at horizon 0: before it); NaN where there is none,
            it is missing, or a hole lies between.
        """
        steps = self._steps
        back = period * np.maximum(-(-steps // period), 1)
        return self._targets_at(self.ends, steps - back)

    def by_row(self) -> "Windows":
        """Each row that these windows read or predict, once, with its own target.

        Returns:
            Windows of one row each, at horizon 0.
        """
        source, count = self.source, len(self.source.targets)
        begin = np.bincount(self.ends - source.window + 1, minlength=count)
        after = np.minimum(self.ends + source.horizon, source.segments.last[self.ends])
        end = np.bincount(after + 1, minlength=count)[:count]
        rows = np.flatnonzero(np.cumsum(begin - end))
        return Windows(source._replace(window=1, horizon=0), rows)

    def unscaled(self, outputs: np.ndarray) -> np.ndarray:
        """A model's outputs in the unit of the targets.

        Args:
            outputs: `(n, O)`, or `(n, O, Q)` for quantiles; O is horizon' * targets.

        Returns:
            float64 `(n, horizon', targets)` or `(n, horizon', targets, Q)`: the last
            known value plus the scaled change, or the mean plus the scaled level.

        Raises:
            ValueError: If the shape is another.
        """
        source = self.source
        sizes = (len(self), len(self._steps), source.targets.shape[1])
        held = np.asarray(outputs, np.float64)
        _check_outputs(held.shape, sizes[0], sizes[1] * sizes[2])
        quantiles = held.shape[2:]
        held = held.reshape(*sizes, *quantiles)
        more = (1,) * len(quantiles)
        base = source.base[self.ends].reshape(sizes[0], 1, sizes[2], *more)
        scale = source.scale[self.ends].reshape(sizes[0], 1, sizes[2], *more)
        return base + held * scale

    @property
    def _steps(self) -> np.ndarray:
        horizon = self.source.horizon
        return np.arange(1, horizon + 1) if horizon else np.zeros(1, np.int64)

    def _targets(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scaled targets of windows, `(n, horizon' * targets)`, and their weights."""
        source = self.source
        base, scale = source.base[ends, None], source.scale[ends, None]
        ys = (self._truth(ends) - base) / scale
        ys = ys.reshape(len(ends), ys.shape[1] * ys.shape[2])
        known = ~np.isnan(ys)
        ys = np.where(known, ys, 0.0).astype(np.float32)
        return ys, known.astype(np.float32)

    def _truth(self, ends: np.ndarray) -> np.ndarray:
        return self._targets_at(ends, self._steps)

    def _targets_at(self, ends: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Targets so many steps from the windows' last rows, within their segments."""
        segments, targets = self.source.segments, self.source.targets
        places = ends[:, None] + steps
        there = places >= segments.first[ends, None]
        there &= places <= segments.last[ends, None]
        held = targets[np.clip(places, 0, len(targets) - 1)]
        return np.where(there[..., None], held, np.nan)


def _check_outputs(shape: tuple[int, ...], count: int, wide: int) -> None:
    if shape[:2] != (count, wide) or len(shape) > 3:
        raise ValueError(
            f"unscaled: outputs.shape={shape} must be ({count}, {wide}), or "
            f"({count}, {wide}, Q) with quantiles: windows, and steps ahead times "
            f"targets. Give the outputs of a model of output_size={wide} for all "
            "windows."
        )
