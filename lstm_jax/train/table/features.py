"""The numbers that a model reads at each row, column by column."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lstm_jax.train.table.columns.missing import last_known
from lstm_jax.train.table.columns.roles import Roles
from lstm_jax.train.table.options import Options
from lstm_jax.train.table.scales import Scales
from lstm_jax.train.table.standardizer import Standardizer
from lstm_jax.train.table.times.calendar import calendar_columns, calendar_names
from lstm_jax.train.table.times.steps import Segments, Series


@dataclass(frozen=True, eq=False)
class Plan:
    """Which features there are, and how each is scaled.

    Attributes:
        roles: The columns by what they are to the model.
        options: How windows are cut.
        flagged: The inputs that have a column "was missing".
        calendar: The periods that have columns.
        standardizer: The scales of inputs, future and static columns.
        scales: The scales of the targets.
    """

    roles: Roles
    options: Options
    flagged: tuple[str, ...]
    calendar: tuple[str, ...]
    standardizer: Standardizer
    scales: Scales


class Columns(NamedTuple):
    """A table in series, as the features are made from it.

    Attributes:
        series: Its rows.
        segments: Where they begin and end.
        values: The numbers of each column, `(N,)`, NaN where one is missing.
        scale: Which row of the scales of the targets each row takes, `(N,)`.
    """

    series: Series
    segments: Segments
    values: Mapping[str, np.ndarray]
    scale: np.ndarray


def feature_names(plan: Plan) -> tuple[str, ...]:
    """Names of the features, in their order."""
    return tuple(name for name, _ in _features(plan, None))


def make_features(plan: Plan, columns: Columns) -> np.ndarray:
    """The features of each row, float32 `(N, I)`.

    They read the row and the rows before it in its segment, and of the columns known
    ahead the next `horizon` rows; NaN where these lie past the segment.
    """
    names = feature_names(plan)
    made = np.empty((len(columns.series.rows), len(names)), np.float32)
    for k, (_, column) in enumerate(_features(plan, columns)):
        made[:, k] = column
    return made


Feature = tuple[str, np.ndarray | None]


def _features(plan: Plan, columns: Columns | None) -> Iterator[Feature]:
    """Each feature's name and, where there are columns, its values."""
    roles = plan.roles
    for name in roles.read(plan.options.past):
        yield name, _known(plan, columns, name)
    for name in plan.flagged:
        flag = None if columns is None else np.isnan(columns.values[name])
        yield f"{name} was missing", flag
    for name in roles.future:
        yield from _ahead(plan, columns, name)
    for name in roles.static:
        yield name, _standardized(plan, columns, name)
    made = iter(())
    if columns is not None:
        made = iter(calendar_columns(columns.series.times, plan.calendar))
    for name in calendar_names(plan.calendar):
        yield name, next(made, None)


def _standardized(plan: Plan, columns: Columns | None, name: str) -> np.ndarray | None:
    if columns is None:
        return None
    if name in plan.roles.target:
        k, scales = plan.roles.target.index(name), plan.scales
        mean, std = scales.mean[columns.scale, k], scales.std[columns.scale, k]
    else:
        k = plan.standardizer.names.index(name)
        mean, std = plan.standardizer.mean[k], plan.standardizer.std[k]
    return (columns.values[name] - mean) / std


def _known(plan: Plan, columns: Columns | None, name: str) -> np.ndarray | None:
    """A column known up to now; with a fill, the mean where nothing is known yet."""
    made = _standardized(plan, columns, name)
    if made is None or columns is None or plan.options.fill is None:
        return made
    return np.nan_to_num(last_known(made, columns.segments))


def _ahead(plan: Plan, columns: Columns | None, name: str) -> Iterator[Feature]:
    """A column at each predicted step; at horizon 0, at the row itself."""
    made = _standardized(plan, columns, name)
    horizon = plan.options.horizon
    for k in range(1, horizon + 1) if horizon else (0,):
        title = f"{name}[+{k}]" if k else name
        if made is None or columns is None:
            yield title, None
            continue
        rows = np.arange(len(made))
        there = rows + k <= columns.segments.last
        yield title, np.where(there, made[np.minimum(rows + k, len(made) - 1)], np.nan)
