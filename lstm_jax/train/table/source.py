"""The series that windows are cut from, and where windows end."""

import numpy as np

from lstm_jax.train.table.columns.missing import (
    find_ahead,
    last_known,
    refuse_missing,
    refuse_missing_future,
    say_unflagged,
)
from lstm_jax.train.table.columns.roles import Roles
from lstm_jax.train.table.features import Columns, Plan, make_features
from lstm_jax.train.table.notes import Notes
from lstm_jax.train.table.options import CHANGE, Options
from lstm_jax.train.table.times.steps import Step
from lstm_jax.train.table.windows import Source


def source_of(
    notes: Notes, plan: Plan, step: Step, columns: Columns
) -> tuple[Source, np.ndarray]:
    """The series that windows are cut from, and the rows that lie ahead, `(N,)`."""
    ahead = check_missing(notes, plan.roles, plan.options, columns)
    roles, options, scales = plan.roles, plan.options, plan.scales
    if options.fill:
        read = roles.read(options.past)
        unflagged = tuple(n for n in read if n not in plan.flagged)
        say_unflagged(notes, unflagged, columns.values)
    segments, values = columns.segments, columns.values
    targets = np.stack([values[name] for name in roles.target], axis=1)
    known = np.stack([last_known(y, segments) for y in targets.T], axis=1)
    mean = scales.mean[columns.scale]
    base, scale = mean, scales.std[columns.scale]
    if options.predict == CHANGE:
        # Where nothing is known yet the features stand for the mean, and so does this.
        base = np.where(np.isnan(known), mean, known)
        scale = scales.spread[columns.scale]
    arrays = (make_features(plan, columns), targets, known, base, scale)
    cut = (options.window or 1, options.horizon, step)
    return Source(columns.series, segments, *arrays, *cut), ahead


def check_missing(
    notes: Notes, roles: Roles, options: Options, columns: Columns
) -> np.ndarray:
    """Refuse what may not be missing; the rows that lie ahead of what is known."""
    series, values = columns.series, columns.values
    refuse_missing_future(notes, roles, values, series)
    if options.fill:
        return np.zeros(len(series.rows), bool)
    read = roles.read(options.past)
    ahead = find_ahead([values[name] for name in read], series)
    here = {name: values[name][~ahead] for name in read}
    refuse_missing(notes, roles, here, series.rows[~ahead])
    return ahead


def find_ends(source: Source, ahead: np.ndarray, reach: bool) -> np.ndarray:
    """The rows at which a window ends: enough before it and, with `reach`, after it."""
    rows, segments = np.arange(len(ahead)), source.segments
    fits = (rows - segments.first >= source.window - 1) & ~ahead
    if reach:
        fits &= rows + source.horizon <= segments.last
    return np.flatnonzero(fits)


def count_known(source: Source, ends: np.ndarray) -> np.ndarray:
    """Predicted rows with a known target; all predicted rows must be there."""
    known = ~np.isnan(source.targets).all(axis=1)
    total = np.append(0, np.cumsum(known))
    after = ends + source.horizon + 1
    return total[after] - total[ends + (source.horizon > 0)]
