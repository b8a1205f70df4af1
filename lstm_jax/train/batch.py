"""What a step of training reads: a `Batch`, and the `Rows` that it is taken of."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


class Batch(NamedTuple):
    """Sequences and what they are to give, batch first.

    Attributes:
        xs: Inputs, `(B, T, I)`; for a model with an embedding, tokens `(B, T)`.
        ys: Targets of the loss: `(B, O)`, or `(B, T, O)` for a model that predicts at
            every step; for classes and tokens, integers without the last axis.
        weights: What each target counts, in the shape of `ys`, or one that is broadcast
            to it: 0 leaves a target out, whatever it holds, NaN included. None means 1.
        lengths: Steps of each row, `(B,)`; None means T.
        reset: Rows that begin anew, `(B,)`: the others go on with the state that the
            same row had after the batch before. None where no state is carried.
    """

    xs: np.ndarray
    ys: np.ndarray
    weights: np.ndarray | None = None
    lengths: np.ndarray | None = None
    reset: np.ndarray | None = None


def bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array of any type, half precision of JAX among them."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


@runtime_checkable
class Rows(Protocol):
    """Samples that batches are taken of: arrays in memory, windows of series."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def take(self, rows: np.ndarray) -> Batch:
        """The samples with these numbers, in this order."""
        ...


@dataclass(frozen=True)
class Arrays:
    """Samples in memory: the first axis of each array counts them."""

    xs: np.ndarray
    ys: np.ndarray
    weights: np.ndarray | None = None
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.xs)

    def take(self, rows: np.ndarray) -> Batch:
        """The samples with these numbers, in this order."""
        picked: Any = (a if a is None else a[rows] for a in vars(self).values())
        return Batch(*picked)
