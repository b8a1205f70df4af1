"""`score`: a model and its baselines on the test part; `Scores`: what came out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pandas as pd

from lstm_jax.train.scores.baselines import Baseline, fit_baselines
from lstm_jax.train.scores.measured import (
    MODEL,
    Line,
    Measured,
    measure,
    measure_spread,
    naive_errors,
)
from lstm_jax.train.scores.scored import Parted, Scored
from lstm_jax.train.scores.sentences import PARTS, conclude
from lstm_jax.train.scores.text import write

_NUMBERS = Line._fields[4:]


@dataclass(frozen=True)
class Scores(Measured):
    """Scores of a model and of its baselines on one part.

    Attributes:
        part: "test", or the part that was asked for.
        horizon: Steps ahead; 0 for the target at the window's last row.
        targets: Names of the targets.
        notes: What each baseline predicts, or why it is not run, by its name.
        lines: The scores: one `Line` for each target and row ("model" or a baseline)
            over all windows, for each group, and for each step ahead.
        spreads: One `Spread` for each target, where the model predicts quantiles.
    """

    def text(self, width: int = 88) -> str:
        """Tables and sentences for a terminal; the last one names the best row.

        Args:
            width: Characters of a line of prose; a table may be wider.
        """
        return write(self, width)

    def sentences(self) -> tuple[str, ...]:
        """How NSE flatters, then which row is the best: for each target."""
        return tuple(conclude(self))

    def groups(self) -> pd.DataFrame:
        """A row for each group, target and line; none where there is one group."""
        columns = ["group", "target", "row", *_NUMBERS]
        held = [line for line in self.lines if line.group is not None]
        rows = [[getattr(line, name) for name in columns] for line in held]
        return pd.DataFrame(rows, columns=pd.Index(columns))

    def to_json(self) -> dict[str, Any]:
        """All of it for `json.dump`; what is undefined is None."""
        return {
            "part": self.part,
            "horizon": self.horizon,
            "notes": dict(self.notes),
            "sentences": list(self.sentences()),
            "targets": {target: self._target(target) for target in self.targets},
        }

    def _target(self, target: str) -> dict[str, Any]:
        spreads = [_finite(x._asdict()) for x in self.spreads if x.target == target]
        return {
            "all": _rows(self.over_all(target)),
            "groups": {name: _rows(x) for name, x in self.by_group(target).items()},
            "steps": {str(step): _rows(x) for step, x in self.by_step(target).items()},
            "quantiles": spreads[0] if spreads else None,
        }


def _rows(lines: Mapping[str, Line]) -> dict[str, Any]:
    numbers = {row: dict(zip(_NUMBERS, x[4:], strict=True)) for row, x in lines.items()}
    return _finite(numbers)


def _finite(value: Any) -> Any:
    """The value as JSON holds it: None for a number that is not finite."""
    if isinstance(value, dict):
        return {str(key): _finite(held) for key, held in value.items()}
    undefined = isinstance(value, float) and not math.isfinite(value)
    return None if undefined else value


def score(
    dataset: Parted,
    predicted: jax.Array | np.ndarray,
    *,
    part: str = "test",
    baselines: Sequence[Baseline] | None = None,
    quantiles: Sequence[float] = (),
) -> Scores:
    """Score a model's predictions beside persistence, season, mean and ridge.

    Args:
        dataset: Windows of the three parts.
        predicted: The model's predictions for the windows of `part`, in the targets'
            own units, as `windows.unscaled` gives them: `(n, horizon', targets)`, or
            `(n, horizon', targets, Q)` with quantiles. horizon' is the horizon, or 1
            where it is 0.
        part: "test", which neither training nor any choice has seen; "valid" and
            "train" are judged more kindly than they deserve.
        baselines: What `fit_baselines` returned, where it has been called.
        quantiles: Levels of the last axis of `predicted`, growing, 0.5 among them: the
            median is the prediction that is scored.

    Returns:
        The scores. A baseline that predicts nothing for some of the truths is scored on
        the others, and `scored` says on how many.

    Raises:
        ValueError: If the part is unknown or has no windows, shapes do not fit, or the
            quantiles do not grow or lack the median.

    Example:
        >>> from lstm_jax.train import windows
        >>> rain = pd.DataFrame({"rain": np.arange(40.0) % 7})
        >>> made = windows(rain, target="rain", window=7)
        >>> found = score(made, np.full((6, 1, 1), 3.0)).over_all("rain")
        >>> made.test.truth().ravel()
        array([6., 0., 1., 2., 3., 4.])
        >>> found["model"].mae, found["persistence"].mae  # 10 / 6, 11 / 6
        (1.6666666666666667, 1.8333333333333333)
    """
    levels = tuple(map(float, quantiles))
    windows = _part(dataset, part)
    truth, bands = windows.truth(), np.asarray(predicted, np.float64)
    check_quantiles("score", levels)
    _check_shapes(truth.shape, bands.shape, levels)
    if baselines is None:
        baselines = fit_baselines(dataset)
    central = bands[..., levels.index(0.5)] if levels else bands
    targets = tuple(dataset.recipe.roles.target)
    run = {one.name: one.predict(windows) for one in baselines if one.predict}
    period = next((one.period for one in baselines if one.period), 1)
    naive = naive_errors(dataset.train, windows.groups, period)
    lines = tuple(measure(windows, {MODEL: central, **run}, naive, targets))
    spreads = tuple(measure_spread(truth, bands, levels, targets))
    notes = {one.name: one.note for one in baselines}
    horizon = dataset.recipe.horizon
    return Scores(part, horizon, targets, notes, lines, spreads)


def _part(dataset: Parted, part: str) -> Scored:
    if part not in PARTS:
        raise ValueError(
            f"score: {part=} must be one of {', '.join(map(repr, PARTS))}: a dataset "
            "has these parts. Use part='test'."
        )
    windows: Scored = getattr(dataset, part)
    if not len(windows):
        raise ValueError(
            f"score: {part=} must have windows: there is nothing to score. Use more "
            "rows, a smaller window or another split."
        )
    return windows


def check_quantiles(where: str, levels: tuple[float, ...]) -> None:
    """Refuse levels that do not grow or lack the median."""
    inside = all(0 < level < 1 for level in levels)
    growing = inside and list(levels) == sorted(set(levels))
    if levels and (not growing or 0.5 not in levels):
        raise ValueError(
            f"{where}: quantiles={levels} must grow from above 0 to below 1 and hold "
            "0.5: the median is what is scored. Use quantiles=(0.1, 0.5, 0.9)."
        )


def _check_shapes(
    truth: tuple[int, ...],
    predicted: tuple[int, ...],
    levels: tuple[float, ...],
) -> None:
    expected = (*truth, len(levels)) if levels else truth
    if predicted != expected:
        raise ValueError(
            f"score: predicted.shape={predicted} must be {expected}: windows, steps "
            f"ahead, targets{', quantiles' * bool(levels)}. Use windows.unscaled on "
            "the model's outputs for this part."
        )
