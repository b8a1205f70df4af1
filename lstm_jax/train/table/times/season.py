"""How many rows a window has where nobody says: the longest plausible season."""

import numpy as np

from lstm_jax.train.table.notes import Notes, counted
from lstm_jax.train.table.times.dates import DATES
from lstm_jax.train.table.times.steps import Segments, Series, Step

MOST_ROWS = 365
SEASONS = {  # microseconds
    "year": 365.25 * 86_400e6,
    "week": 7 * 86_400e6,
    "day": 86_400e6,
    "hour": 3_600e6,
    "minute": 60e6,
}


def season_of(kind: str, step: Step) -> tuple[str, int] | None:
    """The longest season of 2 to 365 rows, and its rows: a week of 168 hours."""
    if kind != DATES or not step:
        return None
    rows = {name: round(size / step) for name, size in SEASONS.items()}
    return next((held for held in rows.items() if 2 <= held[1] <= MOST_ROWS), None)


def choose_window(
    notes: Notes, series: Series, segments: Segments, step: Step, training: np.ndarray
) -> int:
    """The season, or less where the training part is short or has many holes."""
    season = season_of(series.kind, step)
    options = {f"at most {MOST_ROWS}": MOST_ROWS}
    if season is not None:
        options = {f"a {season[0]}": season[1]}
    counts = np.bincount(series.group[training])
    tenth = int(np.median(counts[counts > 0])) // 10
    options["a tenth of the training rows of a group"] = tenth
    options["half of the typical stretch without a hole"] = _typical(segments, training)
    reason = min(options, key=lambda name: options[name])
    window = max(options[reason], 1)
    notes.say(f"A window has {counted(window, 'row')}: {reason}.")
    return window


def _typical(segments: Segments, training: np.ndarray) -> int:
    """Half of the training rows of the segment that the median training row is in."""
    sizes = np.bincount(segments.first[training])
    return int(np.median(sizes[segments.first[training]])) // 2
