"""`Run`: what training gave, and what a folder keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lstm_jax.model import LSTMModel
from lstm_jax.train.losses import Pinball
from lstm_jax.train.predicting import as_table, predict
from lstm_jax.train.saved.folder import Folder
from lstm_jax.train.table.recipe import Recipe

COLUMNS = ["step", "epoch", "loss", "validation", "rate", "seconds"]
PathLike = str | Path


@dataclass(frozen=True)
class Run:
    """What training gave.

    Attributes:
        model: The model with the best weights by validation; without a validation,
            with the last. It drops nothing.
        history: A row for each epoch: the steps so far, the mean loss over its steps,
            the validation loss after it, the rate of its last step, its seconds.
        folder: Where the run is kept; None where nothing was written.
        said: What there was to say, in sentences.
        scores: What the model is worth on the test part of a table; None for other
            samples, for a model of other outputs than the table asks for, and for a
            run that `load` read: its folder holds scores.json.
        recipe: How a table becomes windows; None for other samples.
        quantiles: Levels of the predictions; none where there is one for each target.
    """

    model: Any
    history: pd.DataFrame
    folder: Path | None
    said: tuple[str, ...]
    scores: Any = None
    recipe: Recipe | None = None
    quantiles: tuple[float, ...] = ()

    def predict(
        self, df: pd.DataFrame, *, static: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Predict from every row of a table that has enough rows before it.

        Args:
            df: A table with the columns of the one that was trained on.
            static: A table with a row for each group, where training had one.

        Returns:
            A row for each window and step ahead: `group` (where there are groups),
            `time` (the time predicted for), `step`, and for each target its truth, NaN
            where there is none, `<target>_predicted`, and `<target>_q10` and so on.

        Raises:
            ValueError: If the run was not trained on a table, or `df` is another one.
        """
        if self.recipe is None:
            raise ValueError(
                "Run.predict: the run must be one on a table: it was trained on arrays "
                "or batches. Use run.model(xs)."
            )
        made = self.recipe.windows(df, static=static)
        predicted = predict(self.model, made, self.quantiles)
        return as_table(self.recipe, made, predicted, self.quantiles)


def section_of(folder: PathLike) -> dict[str, Any]:
    """The section `training` of a run's config.json.

    Raises:
        FileNotFoundError: If there is no run in the folder.
    """
    place = Folder(Path(folder))
    if not place.is_run():
        raise FileNotFoundError(
            f"load: {str(folder)!r} must hold a run: there is none. Train one first, "
            "by lstm_jax.train.fit with a folder, or by python -m lstm_jax train."
        )
    return place.section()


def load(folder: PathLike) -> Run:
    """The run that `fit` kept in a folder, with its best weights.

    Args:
        folder: The folder.

    Returns:
        The run, without its `scores`.

    Raises:
        FileNotFoundError: If there is no run in it.
        ValueError: If a file of it is not what `fit` wrote.
    """
    section, place = section_of(folder), Folder(Path(folder))
    model: Any = LSTMModel.from_pretrained(folder)
    model.eval()
    history = pd.DataFrame(place.rows(), columns=COLUMNS)
    recipe = section.get("recipe")
    recipe = None if recipe is None else Recipe.from_json(recipe)
    levels = quantiles_of(section["options"])
    return Run(model, history, place.path, (), None, recipe, levels)


def quantiles_of(options: Mapping[str, Any]) -> tuple[float, ...]:
    """The levels of the loss that a config names."""
    loss = options["loss"]
    return tuple(loss["pinball"]) if isinstance(loss, dict) else ()


def levels_of(loss: Any) -> tuple[float, ...]:
    """The levels of a loss; none where it is not the pinball loss."""
    return loss.quantiles if isinstance(loss, Pinball) else ()
