"""What ends a run on a table: its scores, and its pictures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lstm_jax.train import pictures
from lstm_jax.train.losses import squared_error
from lstm_jax.train.predicting import asked_of, outputs_of, predict
from lstm_jax.train.run import Run, levels_of
from lstm_jax.train.saved.folder import Folder
from lstm_jax.train.scores import (
    Baseline,
    Scores,
    baseline_losses,
    check_quantiles,
    fit_baselines,
    score,
)
from lstm_jax.train.table.dataset import Dataset

SCORES, GROUPS = "scores.json", "groups.csv"
CURVE, PREDICTION = "curve.png", "prediction.png"


def refuse_unscored(data: Any, loss: Any) -> None:
    """Refuse quantiles that cannot be scored, before a table is trained on."""
    if isinstance(data, Dataset):
        check_quantiles("fit", levels_of(loss))


def refuse_outputs(model: Any, data: Any, truncate: int | None) -> None:
    """Refuse a model whose outputs are not those that windows, or chunks, ask for."""
    outputs = getattr(model, "outputs", None)
    if truncate is not None and outputs not in ("all", None):
        raise ValueError(
            f"fit: model.outputs={outputs!r} must be 'all' with truncate={truncate}: a "
            "chunk has a target at every row. Use model_for(..., outputs='all')."
        )
    if truncate is None and outputs == "all" and isinstance(data, Dataset):
        raise ValueError(
            "fit: truncate=None must be a number of rows where model.outputs is 'all': "
            "a window has one target, at its end. Use truncate=1000, or a model with "
            "outputs='last'."
        )


def finish(run: Run, dataset: Dataset, loss: Any, place: Folder | None) -> Run:
    """The run with its scores on the test part; with a folder, written and drawn."""
    made = outputs_of(run.model, dataset.test)
    asked = asked_of(dataset.recipe, run.quantiles)
    if made != asked:
        sentence = (
            f"There are no scores: the model's outputs are {made}, and the table asks "
            f"for {asked}. Use run.model."
        )
        return replace(run, said=(*run.said, sentence))
    baselines = fit_baselines(dataset)
    predicted = predict(run.model, dataset.test, run.quantiles)
    levels = run.quantiles
    scores = score(dataset, predicted, baselines=baselines, quantiles=levels)
    if place:
        _write(place, scores)
        with place.writing():
            _draw_losses(place.path, run, dataset, baselines, loss)
            names = {"targets": scores.targets, "quantiles": levels}
            picture = place.path / PREDICTION
            own: Any = names | {"part": "test part"}
            pictures.prediction(dataset.test, predicted, picture, **own)
    return replace(run, scores=scores)


def _write(place: Folder, scores: Scores) -> None:
    place.write(SCORES, json.dumps(scores.to_json(), indent=1) + "\n")
    groups = scores.groups()
    if len(groups):
        place.write(GROUPS, groups.to_csv(index=False))


def _draw_losses(
    folder: Path,
    run: Run,
    dataset: Dataset,
    baselines: tuple[Baseline, ...],
    loss: Any,
) -> None:
    """Both losses, beside those of the baselines where the loss is theirs, too."""
    levels, lines, name = run.quantiles, {}, "loss"
    if levels or loss in ("squared_error", squared_error):
        lines = baseline_losses(dataset.valid, baselines, levels)
        name = "pinball loss" if levels else "squared error, scaled"
    pictures.curve(run.history, lines, folder / CURVE, loss=name)
