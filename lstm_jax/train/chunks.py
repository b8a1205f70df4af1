"""Long sequences, cut into chunks: the state of one chunk is the start of the next."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_jax.train.batch import Batch, bytes_of
from lstm_jax.train.table.windows import Windows


@dataclass(frozen=True)
class Place:
    """Steps `start` to `stop` of a stream, read by a lane as one chunk."""

    stream: int
    start: int
    stop: int


@dataclass(frozen=True)
class Streams:
    """Batches of chunks: made by `streams`.

    Attributes:
        xs: Inputs of each stream, `(T_i, I)`, or tokens `(T_i,)`.
        ys: Targets of each step, `(T_i, O)`, or classes `(T_i,)`.
        weights: What each target counts, or None.
        chunk: Steps of a chunk.
        lanes: For each row of the batches, the places it reads, one after the other.
    """

    xs: tuple[np.ndarray, ...]
    ys: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...] | None
    chunk: int
    lanes: tuple[tuple[Place, ...], ...]

    def __len__(self) -> int:
        """How many batches there are."""
        return max(map(len, self.lanes))

    def __iter__(self) -> Iterator[Batch]:
        for number in range(len(self)):
            places = [
                lane[number] if number < len(lane) else None for lane in self.lanes
            ]
            yield self._batch(places)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the arrays."""
        digest = hashlib.sha256(str((self.chunk, self.lanes)).encode())
        for array in (*self.xs, *self.ys, *(self.weights or ())):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(bytes_of(array))
        return digest.hexdigest()

    def _batch(self, places: list[Place | None]) -> Batch:
        weights = self.weights or tuple(np.ones(y.shape, np.float32) for y in self.ys)
        lengths = [0 if place is None else place.stop - place.start for place in places]
        return Batch(
            self._chunks(self.xs, places),
            self._chunks(self.ys, places),
            self._chunks(weights, places),
            np.array(lengths, np.int32),
            np.array([place is None or place.start == 0 for place in places]),
        )

    def _chunks(
        self, arrays: Sequence[np.ndarray], places: list[Place | None]
    ) -> np.ndarray:
        """Each lane's part of the arrays, `(B, chunk, ...)`, zeros past its end."""
        shape = (len(places), self.chunk, *arrays[0].shape[1:])
        filled = np.zeros(shape, np.result_type(*arrays))
        for lane, place in enumerate(places):
            if place is not None:
                part = arrays[place.stream][place.start : place.stop]
                filled[lane, : len(part)] = part
        return filled


def streams(
    xs: Any, ys: Any, *, chunk: int, weights: Any = None, lanes: int | None = None
) -> Streams:
    """Batches for training on long sequences, with the state carried along.

    Each lane, a row of the batches, reads its streams from their first step to their
    last, a chunk in each batch. The state after a chunk is the state before the next,
    and no gradient passes between them: truncated training. A stream begins with the
    state of zeros. Streams keep their order and go to the lane that is free first.

    Args:
        xs: Streams, a list of `(T_i, I)`, or an array `(N, T, I)`; for tokens without
            the last axis.
        ys: The target of each step, `(T_i, O)`, or classes `(T_i,)`.
        chunk: Steps of a chunk.
        weights: What each target counts, in the shape of `ys`; None means 1.
        lanes: Rows of a batch; None means as many as there are streams.

    Returns:
        Batches for `fit`, of a model with `outputs="all"`: `xs` is `(lanes, chunk, I)`.

    Raises:
        ValueError: If there is no stream, a stream is empty, or lengths differ.

    Example:
        >>> long, short = np.arange(5.0)[:, None], np.arange(2.0)[:, None]
        >>> first, second = streams([long, short], [long, short], chunk=4)
        >>> first.xs[..., 0].tolist(), first.lengths.tolist()
        ([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 0.0, 0.0]], [4, 2])
        >>> second.xs[..., 0].tolist(), second.reset.tolist()
        ([[4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [False, True])
    """
    kept = [tuple(np.asarray(x) for x in xs), tuple(np.asarray(y) for y in ys)]
    if weights is not None:
        kept.append(tuple(np.asarray(w, np.float32) for w in weights))
    lengths = [[len(array) for array in arrays] for arrays in kept]
    for name, found in zip(("ys", "weights"), lengths[1:], strict=False):
        if found != lengths[0]:
            raise ValueError(
                f"streams: the lengths of {name} {found} must be {lengths[0]}, those "
                f"of xs: each step has its target. Give each stream of xs its {name}."
            )
    if not lengths[0] or min(lengths[0]) == 0:
        raise ValueError(
            f"streams: the lengths of xs {lengths[0]} must be 1 or more, of at least "
            "one stream. Leave empty streams out."
        )
    for name, value in {
        "chunk": chunk,
        "lanes": len(kept[0]) if lanes is None else lanes,
    }.items():
        if value < 1:
            raise ValueError(
                f"streams: {name}={value} must be 1 or more. Use {name}=1."
            )
    places = _lanes(lengths[0], chunk, min(lanes or len(kept[0]), len(kept[0])))
    return Streams(
        kept[0], kept[1], kept[2] if weights is not None else None, chunk, places
    )


def streams_of(windows: Any, chunk: int, lanes: int) -> Streams:
    """The series of windows as streams, each row's target in its place.

    Raises:
        TypeError: If the samples are no windows of a table.
        ValueError: If there is no window.
    """
    if not isinstance(windows, Windows):
        raise TypeError(
            f"fit: truncate={chunk} must come with the windows of a table, not "
            f"{type(windows).__name__}: their series are cut into chunks. Use "
            f"streams(xs, ys, chunk={chunk}) as data, and truncate=None."
        )
    if not len(windows):
        raise ValueError(
            f"fit: truncate={chunk} must come with a window: there is none. Use more "
            "rows, or smaller windows."
        )
    held = [stretch[1:] for stretch in windows.stretches()]
    xs, ys, weights = zip(*held, strict=True)
    return streams(xs, ys, chunk=chunk, weights=weights, lanes=min(lanes, len(xs)))


def _lanes(lengths: list[int], chunk: int, count: int) -> tuple[tuple[Place, ...], ...]:
    lanes: list[list[Place]] = [[] for _ in range(count)]
    for stream, length in enumerate(lengths):
        free = min(lanes, key=len)
        for start in range(0, length, chunk):
            free.append(Place(stream, start, min(start + chunk, length)))
    return tuple(tuple(lane) for lane in lanes)
