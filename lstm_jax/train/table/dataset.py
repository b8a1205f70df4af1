"""From a table to the windows of its three parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lstm_jax.train.table.choosing import Found, Once, find_recipe
from lstm_jax.train.table.columns.groups import (
    check_static,
    read_groups,
    read_static,
    static_columns,
)
from lstm_jax.train.table.columns.roles import (
    Roles,
    as_tuple,
    check_frame,
    choose_roles,
)
from lstm_jax.train.table.notes import Notes, listed, notes_on
from lstm_jax.train.table.options import Options, check_options
from lstm_jax.train.table.parts import cut_parts
from lstm_jax.train.table.recipe import Recipe, StaticTable
from lstm_jax.train.table.splits import TRAIN, split_rows
from lstm_jax.train.table.times.dates import read_instants
from lstm_jax.train.table.times.steps import Series, in_series
from lstm_jax.train.table.windows import Windows


class Dataset(NamedTuple):
    """A table as windows.

    Attributes:
        train: Windows whose targets are all in the training part.
        valid: Those of the validation part.
        test: Those of the test part.
        recipe: What turns another table into windows, too.
        said: Sentences for the reader: what was sorted, left out, chosen.
    """

    train: Windows
    valid: Windows
    test: Windows
    recipe: Recipe
    said: tuple[str, ...]


def windows(
    df: pd.DataFrame,
    *,
    target: str | Sequence[str],
    inputs: str | Sequence[str] | None = None,
    future: str | Sequence[str] = (),
    static: str | Sequence[str] | pd.DataFrame = (),
    time: str | None = None,
    group: str | None = None,
    window: int | None = None,
    horizon: int = 1,
    split: str = "time",
    calendar: str = "auto",
    fill: str | None = None,
    past: bool = True,
    predict: str | None = None,
    scale: str | None = None,
    max_gap: int = 1,
    duplicates: str | None = None,
) -> Dataset:
    """Cut a table into windows for training, validation and test.

    Row t predicts the target at t+1 to t+horizon from the rows up to t, or at horizon
    0 the target at t. Everything that is found on the table, the scales, the step, the
    window, the calendar, is found on the training part only.

    Laws: no feature of row t reads a later row, but for columns that are known ahead.
    A window reads rows of its own part and of earlier ones only, and its targets are
    all in its own part.

    Args:
        df: The table, one row a step. A named index counts as a column.
        target: What is predicted, one column or more.
        inputs: Columns that are known up to now; None means every other column of
            numbers. Columns of text are left out, and `said` names them.
        future: Columns that are known for the predicted steps, too.
        static: Columns that are constant within a group, or a table with a row for
            each group, whose first column or index is the group.
        time: The column of times: dates or numbers. None means that rows are in the
            order of time and one step apart.
        group: The column of groups, each a series of its own.
        window: Rows of a window; None means the longest season of at most 365 rows,
            or less where the training part is short.
        horizon: Steps ahead. At 0 the target's own past is never an input.
        split: "time" for the first 70, the next 15 and the last 15 of 100 rows;
            "group" for whole groups; or a column of "train", "valid" and "test".
        calendar: "auto" for sine and cosine of hour, weekday and day of year where
            the training part covers two periods; "none" for none.
        fill: "last" for the last known value in place of a missing input, with a
            0/1 column that tells of it; None refuses missing inputs.
        past: Whether the target's own past is an input.
        predict: "change" from the last known value, or "level"; None means the change
            where the target's past is an input.
        scale: "group" for a scale of the target for each group, or "all" for one;
            None means one for each group, where training has rows of all.
        max_gap: The most steps between two rows that a window crosses.
        duplicates: "first" to keep the first row of each time of a group; None
            refuses a second one.

    Returns:
        The windows of the three parts, the recipe, and sentences for the reader.

    Raises:
        ValueError: If a column is not there, has no numbers, has two roles, or misses
            values that the model would read; if rows repeat a time; if a word or count
            is none of those above; or if a part has no window.
        TypeError: If a count is no integer.

    Example:
        >>> import pandas as pd
        >>> from lstm_jax.train import windows
        >>> rain = pd.DataFrame({"rain": np.arange(40.0) % 7})
        >>> made = windows(rain, target="rain", window=3, horizon=2)
        >>> len(made.train), len(made.valid), len(made.test)
        (24, 5, 5)
        >>> batch = made.train.take(np.array([0]))
        >>> batch.xs.shape, batch.ys.shape
        ((1, 3, 1), (1, 2))
        >>> made.train.truth()[0].ravel()  # rows 3 and 4, from rows 0, 1 and 2
        array([3., 4.])
    """
    given = dict(locals())
    notes = notes_on("windows", df)
    options = check_options(notes, given)
    once = Once(split, calendar, scale, inputs is not None)
    return _cut(notes, *_read(notes, df, given), options, once)


def _read(
    notes: Notes, df: pd.DataFrame, given: dict[str, Any]
) -> tuple[pd.DataFrame, Roles, dict[str, np.ndarray], StaticTable | None]:
    """The table, its roles, its numbers by column, and the table of static numbers."""
    static, table = given["static"], None
    if isinstance(static, pd.DataFrame):
        table = read_static(notes, static, given["group"])
        static = tuple(table)
    singles = ("time", "group")
    asked = {name: as_tuple(given[name]) for name in ("target", "inputs", "future")}
    asked |= {"static": as_tuple(static)} | {n: as_tuple(given[n]) for n in singles}
    if given["split"] not in ("time", "group"):
        asked["split"] = (given["split"],)
    named = [name for names in asked.values() for name in names]
    frame = check_frame(notes, df, named)
    default = given["inputs"] is None
    roles, numbers = choose_roles(notes, frame, asked, default, tuple(table or ()))
    return frame, roles, numbers, table


def _cut(
    notes: Notes,
    frame: pd.DataFrame,
    roles: Roles,
    numbers: dict[str, np.ndarray],
    table: StaticTable | None,
    options: Options,
    once: Once,
) -> Dataset:
    groups = read_groups(notes, frame, roles.group)
    instants = read_instants(notes, frame, roles.time)
    if table is None:
        numbers |= check_static(notes, frame, groups, roles.static)
    else:
        numbers |= static_columns(notes, table, groups)
    series = in_series(notes, groups, instants, options.duplicates)
    part = split_rows(notes, series, once.split, frame)
    series, part = _with_target(notes, series, part, roles, numbers)
    values = {name: held[series.rows] for name, held in numbers.items()}
    found = Found(series, part, values, instants.form, table)
    recipe = find_recipe(notes, found, roles, options, once)
    parts = cut_parts(notes, found, recipe)
    return Dataset(*parts, recipe, tuple(notes.said))


def _with_target(
    notes: Notes,
    series: Series,
    part: np.ndarray,
    roles: Roles,
    numbers: dict[str, np.ndarray],
) -> tuple[Series, np.ndarray]:
    """Leave out groups that have training rows but no known target there."""
    training = part == TRAIN
    targets = [numbers[name][series.rows] for name in roles.target]
    known = training & ~np.isnan(targets).all(axis=0)
    count = len(series.names)
    rows, told = (
        np.bincount(series.group[held], minlength=count) for held in (training, known)
    )
    if not known.any():
        raise notes.wrong(
            f"target={listed(roles.target)} must be known in the training part: it is "
            "missing in all its rows. Choose another target or another split=."
        )
    without = (rows > 0) & (told == 0)
    if not without.any():
        return series, part
    names = [series.names[k] for k in np.flatnonzero(without)]
    notes.say(f"Groups left out, for no target is known in training: {listed(names)}.")
    keep = ~without[series.group]
    return series.pick(keep), part[keep]
