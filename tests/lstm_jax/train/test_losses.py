"""Losses, and the mean over the targets that are known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_array_equal

from lstm_jax.train import Batch, cross_entropy, pinball, squared_error
from lstm_jax.train.losses import Loss, sum_losses
from parity.judge import tolerance
from tests.given.wrong import assert_raises

DRAWN = np.random.default_rng(5)
B, T, O, Q = 5, 7, 2, 3  # noqa: E741
YS = DRAWN.normal(size=(B, O)).astype(np.float32)
PREDICTIONS = DRAWN.normal(size=(B, O)).astype(np.float32)
LEVELS = (0.1, 0.5, 0.9)
QUANTILES = DRAWN.normal(size=(B, O * Q)).astype(np.float32)
LOGITS = DRAWN.normal(size=(B, T, 4)).astype(np.float32)
CLASSES = DRAWN.integers(0, 4, size=(B, T))
LENGTHS = np.array([7, 0, 3, 1, 6])


def batch(ys: Any, weights: Any, lengths: Any = None) -> Batch:
    return Batch(np.zeros((B, T, 1), np.float32), ys, weights, lengths)


def mean(loss: Loss, predictions: Any, one: Batch) -> Any:
    return sum_losses(loss, jnp.asarray(predictions), one).mean()


def assert_close(actual: Any, exact: Any, dtype: str = "float32") -> None:
    exact = np.atleast_1d(np.asarray(exact, np.float64))
    true = tolerance.Exact(exact, np.zeros(1), steps=False)
    far = tolerance.distance(np.atleast_1d(actual), true, dtype)
    assert far.error <= tolerance.budget(dtype), far


def test_the_mean_is_over_known_targets() -> None:
    weights = DRAWN.integers(0, 3, size=(B, O)).astype(np.float32)
    losses = (PREDICTIONS.astype(np.float64) - YS) ** 2
    exact = (weights * losses).sum() / weights.sum()
    assert_close(mean(squared_error, PREDICTIONS, batch(YS, weights)), exact)


def test_weights_of_rows_count_for_each_of_their_targets() -> None:
    weights = np.array([1, 0, 2, 1, 3], np.float32)
    wide = np.repeat(weights[:, None], O, 1)
    one = sum_losses(squared_error, jnp.asarray(PREDICTIONS), batch(YS, weights))
    two = sum_losses(squared_error, jnp.asarray(PREDICTIONS), batch(YS, wide))
    assert_array_equal(one, two)
    assert one.weight == 2 * weights.sum()


@pytest.mark.parametrize(
    ("loss", "predictions"),
    [(squared_error, PREDICTIONS), (pinball(LEVELS), QUANTILES)],
)
def test_what_has_no_weight_changes_nothing(loss: Loss, predictions: Any) -> None:
    weights = np.ones((B, O), np.float32)
    weights[[0, 3], [1, 0]] = 0
    spoilt = np.where(weights == 0, np.nan, YS)
    found = jax.value_and_grad(lambda p: mean(loss, p, batch(YS, weights)))
    other = jax.value_and_grad(lambda p: mean(loss, p, batch(spoilt, weights)))
    one, two = found(predictions), other(predictions)
    assert_array_equal(one[0], two[0])
    assert_array_equal(one[1], two[1])
    assert np.isfinite(one[1]).all()
    assert (np.asarray(one[1]).reshape(B, O, -1)[0, 1] == 0).all()


def test_a_loss_that_is_not_defined_everywhere_is_asked_for_known_ones() -> None:
    """The logarithm of a target that is not known is never taken."""
    weights = np.ones((B, O), np.float32)
    weights[[0, 3], [0, 1]] = 0
    spoilt = np.where(weights == 0, np.nan, np.exp(YS))

    def logarithmic(p: Any, y: Any) -> Any:
        return (p - jnp.log(y)) ** 2

    one = batch(spoilt, weights)
    found = jax.grad(lambda p: mean(logarithmic, p, one))(PREDICTIONS)
    expected = 2 * weights * (PREDICTIONS - YS) / weights.sum()
    assert_close(found, expected)


def test_a_batch_without_known_targets_costs_nothing() -> None:
    none = batch(np.full((B, O), np.nan), np.zeros((B, O)))
    found = jax.value_and_grad(lambda p: mean(squared_error, p, none))(PREDICTIONS)
    assert_array_equal(found[0], 0)
    assert_array_equal(found[1], np.zeros((B, O)))


def test_pinball_is_its_equation() -> None:
    losses = np.zeros((B, O))
    split = QUANTILES.astype(np.float64).reshape(B, O, Q)
    for k, q in enumerate(LEVELS):
        miss = YS - split[..., k]
        losses += np.where(miss > 0, q * miss, (q - 1) * miss) / Q
    assert_close(pinball(LEVELS)(jnp.asarray(QUANTILES), jnp.asarray(YS)), losses)


def test_cross_entropy_is_that_of_optax() -> None:
    exact = optax.softmax_cross_entropy_with_integer_labels(LOGITS, CLASSES)
    found = cross_entropy(jnp.asarray(LOGITS), jnp.asarray(CLASSES))
    assert_array_equal(found, exact)


@pytest.mark.parametrize("stranger", [-1, 4])
def test_a_class_that_is_none_costs_nan_where_it_counts(stranger: int) -> None:
    ys = CLASSES.copy()
    ys[0, 2] = stranger
    weights = np.ones((B, T), np.float32)
    assert np.isnan(mean(cross_entropy, LOGITS, batch(ys, weights)))
    weights[0, 2] = 0
    assert np.isfinite(mean(cross_entropy, LOGITS, batch(ys, weights)))


def test_a_loss_in_float64_has_gradients_in_float64() -> None:
    weights = DRAWN.random((B, O))
    with jax.enable_x64(True):
        one = batch(YS.astype(np.float64), weights)
        found = jax.grad(lambda p: mean(squared_error, p, one))(
            PREDICTIONS.astype(np.float64)
        )
    exact = 2 * weights * (PREDICTIONS.astype(np.float64) - YS) / weights.sum()
    assert_close(found, exact, "float64")


def test_heads_do_not_count_past_a_length() -> None:
    def loss(p: Any, y: Any) -> Any:
        return (p["mean"] - y) ** 2

    ys = DRAWN.normal(size=(B, T, 1)).astype(np.float32)
    one = batch(ys, np.ones(B, np.float32), LENGTHS)
    two = sum_losses(squared_error, jnp.zeros((B, T, 1)), one)
    heads: Any = {"mean": jnp.zeros((B, T, 1))}
    assert_array_equal(sum_losses(loss, heads, one), two)


def test_steps_past_a_length_do_not_count() -> None:
    within = np.arange(T) < LENGTHS[:, None]
    masked = batch(CLASSES, within.astype(np.float32))
    short = batch(CLASSES, np.ones(B, np.float32), LENGTHS)
    one = sum_losses(cross_entropy, jnp.asarray(LOGITS), masked)
    assert_array_equal(one, sum_losses(cross_entropy, jnp.asarray(LOGITS), short))
    assert one.weight == LENGTHS.sum()


def test_targets_of_several_features_do_not_count_past_a_length() -> None:
    ys = np.random.default_rng(0).normal(size=(B, T, O)).astype(np.float32)
    found = sum_losses(
        squared_error, jnp.zeros((B, T, O)), batch(ys, np.ones(B), LENGTHS)
    )
    within = np.arange(T) < LENGTHS[:, None]
    assert found.weight == LENGTHS.sum() * O
    assert_close(found.loss, (ys.astype(np.float64) ** 2)[within].sum())


ERRORS = [
    (
        lambda: squared_error(jnp.zeros((5, 3)), jnp.zeros((5, 2))),
        ValueError,
        (
            "squared_error: predictions.shape=(5, 3) must be (5, 2), the shape of"
            " `ys`. Use a model of output_size=2."
        ),
    ),
    (
        lambda: squared_error(jnp.zeros((5, 1)), jnp.zeros(5)),
        ValueError,
        (
            "squared_error: predictions.shape=(5, 1) must be (5,), the shape of "
            "`ys`. Use ys[..., None]."
        ),
    ),
    (
        lambda: pinball((0.5, 0.1)),
        ValueError,
        (
            "pinball: quantiles=(0.5, 0.1) must be above 0, below 1 and growing: "
            "each is a share of the targets. Use quantiles=(0.1, 0.5, 0.9)."
        ),
    ),
    (
        lambda: pinball(LEVELS)(jnp.zeros((5, 2)), jnp.zeros((5, 2))),
        ValueError,
        (
            "pinball: predictions.shape=(5, 2) must be (5, 6): `ys` is (5, 2), "
            "and each target has 3 quantiles. Use a model of output_size=6."
        ),
    ),
    (
        lambda: cross_entropy(jnp.zeros((5, 2)), jnp.zeros(5)),
        TypeError,
        (
            "cross_entropy: ys.dtype=float32 must be an integer type: `ys` are "
            "classes. Use ys.astype('int32')."
        ),
    ),
    (
        lambda: cross_entropy(jnp.zeros((5, 2)), jnp.zeros((5, 7), int)),
        ValueError,
        (
            "cross_entropy: predictions.shape[:-1]=(5,) must be (5, 7), the shape"
            " of `ys`: the last axis of `predictions` counts classes. Use "
            "outputs='all' for a class at each step, outputs='last' for one."
        ),
    ),
    (
        lambda: mean(lambda p, y: ((p - y) ** 2).mean(), PREDICTIONS, batch(YS, YS)),
        ValueError,
        (
            "fit: the losses' shape () must be (5, 2), the shape of `ys`: `loss` "
            "gives one number for each target. Take no mean in it."
        ),
    ),
]


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    assert_raises((call, error, message))
