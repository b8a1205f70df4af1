"""Columns with mean 0 and standard deviation 1, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

Values = TypeVar("Values", np.ndarray, pd.DataFrame)


@dataclass(frozen=True, eq=False)
class Standardizer:
    r"""Means and standard deviations of columns, to scale with and to scale back.

    With the mean $m$ and the standard deviation $s$ of the known values of a column,
    `transform` gives $(x - m) / s$ and `inverse` gives $m + s x$. Missing values (NaN)
    count for neither, and stay NaN. Where all values are equal $s$ is 1, so that the
    column becomes 0.

    Attributes:
        mean: Mean of each column, float64, `(I,)`.
        std: Standard deviation of each column, float64, `(I,)`: the root of the mean
            squared distance from the mean, as `numpy.std`.
        names: The columns of the DataFrame that it was fitted on; empty for arrays.

    Example:
        >>> from lstm_jax.train import Standardizer
        >>> scaled = Standardizer.fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
        >>> scaled.mean, scaled.std
        (array([2., 5.]), array([1., 1.]))
        >>> scaled.transform(np.array([[4.0, 7.0]]))
        array([[2., 2.]])
    """

    mean: np.ndarray
    std: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def fit(cls, values: np.ndarray | pd.DataFrame) -> "Standardizer":
        """Take the mean and the standard deviation of each column.

        Args:
            values: Rows of numbers, `(N, I)`. Give the training rows only: a model
                whose inputs were scaled by later rows has seen them.

        Returns:
            The standardizer of these columns.

        Raises:
            ValueError: If there are not two axes, a column has no known value, or a
                value is infinite.
        """
        names = ()
        if isinstance(values, pd.DataFrame):
            names = tuple(map(str, values.columns))
        held = np.asarray(values, np.float64)
        if held.ndim != 2:
            raise ValueError(
                f"Standardizer.fit: values.shape={held.shape} must be (rows, columns): "
                "each column has a mean of its own. Use values[:, None] for one column."
            )
        pairs = [_moments(held[:, k], _name(names, k)) for k in range(held.shape[1])]
        mean, std = np.array(pairs, np.float64).reshape(-1, 2).T
        return cls(mean, std, names)

    def transform(self, values: Values) -> Values:
        """Scale columns.

        Args:
            values: Numbers `(*N, I)`, or a DataFrame with the columns of `fit`.

        Returns:
            The same in float64, `(x - mean) / std`.

        Raises:
            ValueError: If the columns are not those of `fit`.
        """
        return self._apply("transform", values)

    def inverse(self, values: Values) -> Values:
        """Scale columns back.

        Args:
            values: Scaled numbers `(*N, I)`, or a DataFrame with the columns of `fit`.

        Returns:
            The same in float64, `mean + std * x`.

        Raises:
            ValueError: If the columns are not those of `fit`.
        """
        return self._apply("inverse", values)

    def _apply(self, how: str, values: Values) -> Values:
        if isinstance(values, pd.DataFrame):
            self._check_names(how, values)
        held = np.asarray(values, np.float64)
        if held.shape[-1:] != self.mean.shape:
            raise ValueError(
                f"Standardizer.{how}: values.shape={held.shape} must end in "
                f"{self.mean.size}: it was fitted on so many columns. Give the same "
                "columns, in the same order."
            )
        if how == "transform":
            scaled = (held - self.mean) / self.std
        else:
            scaled = self.mean + self.std * held
        if isinstance(values, pd.DataFrame):
            return pd.DataFrame(scaled, index=values.index, columns=values.columns)
        return scaled

    def _check_names(self, how: str, frame: pd.DataFrame) -> None:
        found = tuple(map(str, frame.columns))
        if self.names and found != self.names:
            raise ValueError(
                f"Standardizer.{how}: values.columns={list(found)} must be "
                f"{list(self.names)}: it was fitted on these. Use "
                f"values[{list(self.names)}]."
            )

    def to_json(self) -> dict[str, Any]:
        """What `json.dump` writes; `from_json` reads it to the last bit."""
        numbers = {"mean": self.mean.tolist(), "std": self.std.tolist()}
        return {"names": list(self.names), **numbers}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Standardizer":
        """The standardizer that `to_json` wrote."""
        mean, std = (np.array(held[key], np.float64) for key in ("mean", "std"))
        return cls(mean, std, tuple(held["names"]))


def _name(names: tuple[str, ...], k: int) -> str:
    return f"column {names[k]!r}" if names else f"values[:, {k}]"


def _moments(column: np.ndarray, name: str) -> tuple[float, float]:
    known = column[~np.isnan(column)]
    if not known.size or np.isinf(known).any():
        what = "finite" if known.size else "known somewhere"
        raise ValueError(
            f"Standardizer.fit: {name} must be {what}: it has no mean otherwise. Leave "
            "it out."
        )
    if known.min() == known.max():
        return float(known[0]), 1.0
    return float(known.mean()), float(known.std())
