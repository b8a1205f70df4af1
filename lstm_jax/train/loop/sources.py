"""What training reads: batches of one size, from any step on."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd

from lstm_jax.train.batch import Arrays, Batch, bytes_of
from lstm_jax.train.loop.devices import ONE, Devices
from lstm_jax.train.order import rows_of_step, steps_of_epoch

# They have `take` and a length, too, and are no samples with targets.
_ALONE = (np.ndarray, jax.Array, pd.DataFrame)


@dataclass(frozen=True)
class Drawn:
    """Batches drawn of rows, in the order of `seed`; as they lie where it is None.

    Of each batch there are the rows of this process.
    """

    rows: Any
    batch: int
    seed: int | None
    devices: Devices = ONE

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return steps_of_epoch(len(self.rows), self.batch)

    @property
    def width(self) -> int:
        """Rows of a batch."""
        return self.batch

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch; the last is filled with rows of weight 0."""
        start, stop = self.devices.own(self.batch)
        for within in range(first, self.steps):
            numbers = self._numbers(number, within)
            some = np.resize(numbers, stop)[start:]
            yield filled(self.rows.take(some), len(numbers) - start, stop - start)

    def _numbers(self, epoch: int, within: int) -> np.ndarray:
        size, start = len(self.rows), within * self.batch
        if self.seed is None:
            return np.arange(start, min(start + self.batch, size))
        step = epoch * self.steps + within
        return rows_of_step(self.seed, step, size, self.batch)


@dataclass(frozen=True)
class Iterated:
    """Batches as an iterable gives them, the same at each pass.

    Each process reads all of them, and keeps its rows.
    """

    batches: Iterable[Batch]
    name: str = "data"
    devices: Devices = ONE

    @property
    def steps(self) -> int | None:
        """Batches of a pass, where the iterable has a length."""
        given: Any = self.batches
        return len(given) if hasattr(given, "__len__") else None

    @property
    def width(self) -> int:
        """Rows of the first batch."""
        return len(next(iter(self.batches)).xs)

    def epoch(self, _: int, first: int = 0) -> Iterator[Batch]:
        """The batches of a pass; those smaller than its first are filled up to it."""
        size = 0
        for within, batch in enumerate(self.batches):
            _refuse_other(self.name, batch)
            rows = len(batch.xs)
            size = size or rows
            if within >= first:
                start, stop = self.devices.own(max(rows, size))
                yield filled(_cut(batch, start, stop), rows - start, stop - start)


Source = Drawn | Iterated


def filled(batch: Batch, rows: int, size: int) -> Batch:
    """The batch with weights for each of its `size` rows: 0 past the first `rows`."""
    weights = batch.weights
    if weights is None:
        weights = np.ones((size,), np.float32)
    if rows < size:
        weights = np.array(weights)
        weights[max(rows, 0) :] = 0
    return batch._replace(weights=weights)


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    """Rows of the batch; past its last they are its rows once more."""
    rows = len(batch.xs)
    if (start, stop) == (0, rows):
        return batch
    numbers = np.resize(np.arange(rows), stop)[start:]
    arrays: Any = (a if a is None else np.asarray(a)[numbers] for a in batch)
    return Batch(*arrays)


def read_source(
    name: str, given: Any, batch: int, seed: int | None, devices: Devices = ONE
) -> Source:
    """The batches of what the caller gave as `name`."""
    if isinstance(given, tuple | list) and given and not isinstance(given[0], tuple):
        given = _arrays(name, given)
    if type(given) is Arrays:
        given = _arrays(name, list(vars(given).values()))
    readable = _is_rows(given) or hasattr(given, "__iter__")
    if isinstance(given, _ALONE) or not readable:
        raise TypeError(
            f"fit: {name} must be arrays, rows or batches, not {type(given).__name__}. "
            f"Use {name}=(xs, ys)."
        )
    if _is_rows(given):
        if len(given) == 0:
            raise ValueError(
                f"fit: {name} must have a sample: it is empty. Use more rows, or "
                "smaller windows."
            )
        return Drawn(given, min(batch, len(given)), seed, devices)
    if iter(given) is given:
        raise TypeError(
            f"fit: {name} must give its batches anew at each pass: an iterator is used "
            "up after one. Use a list, or a class with __iter__."
        )
    return Iterated(given, name, devices)


def _refuse_other(name: str, batch: Any) -> None:
    if not isinstance(batch, Batch):
        raise TypeError(
            f"fit: {name} must give batches, each a Batch: it gives a "
            f"{type(batch).__name__}. Use {name}=[Batch(xs, ys), ...], or arrays "
            f"{name}=(xs, ys)."
        )


def _is_rows(given: Any) -> bool:
    return hasattr(given, "take") and hasattr(given, "__len__")


def _arrays(name: str, given: Any) -> Arrays:
    arrays: list[Any] = [a if a is None else np.asarray(a) for a in given]
    sizes = [len(a) if a is not None and a.ndim else None for a in arrays]
    if not 2 <= len(arrays) <= 4 or None in sizes[:2]:
        raise ValueError(
            f"fit: {name} must be (xs, ys), (xs, ys, weights) or (xs, ys, weights, "
            f"lengths): it has {len(arrays)} parts. Use {name}=(xs, ys)."
        )
    sizes = [size for size in sizes if size is not None]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"fit: {name} must have as many samples in each array: their first axes "
            f"are {sizes}. Give each sequence of xs its row of ys."
        )
    made = Arrays(*arrays)
    _refuse_negative(name, made.weights)
    return made


def _refuse_negative(name: str, weights: Any) -> None:
    if weights is not None and (weights < 0).any():
        raise ValueError(
            f"fit: {name} must have weights of 0 or more: its least is "
            f"{weights.min()}. Use 0 for targets to leave out."
        )


def fingerprint_of(*sources: Source | None) -> str | None:
    """SHA-256 of the arrays; None where they are not all in memory."""
    digest = hashlib.sha256()
    for source in sources:
        held = getattr(source, "rows", getattr(source, "batches", None))
        if isinstance(held, Arrays):
            for name, array in vars(held).items():
                _add(digest, name, array)
        elif source is not None:
            own = getattr(held, "fingerprint", None)
            if not isinstance(own, str):
                return None
            digest.update(own.encode())
    return digest.hexdigest()


def _add(digest: Any, name: str, array: np.ndarray | None) -> None:
    if array is not None:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(bytes_of(array))
