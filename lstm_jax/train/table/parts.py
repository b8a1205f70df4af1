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
    say_holes(notes, found.series, whole, recipe.step, options.max_gap)
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
        notes.say(f"Groups without a window, for they are too short: {listed(empty)}.")


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
    stretch = np.bincount(segments.first[rows]).max()
    # Rows from the begin of a segment to its last row of this part.
    longest = int((rows - segments.first[rows]).max()) + 1
    most = min(int(stretch), longest - 1)
    if horizon > most:
        return notes.wrong(
            f"horizon={horizon} must be at most {most}: no stretch of the {name} part "
            "without a hole has more rows to predict. Use a smaller horizon=, another "
            "split=, or max_gap= to cross holes."
        )
    if source.window > longest - horizon:
        return notes.wrong(
            f"window={source.window} must be at most {longest - horizon}: no stretch "
            f"without a hole has more rows before the predicted ones of the {name} "
            f"part. Use a smaller window=, or max_gap= to cross holes."
        )
    return notes.wrong(
        f"target must be known in the {name} part: it is at no predicted row of a "
        f"window of {source.window} rows. Use a smaller window=, or another split=."
    )
