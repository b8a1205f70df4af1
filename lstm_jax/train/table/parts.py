"""The windows of the three parts of a table."""

import numpy as np

from lstm_jax.train.table.choosing import Found, columns_of
from lstm_jax.train.table.notes import Notes, listed
from lstm_jax.train.table.recipe import Recipe
from lstm_jax.train.table.source import count_known, find_ends, source_of
from lstm_jax.train.table.splits import PARTS
from lstm_jax.train.table.times.steps import Series, find_segments, say_holes
from lstm_jax.train.table.windows import Source, Windows


def cut_parts(
    notes: Notes, found: Found, recipe: Recipe
) -> tuple[Windows, Windows, Windows]:
    """The windows of each part, over the same series."""
    options = recipe.options
    segments = find_segments(found.series, recipe.step, options.max_gap, found.part)
    whole = find_segments(found.series, recipe.step, options.max_gap)
    say_holes(notes, found.series, whole, options.max_gap)
    scale = recipe.scales.rows_of(notes, found.series)
    source, ahead = source_of(
        notes, recipe, recipe.step, columns_of(found, segments, scale)
    )
    ends = find_ends(source, ahead, reach=True)
    ends = ends[count_known(source, ends) > 0]
    # Parts never fall within a segment: these are the earliest and the latest target.
    begin = found.part[ends + (recipe.horizon > 0)]
    end = found.part[ends + recipe.horizon]
    held = [ends[(begin == number) & (end == number)] for number in range(len(PARTS))]
    for number, mine in enumerate(held):
        if not mine.size:
            raise _no_window(notes, number, source, found.part)
    _say_empty(notes, found.series, ends)
    said = tuple(notes.said)
    train, valid, test = (Windows(source, mine, said) for mine in held)
    return train, valid, test


def _say_empty(notes: Notes, series: Series, ends: np.ndarray) -> None:
    counts = np.bincount(series.group[ends], minlength=len(series.names))
    empty = [name for name, n in zip(series.names, counts, strict=True) if not n]
    if empty:
        notes.say(
            f"Groups without a window, since they are too short: {listed(empty)}."
        )


def _no_window(
    notes: Notes, number: int, source: Source, part: np.ndarray
) -> ValueError:
    """Why a part has no window, and what to do."""
    segments, horizon, name = source.segments, source.horizon, PARTS[number]
    rows = np.flatnonzero(part == number)
    if not rows.size:
        return notes.wrong(
            f"split must leave rows in the {name} part: it has none. Use more rows, or "
            "a column of 'train', 'valid' and 'test' by split=."
        )
    # Rows up to the last of this part in the segment, less those that are predicted.
    longest = int((rows - segments.first[rows] + 1).max()) - horizon
    if longest >= source.window:
        return notes.wrong(
            f"target must be known in the {name} part: no window of {source.window} "
            f"rows there has a known target within {max(horizon, 1)} steps in one "
            "part. Use a smaller window= or horizon=, or another split=."
        )
    if longest < 1:
        return notes.wrong(
            f"horizon={horizon} must fit into the {name} part: no stretch without a "
            f"hole has more than {longest + horizon} rows. Use a smaller horizon=, or "
            "max_gap= to cross holes."
        )
    return notes.wrong(
        f"window={source.window} must be at most {longest}: no stretch without a hole "
        f"has more rows before the predicted ones of the {name} part. Use "
        f"window={longest} or less, or max_gap= to cross holes."
    )
