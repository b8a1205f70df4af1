"""What scores ask of windows and of a dataset."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from lstm_jax.train.batch import Rows


@runtime_checkable
class Scored(Rows, Protocol):
    """Windows with their truth, n of them, in the order of `take`.

    horizon' is the horizon, or 1 where it is 0. All values are in the targets' own
    units, and NaN where there is none.
    """

    @property
    def groups(self) -> np.ndarray:
        """The name of each window's group, `(n,)`."""
        ...

    @property
    def times(self) -> np.ndarray:
        """The time of each window's last row, `(n,)`."""
        ...

    def times_ahead(self) -> np.ndarray:
        """The times that are predicted for, `(n, horizon')`."""
        ...

    def truth(self) -> np.ndarray:
        """The targets, `(n, horizon', targets)`."""
        ...

    def last(self) -> np.ndarray:
        """The last known targets before the first predicted step, `(n, targets)`."""
        ...

    def past(self, period: int) -> np.ndarray:
        """The targets whole periods before each predicted step, shape of `truth`."""
        ...

    def by_row(self) -> "Scored":
        """Each row that these windows read or predict, once, with its own target.

        Returns:
            Windows of one row each, at horizon 0.
        """
        ...

    def unscaled(self, outputs: np.ndarray) -> np.ndarray:
        """A model's outputs, `(n, O)` or `(n, O, Q)`, in the targets' own units.

        Returns:
            `(n, horizon', targets)` or `(n, horizon', targets, Q)`.
        """
        ...


@runtime_checkable
class Cut(Protocol):
    """How the windows of a dataset are cut: what scores ask of its recipe."""

    @property
    def horizon(self) -> int:
        """Steps ahead; 0 for the target at the window's last row."""
        ...

    @property
    def step(self) -> float | int | None:
        """From row to row: microseconds where the times of windows are dates."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the model reads; a target's own name where it reads its past."""
        ...

    @property
    def roles(self) -> Any:
        """Whose `target` are the names of the targets."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A dataset: the windows of each part."""

    @property
    def recipe(self) -> Cut:
        """How the windows are cut."""
        ...

    @property
    def train(self) -> Scored:
        """Windows to fit."""
        ...

    @property
    def valid(self) -> Scored:
        """Windows that choose."""
        ...

    @property
    def test(self) -> Scored:
        """Windows that judge."""
        ...
