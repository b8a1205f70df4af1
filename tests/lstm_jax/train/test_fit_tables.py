"""`fit` on a table: losses and models that its scores do not know."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_array_equal

from lstm_jax import LSTMModel
from lstm_jax.train import Dataset, fit, load, model_for, pinball
from tests.given.tables import one_series, windows
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("unoptimised", "no_jaxtyping")

ASKED: Any = {"target": "flow", "inputs": ["rain"], "time": "day", "window": 4}
UNSCORED = (
    "There are no scores: the model's outputs are (n, 4), and the table asks for "
    "(n, 2). Use run.model."
)


@pytest.fixture(scope="module")
def made() -> Dataset:
    return windows(one_series(), **ASKED, horizon=2)


def likelihood(p: Any, y: Any) -> Any:
    """Of a normal distribution, up to a constant: means, then logarithms of scales."""
    mean, scale = jnp.split(p, 2, axis=-1)
    return ((y - mean) * jnp.exp(-scale)) ** 2 / 2 + scale


def test_a_model_of_more_outputs_is_trained_without_scores(
    made: Dataset, tmp_path: Any
) -> None:
    given = LSTMModel(len(made.recipe.feature_names), 3, 4, rngs=nnx.Rngs(0))
    folder = tmp_path / "run"
    run = fit(given, made, loss=likelihood, epochs=1, folder=folder)
    assert run.scores is None
    assert run.said == (UNSCORED,)
    assert not (folder / "scores.json").exists()
    xs = made.test.take(np.arange(3)).xs
    assert_array_equal(load(folder).model(xs), run.model(xs))
    text = (
        "unscaled: outputs.shape=(54, 4) must be (54, 2), or (54, 2, Q) with "
        "quantiles: windows, and steps ahead times targets. Give the outputs of a "
        "model of output_size=2 for all windows."
    )
    assert_raises((lambda: run.predict(one_series().head(57)), ValueError, text))


class Heads(nnx.Module):
    def __init__(self, features: int) -> None:
        self.mean = nnx.Linear(features, 2, rngs=nnx.Rngs(0))
        self.scale = nnx.Linear(features, 2, rngs=nnx.Rngs(1))

    def __call__(self, xs: Any) -> Any:
        return {"mean": self.mean(xs[:, -1]), "scale": self.scale(xs[:, -1])}


def test_a_model_of_several_heads_is_trained_without_scores(made: Dataset) -> None:
    def loss(p: Any, y: Any) -> Any:
        return likelihood(jnp.concatenate([p["mean"], p["scale"]], -1), y)

    run = fit(Heads(len(made.recipe.feature_names)), made, loss=loss, epochs=1)
    assert run.scores is None
    assert run.said == (UNSCORED.replace("(n, 4)", "several"),)


def test_quantiles_that_no_score_takes_are_refused_before_training(
    made: Dataset, tmp_path: Any
) -> None:
    given = model_for(made, hidden_size=3, quantiles=(0.1, 0.9))
    folder = tmp_path / "run"
    text = (
        "fit: quantiles=(0.1, 0.9) must grow from above 0 to below 1 and hold 0.5: the "
        "median is what is scored. Use quantiles=(0.1, 0.5, 0.9)."
    )
    loss = pinball((0.1, 0.9))
    assert_raises(
        (lambda: fit(given, made, loss=loss, folder=folder), ValueError, text)
    )
    assert not folder.exists()


def test_a_module_of_any_kind_predicts_nothing_from_too_few_rows(made: Dataset) -> None:
    run = fit(Last(len(made.recipe.feature_names)), made, epochs=1)
    assert len(run.predict(one_series().head(3))) == 0
    assert len(run.predict(one_series().head(4))) == 2


class Last(nnx.Module):
    def __init__(self, features: int) -> None:
        self.head = nnx.Linear(features, 2, rngs=nnx.Rngs(0))

    def __call__(self, xs: Any) -> Any:
        return self.head(xs[:, -1])
