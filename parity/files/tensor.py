"""A tensor that is written, and what writes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parity.arrays import native


@dataclass(frozen=True)
class Tensor:
    """A tensor to write: its name, its numbers, and the type they are written in."""

    name: str
    array: np.ndarray
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes when written."""
        return self.array.size * self.dtype.itemsize

    def value(self) -> np.ndarray:
        """The numbers in their type, in row-major order.

        Raises:
            ValueError: If the type is too narrow for a finite number.
        """
        source = native(self.array)
        if source.dtype == self.dtype:
            return np.asarray(source, order="C")
        with np.errstate(over="ignore", invalid="ignore"):
            cast = source.astype(self.dtype, order="C")
        lost = np.isfinite(source) & ~np.isfinite(cast)
        if lost.any():
            raise ValueError(
                f"convert: {self.name!r} must fit {self.dtype.name}: {lost.sum()} "
                "of its values are too large. Use --dtype bfloat16 or float32."
            )
        return cast


# Called after each tensor.
Done = Callable[[], None]
# Writes tensors to a path that does not exist yet: it is renamed later.
Writer = Callable[[Sequence[Tensor], Path, Done], None]
