"""Scores for a terminal: tables, notes, and the best row last."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from lstm_jax import terminal
from lstm_jax.train.scores.baselines import PERSISTENCE
from lstm_jax.train.scores.measured import MODEL, ROWS, Line, Measured, Spread
from lstm_jax.train.scores.sentences import (
    CHOSEN,
    PARTS,
    conclude,
    decimals,
    shown,
    undefined,
)

WORST = 5
printable = partial(terminal.printable, most=32)  # a name out of a table


def write(scores: Measured, width: int) -> str:
    """All that is said of a part."""
    lines = [
        line for target in scores.targets for line in _target(scores, target, width)
    ]
    for name, note in scores.notes.items():
        run = name in scores.over_all(scores.targets[0])
        said = f"{name}: {note}." if run else f"{name} is not run: {note}."
        lines += wrapped(said, width)
    lines += [*wrapped(CHOSEN[scores.part], width), ""]
    for sentence in conclude(scores):
        lines += wrapped(sentence, width)
    return "\n".join(lines)


def _target(scores: Measured, target: str, width: int) -> Iterator[str]:
    rows, groups = scores.over_all(target), scores.by_group(target)
    yield from wrapped(_title(scores, target, rows[MODEL].known), width)
    yield ""
    yield from _five(rows)
    yield ""
    for sentence in undefined(rows):
        yield from [*wrapped(sentence, width), ""]
    for spread in scores.spreads:
        if spread.target == target:
            yield from [*wrapped(_said_of(spread), width), ""]
    if groups:
        yield from _groups(groups, width)
        yield ""


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; all but the first are indented."""
    wrapper = textwrap.TextWrapper(width, subsequent_indent="  ")
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.wrap(text)


def _title(scores: Measured, target: str, count: int) -> str:
    part = PARTS[scores.part].capitalize()
    what = f"{part}: {count:,} values of {printable(target)}, in its own unit"
    if scores.horizon == 0:
        return f"{what}, each at the last row of its window:"
    ahead = "1 row" if scores.horizon == 1 else f"1 to {scores.horizon} rows"
    return f"{what}, {ahead} ahead:"


def _five(rows: Mapping[str, Line]) -> list[str]:
    """The five rows; those that are not run have no numbers."""
    places = decimals(np.array([(row.rmse, row.mae) for row in rows.values()]))
    partial = any(row.scored < row.known for row in rows.values())
    header = ["", "RMSE", "MAE", "skill", "NSE", "KGE", *["scored"] * partial]
    lines = []
    for name in ROWS:
        if name not in rows:
            lines.append([name, "not run", *[""] * (len(header) - 2)])
            continue
        row = rows[name]
        cells = [shown(error, places) for error in (row.rmse, row.mae)]
        cells += [shown(share, 2) for share in (row.skill, row.nse, row.kge)]
        cells += [f"{row.scored / max(row.known, 1):.0%}"] * partial
        lines.append([name, *cells])
    return aligned(header, lines)


def _said_of(spread: Spread) -> str:
    levels = list(spread.below)
    first, last = levels[0], levels[-1]
    below = ", ".join(f"{x:.0%} below {level:g}" for level, x in spread.below.items())
    places = decimals(np.array([spread.pinball]))
    between = (
        f"{spread.coverage:.0%} of the values lie between {first:g} and {last:g}, "
        f"{spread.should:.0%} should; "
    )
    return (
        f"Quantiles: {between if first < last else ''}{below}. Pinball loss "
        f"{shown(spread.pinball, places)}. The median is scored as the prediction."
    )


def _groups(groups: Mapping[str, Mapping[str, Line]], width: int) -> Iterator[str]:
    """Quartiles over the groups, and the groups where the model is worst."""
    known = {name: rows for name, rows in groups.items() if rows[MODEL].known}
    yield from wrapped(f"The {len(known)} groups, each by itself:", width)
    yield ""
    header = ["", "best in"]
    for name in ("skill", "NSE"):
        header += [f"{name} 25%", "50%", "75%"]
    first = next(iter(groups.values()))
    names = [name for name in ROWS if name in first]
    yield from aligned(header, [_quartiles(name, known) for name in names])
    yield from _worst(known)
    if silent := [printable(name) for name in groups if name not in known]:
        yield ""
        yield from wrapped(f"No truth is known in {', '.join(silent)}.", width)


def _quartiles(name: str, groups: Mapping[str, Mapping[str, Line]]) -> list[str]:
    wins = sum(_winner(rows) == name for rows in groups.values())
    cells = [name, str(wins)]
    for key in ("skill", "nse"):
        values = np.array([getattr(rows[name], key) for rows in groups.values()])
        values = values[~np.isnan(values)]
        held = np.quantile(values, (0.25, 0.5, 0.75)) if values.size else [np.nan] * 3
        cells += [shown(float(value), 2) for value in held]
    return cells


def _winner(rows: Mapping[str, Line]) -> str:
    errors = {
        x.row: x.rmse for x in rows.values() if x.scored == x.known and x.rmse >= 0
    }
    return min(errors, key=lambda name: (errors[name], name == MODEL), default="")


def _worst(groups: Mapping[str, Mapping[str, Line]]) -> Iterator[str]:
    """The groups where the model's skill is least."""
    scored = [rows for rows in groups.values() if not np.isnan(rows[MODEL].skill)]
    worst = sorted(scored, key=lambda rows: rows[MODEL].skill)[:WORST]
    if not worst:
        return
    pairs = [(rows[MODEL].rmse, rows[PERSISTENCE].rmse) for rows in worst]
    places = decimals(np.array(pairs))
    lines = []
    for rows, pair in zip(worst, pairs, strict=True):
        model = rows[MODEL]
        errors = [shown(error, places) for error in pair]
        shares = [shown(share, 2) for share in (model.skill, model.nse)]
        lines.append([printable(model.group), f"{model.known:,}", *errors, *shares])
    yield ""
    header = ["the model's worst", "values", "RMSE", "persistence's", "skill", "NSE"]
    yield from aligned(header, lines)


def aligned(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A table: the first column aligned left, the others right."""
    rows = [header, *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_row(row, widths) for row in rows]


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = row
    right = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
    return f"  {first.ljust(widths[0])}   {'   '.join(right)}".rstrip()
