"""What scores say in words: the best row, and what is undefined."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from lstm_jax.train.scores.baselines import PERSISTENCE
from lstm_jax.train.scores.measured import MODEL, Line, Measured

PARTS = {"test": "test part", "valid": "validation part", "train": "training part"}
_DIGITS = 3  # of the least error of a table
_RANGE = 1000  # less than such a part of the largest error is 0 beside it
_TINY, _HUGE = 1e-4, 1e7  # errors beyond are written with a power of ten


CHOSEN = {
    "test": "",
    "valid": "This part chose the season, the penalties and the model's best step.",
    "train": "All rows were fitted on this part: it tells nothing of new values.",
}


def conclude(scores: Measured) -> Iterator[str]:
    """For each target how NSE flatters, then the best row and how the model stands."""
    for target in scores.targets:
        rows = scores.over_all(target)
        name = f"{target}: " if len(scores.targets) > 1 else ""
        flattered = rows[PERSISTENCE].nse
        if flattered > 0:
            yield (
                f"{name}NSE compares with the mean of the truth and flatters: "
                f"persistence alone has {flattered:.2f}."
            )
        for sentence in _partly(rows):
            yield name + sentence
        yield name + _verdict(rows, PARTS[scores.part])


def _verdict(rows: Mapping[str, Line], part: str) -> str:
    model = rows[MODEL]
    if not model.known:
        return f"No truth is known in the {part}: nothing can be said of the model."
    full = {row.row: row.rmse for row in rows.values() if row.scored == row.known}
    errors = {name: error for name, error in full.items() if not math.isnan(error)}
    if MODEL not in errors:
        return "The model predicts NaN or infinity: every baseline is better."
    winner = min(errors, key=lambda name: errors[name])
    if winner == MODEL:
        return f"Best on the {part}: {_model_wins(errors)}"
    least, ours = told_apart(errors[winner], model.rmse)
    said = f"Best on the {part}: {winner}, RMSE {least}; the model has {ours}."
    if winner != PERSISTENCE and errors.get(PERSISTENCE, math.inf) < model.rmse:
        theirs, _ = told_apart(errors[PERSISTENCE], model.rmse)
        said += f" Persistence, with {theirs}, beats the model, too."
    return said


def _model_wins(errors: Mapping[str, float]) -> str:
    others = {name: error for name, error in errors.items() if name != MODEL}
    if not others:
        return f"the model, RMSE {told_apart(errors[MODEL], math.inf)[0]}."
    second = min(others, key=lambda name: others[name])
    ours, theirs = told_apart(errors[MODEL], others[second])
    if ours == theirs:
        return f"the model, RMSE {ours}; {second} has the same."
    return f"the model, RMSE {ours}; next is {second} with {theirs}."


def _partly(rows: Mapping[str, Line]) -> Iterator[str]:
    """Baselines that predict only some of the truths, and beat the model there."""
    for row in rows.values():
        if row.scored < row.known and row.rmse < row.model_rmse:
            theirs, ours = told_apart(row.rmse, row.model_rmse)
            yield (
                f"On the {row.scored / row.known:.0%} of the values that {row.row} "
                f"predicts it has RMSE {theirs}, and the model {ours}."
            )


def undefined(rows: Mapping[str, Line]) -> Iterator[str]:
    """Why scores are undefined."""
    known = [row for row in rows.values() if row.scored and not math.isnan(row.rmse)]
    if rows[MODEL].known and math.isnan(rows[MODEL].rmse):
        yield "The model has no scores: it predicts NaN or infinity."
    if not known:
        return
    steady = [row.row for row in known if math.isnan(row.kge) > math.isnan(row.nse)]
    if all(math.isnan(row.nse) for row in known):
        yield "NSE and KGE are undefined: the truth is constant."
    elif len(steady) == len(known):
        yield "KGE is undefined: the mean of the truth is 0."
    elif steady:
        yield f"KGE is undefined for constant predictions: {', '.join(steady)}."
    if all(math.isnan(row.skill) for row in known):
        yield "Skill is undefined: persistence makes no error, or predicts nothing."


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Two errors with as many digits as tell them apart, at most seven.

    Example:
        >>> told_apart(2.701, 2.704), told_apart(3.0, 3.0)
        (('2.701', '2.704'), ('3.00', '3.00'))
    """
    places = decimals(np.array([one, other]))
    pairs = [(shown(one, places + k), shown(other, places + k)) for k in range(5)]
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])


def decimals(errors: np.ndarray) -> int:
    """Decimals that show three digits of the least of these errors that matters.

    Example:
        >>> decimals(np.array([27.61, 153.2])), decimals(np.array([0.0123, 4.0]))
        (1, 4)
    """
    finite = errors[np.isfinite(errors) & (errors > 0)]
    if not finite.size:
        return 0
    least = finite[finite >= finite.max() / _RANGE].min()
    return int(np.clip(_DIGITS - 1 - np.floor(np.log10(least)), 0, 6))


def shown(value: float, places: int) -> str:
    """A number for a reader, `-` for NaN.

    Example:
        >>> shown(27.61, 1), shown(-0.001, 2), shown(12345.6, 0), shown(1e-9, 2)
        ('27.6', '0.00', '12,346', '1.00e-09')
    """
    if math.isnan(value):
        return "-"
    if 0 < value < _TINY or abs(value) >= _HUGE:
        return f"{value:.2e}"
    return f"{value:z,.{places}f}"
