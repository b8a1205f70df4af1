"""The recipe of a table, found on its training part only."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lstm_jax.train.table.columns.missing import flagged_columns
from lstm_jax.train.table.columns.roles import Roles, drop_constant, offer_static
from lstm_jax.train.table.features import Columns
from lstm_jax.train.table.notes import Notes
from lstm_jax.train.table.options import Options
from lstm_jax.train.table.recipe import Recipe, StaticTable
from lstm_jax.train.table.scales import choose_shared, fit_scales
from lstm_jax.train.table.source import check_missing
from lstm_jax.train.table.splits import TRAIN
from lstm_jax.train.table.standardizer import Standardizer
from lstm_jax.train.table.times.calendar import choose_calendar
from lstm_jax.train.table.times.dates import COUNTED
from lstm_jax.train.table.times.season import choose_window
from lstm_jax.train.table.times.steps import (
    Segments,
    Series,
    find_segments,
    find_step,
    name_step,
)


@dataclass(frozen=True)
class Once:
    """What is used once and not kept in the recipe."""

    split: str
    calendar: str
    scale: str | None
    inputs_by_name: bool


class Found(NamedTuple):
    """Rows in series, their parts and numbers, how dates are written, static ones."""

    series: Series
    part: np.ndarray
    values: dict[str, np.ndarray]
    form: str | None
    table: StaticTable | None


def find_recipe(
    notes: Notes, found: Found, roles: Roles, options: Options, once: Once
) -> Recipe:
    """Choose all that is chosen, by the training rows only."""
    series, values, training = found.series, found.values, found.part == TRAIN
    step = find_step(series, training)
    if series.kind != COUNTED and step is not None:
        notes.say(f"The step is {name_step(series.kind, step)}.")
    within = {name: held[training] for name, held in values.items()}
    named = ["target", "future", *(["inputs"] if once.inputs_by_name else [])]
    named += ["static"] if found.table is None else []
    roles = drop_constant(notes, roles, within, named)
    offer_static(notes, roles, within, series.group[training])
    shared = choose_shared(notes, series, training, once.scale)
    segments = find_segments(series, step, options.max_gap, found.part)
    _ = check_missing(notes, roles, options, columns_of(found, segments))
    if options.window is None:
        held = (series, segments, step, training)
        options = replace(options, window=choose_window(notes, *held))
    targets = np.stack([values[name] for name in roles.target], axis=1)
    flagged = flagged_columns(roles, options.past, values, training)
    periods = choose_calendar(series, step, training)
    recipe = Recipe(
        roles,
        options,
        flagged if options.fill else (),
        periods if once.calendar == "auto" else (),
        _standardizer(roles, within),
        fit_scales(series, segments, targets, training, shared, options.horizon),
        series.kind,
        step,
        found.form,
        found.table and {name: found.table[name] for name in roles.static},
    )
    _check_features(notes, recipe)
    return recipe


def columns_of(
    found: Found, segments: Segments, scale: np.ndarray | None = None
) -> Columns:
    """The columns as features are made from them."""
    if scale is None:
        scale = np.zeros(len(found.part), np.int64)
    return Columns(found.series, segments, found.values, scale)


def _standardizer(roles: Roles, within: dict[str, np.ndarray]) -> Standardizer:
    names = (*roles.inputs, *roles.future, *roles.static)
    moments = [Standardizer.fit(within[name][:, None]) for name in names]
    mean = [float(held.mean[0]) for held in moments]
    std = [float(held.std[0]) for held in moments]
    return Standardizer(np.array(mean), np.array(std), names)


def _check_features(notes: Notes, recipe: Recipe) -> None:
    if not recipe.feature_names:
        raise notes.wrong(
            "inputs=[] must leave the model something to read: the table has no other "
            "column of numbers that changes, and the past of the target is not read. "
            "Name columns by inputs=, or use past=True with a horizon of 1 or more."
        )
