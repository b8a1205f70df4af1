"""The baselines that a model is to beat, fitted on the training part.

None of them sees the test part: what is chosen is chosen on the validation part.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.train.scores.bands import pinball
from lstm_jax.train.scores.metrics import rmse
from lstm_jax.train.scores.ridge import fit_ridge, why_not
from lstm_jax.train.scores.scored import Cut, Parted, Scored

PERSISTENCE = "persistence"
SEASONAL = "seasonal naive"
MEAN = "training mean"
RIDGE = "ridge"

_DAY = 86_400_000_000  # microseconds
SEASONS = {"a day": _DAY, "a week": 7 * _DAY, "a year": 365.25 * _DAY}
_COVERED = 0.5  # of what the best covered season predicts: less is no candidate


class Baseline(NamedTuple):
    """A baseline, fitted.

    Attributes:
        name: Its name.
        note: What it predicts, or why it is not run.
        predict: From windows to predictions in the targets' own units,
            `(n, horizon', targets)`, NaN where it has none; None where it is not run.
        period: Rows of the season, of the seasonal naive.
    """

    name: str
    note: str
    predict: Callable[[Scored], np.ndarray] | None
    period: int | None = None


def fit_baselines(
    dataset: Parted, *, period: int | None = None
) -> tuple[Baseline, ...]:
    """Persistence, seasonal naive, training mean and ridge.

    Args:
        dataset: The parts. Only training and validation are read.
        period: Rows of the season. None means the one of a day, a week and a year that
            is best on the validation part.

    Returns:
        The four baselines, in this order.

    Raises:
        ValueError: If `period` is less than 1.

    Example:
        >>> import pandas as pd
        >>> from lstm_jax.train import windows
        >>> rain = pd.DataFrame({"rain": np.arange(40.0) % 7})
        >>> made = windows(rain, target="rain", window=7)
        >>> last, season, mean, ridge = fit_baselines(made, period=7)
        >>> made.test.truth()[:4].ravel(), last.predict(made.test)[:4].ravel()
        (array([6., 0., 1., 2.]), array([5., 6., 0., 1.]))
        >>> season.predict(made.test)[:4].ravel(), mean.predict(made.test)[0, 0]
        (array([6., 0., 1., 2.]), array([3.]))
    """
    if period is not None and period < 1:
        raise ValueError(
            f"fit_baselines: {period=} must be at least 1: a season has rows. Use the "
            "rows of a season, such as 7 for a week of days."
        )
    fitted = _seasonal(dataset, period), _mean(dataset.train), _ridge(dataset)
    return (_persistence(dataset.recipe), *fitted)


def _persistence(recipe: Cut) -> Baseline:
    def predict(windows: Scored) -> np.ndarray:
        return np.broadcast_to(windows.last()[:, None], windows.truth().shape)

    note = "the last known value"
    if recipe.horizon == 0:
        note += " before the predicted step"
    if not set(recipe.roles.target) <= set(recipe.feature_names):
        note += "; it sees the target's past, which the model does not"
    return Baseline(PERSISTENCE, note, predict)


def _seasonal(dataset: Parted, period: int | None) -> Baseline:
    note = "asked for"
    if period is None:
        dated = np.issubdtype(dataset.train.times.dtype, np.datetime64)
        options = seasons(dataset.recipe.step if dated else None)
        compared = compare_periods(dataset.valid, list(options))
        if not compared:
            return Baseline(SEASONAL, _no_season(options), None)
        period = compared[0]
        note = options[period]
        if len(compared) > 1:
            among = ", ".join(map(str, sorted(compared)))
            note += f", the best of {among} on the validation part"
        elif len(options) > 1:
            note += ", the season that most windows of the validation part reach"
    rows = "1 row" if period == 1 else f"{period} rows"
    note = f"the value {rows} before ({note})"

    def predict(windows: Scored) -> np.ndarray:
        return windows.past(period)

    return Baseline(SEASONAL, note, predict, period)


def _no_season(options: dict[int, str]) -> str:
    if not options:
        return "no season of two rows or more is known"
    return f"no window reaches {' or '.join(options.values())} back without a hole"


def seasons(step: float | int | None) -> dict[int, str]:
    """The seasons of at least 2 rows, by their rows, from the shortest.

    Args:
        step: Microseconds from row to row; None where the rows have no dates.

    Example:
        >>> seasons(86_400e6)
        {7: 'a week', 365: 'a year'}
    """
    if not step:
        return {}
    rows = {name: round(size / step) for name, size in SEASONS.items()}
    whole = {
        name: abs(SEASONS[name] / step - n) <= 0.05 * n for name, n in rows.items()
    }
    return {n: name for name, n in rows.items() if n >= 2 and whole[name]}


def compare_periods(valid: Scored, periods: list[int]) -> list[int]:
    """The periods that windows reach, from the least RMSE where all have a value.

    A season that reaches back too far for most windows is left out, unless all do; no
    period is left if no window reaches any.
    """
    truth = valid.truth()
    found = {period: valid.past(period) for period in periods}
    known = {n: ~np.isnan(values + truth) for n, values in found.items()}
    most = max((held.sum() for held in known.values()), default=0)
    near = [n for n in periods if known[n].sum() >= max(_COVERED * most, 1)]
    if not near:
        return []
    both = np.logical_and.reduce([known[n] for n in near])
    if not both.any():
        return [max(near, key=lambda n: known[n].sum())]
    return sorted(near, key=lambda n: rmse(found[n][both], truth[both]))


def _mean(train: Scored) -> Baseline:
    """The mean of the group where training has seen it, else the one over all."""
    rows = train.by_row()
    truth, groups = rows.truth()[:, 0], rows.groups
    over_all = _mean_of(truth)
    means = {name: _mean_of(truth[groups == name]) for name in set(groups.tolist())}

    def predict(windows: Scored) -> np.ndarray:
        held = [means.get(name, over_all) for name in windows.groups.tolist()]
        shape = windows.truth().shape
        return np.broadcast_to(np.array(held).reshape(-1, 1, shape[2]), shape)

    each = "of each group in" if len(means) > 1 else "of"
    return Baseline(MEAN, f"the mean {each} the training part", predict)


def _mean_of(truth: np.ndarray) -> np.ndarray:
    """The mean of each target `(n, targets)`; NaN where none is known."""
    known = ~np.isnan(truth)
    counts = np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return np.where(known, truth, 0.0).sum(axis=0) / counts


def _ridge(dataset: Parted) -> Baseline:
    if reason := why_not(dataset.train, dataset.valid):
        return Baseline(RIDGE, reason, None)
    fitted = fit_ridge(dataset.train, dataset.valid)

    def predict(windows: Scored) -> np.ndarray:
        return windows.unscaled(fitted.predict(windows))

    low, high = np.nanmin(fitted.penalties), np.nanmax(fitted.penalties)
    penalty = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    note = f"linear in the {len(fitted.coefficients):,} features of a window"
    note += f", penalty {penalty} by the validation part"
    return Baseline(RIDGE, note, predict)


def baseline_losses(
    windows: Scored, baselines: Iterable[Baseline], quantiles: Sequence[float] = ()
) -> dict[str, float]:
    """What each baseline costs by the loss of training: lines beside its curve.

    It is the mean over the known targets, scaled as the model's outputs are, of the
    squared error, or with quantiles of the pinball loss. Where a baseline predicts
    nothing, its loss is the one of the rest.

    Args:
        windows: The validation part.
        baselines: What `fit_baselines` returns.
        quantiles: Those of the model, if it predicts quantiles.

    Returns:
        The loss of each baseline that is run, by its name.
    """
    truth = _scaled(windows, windows.truth())
    found = {}
    for baseline in baselines:
        if baseline.predict is not None:
            outputs = _scaled(windows, baseline.predict(windows))
            known = ~np.isnan(outputs + truth)
            p, y = outputs[known], truth[known]
            same = np.repeat(p[:, None], len(quantiles), axis=1)
            loss = pinball(same, y, quantiles) if quantiles else rmse(p, y) ** 2
            found[baseline.name] = loss
    return found


def _scaled(windows: Scored, values: np.ndarray) -> np.ndarray:
    """Values in the targets' own units as outputs: the inverse of `unscaled`."""
    ones = np.ones((len(windows), values[:1].size))
    zero = windows.unscaled(0 * ones)
    return (values - zero) / (windows.unscaled(ones) - zero)
