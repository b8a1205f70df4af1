"""`fit`: what it learns, what it leaves alone, and when it ends."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from numpy.testing import assert_array_equal

from lstm_jax import LSTMModel
from lstm_jax.train import Arrays, fit, pinball
from tests.given.inputs import assert_equal
from tests.given.training import RUN, TRAIN, VALID, H, I, Line, model, samples, trained

pytestmark = pytest.mark.usefixtures("unoptimised")

NO_VALIDATION = "There is no validation: the weights are those of the last epoch."


def test_an_lstm_learns_the_mean_of_noise() -> None:
    many, others = samples(256), samples(64, seed=1)
    run = fit(model(), many, validation=others, batch=64, epochs=25, rate=0.1)
    zero = float((others.ys**2).mean())
    assert run.history["validation"].iloc[-1] < zero / 20


def test_the_same_call_gives_the_same_weights() -> None:
    one, two = trained(), trained()
    assert_equal(one.model.params(), two.model.params())
    other = trained(seed=1).model.params()
    assert not np.array_equal(one.model.params()["bias"], other["bias"])


def test_the_model_that_is_given_stays() -> None:
    given = Line()
    before = {name: np.array(value) for name, value in given.params().items()}
    _ = fit(given, TRAIN, **RUN)
    assert_equal(given.params(), before)


def test_steps_are_those_of_gradient_descent() -> None:
    """Two steps of all samples, against the same steps written out."""
    kernel, bias = Line().params()["kernel"], Line().params()["bias"]

    def loss(kernel: Any, bias: Any) -> Any:
        return ((TRAIN.xs.mean(1) @ kernel + bias - TRAIN.ys) ** 2).mean()

    for _ in range(2):
        gradients = jax.grad(loss, (0, 1))(kernel, bias)
        kernel, bias = kernel - 0.5 * gradients[0], bias - 0.5 * gradients[1]
    run = trained(optimizer=optax.sgd(0.5), clip=None, epochs=2, batch=23)
    found = run.model.params()
    np.testing.assert_allclose(found["kernel"], kernel, rtol=0, atol=2e-7)
    np.testing.assert_allclose(found["bias"], bias, rtol=0, atol=2e-7)


def test_gradients_are_clipped_by_their_global_norm() -> None:
    """With plain descent, a step's length is the rate times the clipped norm."""
    options: Any = {"optimizer": optax.sgd(1.0), "steps": 1, "batch": 23}
    far = Arrays(TRAIN.xs, TRAIN.ys + 100)
    for clip, least, most in ((0.25, 0.2499, 0.2501), (None, 1.0, np.inf)):
        run = fit(Line(), far, clip=clip, **options)
        moved = jax.tree.map(jnp.subtract, run.model.params(), Line().params())
        assert least < float(optax.tree.norm(moved)) < most


def test_what_is_not_trainable_stays_to_the_bit() -> None:
    decaying = optax.adamw(0.1, weight_decay=0.5)
    options: Any = {"trainable": ("fc.b", "lstm.weight_hh"), "validation": None}
    run = fit(model(), TRAIN, optimizer=decaying, **(RUN | options))
    after = run.model.params()
    changed = {n for n, v in model().params().items() if (after[n] != v).any()}
    assert changed == {"fc.bias", "lstm.weight_hh_l0"}
    one = trained(trainable="head.bias").model.params()
    assert_array_equal(one["kernel"], Line().params()["kernel"])
    assert (one["bias"] != Line().params()["bias"]).all()


def test_targets_without_weight_change_nothing() -> None:
    weights = np.ones_like(TRAIN.ys)
    weights[::3] = 0
    masked = Arrays(TRAIN.xs, TRAIN.ys, weights)
    spoilt = Arrays(TRAIN.xs, np.where(weights == 0, np.nan, TRAIN.ys), weights)
    one, two = fit(Line(), masked, **RUN), fit(Line(), spoilt, **RUN)
    assert_equal(one.model.params(), two.model.params())


def test_every_sample_counts_in_the_last_smaller_batch() -> None:
    """23 samples in batches of 5: the epoch's loss is the mean over all of them."""
    still = optax.sgd(0.0)
    run = trained(validation=TRAIN, optimizer=still, epochs=2)
    exact = float(((Line()(TRAIN.xs) - TRAIN.ys) ** 2).mean())
    found = run.history[["loss", "validation"]].to_numpy()
    np.testing.assert_allclose(found, exact, rtol=3e-7)


def test_a_run_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """23 samples in batches of 5: the last is smaller, in training and validation."""
    traced: list[str] = []
    call = Line.__call__

    def counted(self: Line, xs: Any) -> Any:
        traced.append(type(xs).__name__)
        return call(self, xs)

    monkeypatch.setattr(Line, "__call__", counted)
    _ = trained(loss=lambda p, y: abs(p - y))
    assert len(traced) == 2


def test_the_best_weights_by_validation_are_the_result() -> None:
    """The rate grows until the run is thrown off: the best epoch is not the last."""
    growing = optax.exponential_decay(0.01, 1, 1.3)
    run = trained(rate=growing, epochs=8)
    losses = run.history["validation"]
    assert losses.to_numpy().argmin() < 7
    exact = float(((run.model(VALID.xs) - VALID.ys) ** 2).mean())
    np.testing.assert_allclose(losses.min(), exact, rtol=3e-7)
    np.testing.assert_allclose(run.history["rate"].iloc[-1], 0.01 * 1.3**39, rtol=1e-5)


def test_a_run_without_gain_ends_early() -> None:
    run = trained(optimizer=optax.sgd(0.0), patience=2, epochs=9)
    assert len(run.history) == 3  # the first is better than none
    assert_equal(run.model.params(), Line().params())


def test_without_validation_all_epochs_run() -> None:
    run = trained(validation=None, patience=1)
    assert len(run.history) == 4
    assert run.said == (NO_VALIDATION,)
    assert np.isnan(run.history["validation"].to_numpy(float)).all()


def test_the_history_is_a_row_for_each_epoch() -> None:
    history = trained().history
    columns = ["step", "epoch", "loss", "validation", "rate", "seconds"]
    assert list(history) == columns
    assert history["step"].tolist() == [5, 10, 15, 20]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    rates = optax.cosine_decay_schedule(RUN["rate"], 20)(np.array([4, 9, 14, 19]))
    np.testing.assert_allclose(history["rate"], rates, rtol=1e-5)


def test_steps_end_a_run_within_an_epoch() -> None:
    history = trained(steps=7).history
    assert history["step"].tolist() == [5, 7]


def test_the_clock_ends_a_run_and_says_so() -> None:
    run = trained(minutes=1e-9)
    assert run.said == ("The clock ended the run after step 1, as minutes=1e-09 says.",)
    assert not np.array_equal(run.model.params()["bias"], Line().params()["bias"])
    assert len(run.history) == 0


def test_a_loss_that_is_no_number_ends_the_run_with_the_best_so_far() -> None:
    rates = optax.piecewise_constant_schedule(0.03, {7: 1e38})
    run = trained(rate=rates, clip=None)
    assert len(run.said) == 1
    assert run.said[0].startswith("fit: the loss of step 9 must be a number, not ")
    assert run.said[0].endswith(
        ": the run ends there. Use a smaller `rate` or `clip`, inputs of about unit "
        "size without NaN, and weight 0 for targets that are not known."
    )
    assert run.history["step"].tolist() == [5]
    once = fit(Line(), TRAIN, **(RUN | {"rate": rates, "clip": None, "steps": 5}))
    assert_equal(run.model.params(), once.model.params())


def test_dropout_is_a_function_of_seed_and_step() -> None:
    given = model(num_layers=2, dropout=0.5)
    options: Any = RUN | {"validation": None}
    one, two = (fit(given, TRAIN, **options).model.params() for _ in range(2))
    assert_equal(one, two)
    other = fit(given, TRAIN, **options, seed=1).model.params()
    assert not np.array_equal(one["fc.weight"], other["fc.weight"])


def test_quantiles_cover_their_share() -> None:
    drawn = np.random.default_rng(0)
    ys = drawn.normal(2.0, 0.5, size=(600, 1)).astype(np.float32)
    constant = Arrays(np.ones((600, 1, I), np.float32), ys)
    levels = (0.1, 0.5, 0.9)
    given = Line(outputs=3)
    options: Any = {"loss": pinball(levels), "rate": 0.1, "batch": 200, "epochs": 40}
    run = fit(given, constant, **options)
    covered = (ys < run.model(constant.xs)).mean(0)
    np.testing.assert_allclose(covered, levels, atol=0.03)


def test_next_tokens_are_learnt() -> None:
    """Each token is followed by one more, modulo 5; lengths end the rows."""
    starts = np.arange(30) % 5
    tokens = (starts[:, None] + np.arange(8)) % 5
    lengths = 2 + np.arange(30) % 6
    given = LSTMModel(4, 8, 5, num_embeddings=5, outputs="all", rngs=nnx.Rngs(0))
    rows = Arrays(tokens[:, :-1], tokens[:, 1:], None, lengths)
    options: Any = {"loss": "cross_entropy", "rate": 0.1, "epochs": 20, "batch": 15}
    run = fit(given, rows, **options)
    assert run.history["loss"].iloc[-1] < 0.05 < 1.5 < run.history["loss"].iloc[0]


class Small(nnx.Module):
    """A module that is none of ours, with statistics and a stream of random keys."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.BatchNorm(I, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(I, 1, rngs=rngs)])

    def __call__(self, xs: Any) -> Any:
        return self.layers[0](self.drop(self.norm(xs[:, -1])))


def test_another_module_is_trained_with_what_else_it_holds() -> None:
    given = Small(nnx.Rngs(0))
    run = fit(given, TRAIN, **RUN)
    assert_array_equal(given.norm.mean[...], np.zeros(I))
    assert np.abs(run.model.norm.mean[...]).min() > 0
    assert int(run.model.drop.rngs.count[...]) == 20  # none while validating
    run.model.eval()
    found = float(((run.model(VALID.xs) - VALID.ys) ** 2).mean())
    np.testing.assert_allclose(run.history["validation"].min(), found, rtol=3e-7)


def test_the_result_drops_nothing_and_is_trained_further_with_dropout() -> None:
    given = LSTMModel(I, H, 1, 2, dropout=0.5, rngs=nnx.Rngs(0))
    run = fit(given, TRAIN, epochs=1)
    exact = given.lstm.deterministic, run.model(TRAIN.xs, deterministic=True)
    assert exact[0] is False
    assert_array_equal(run.model(TRAIN.xs), exact[1])
    small = fit(Small(nnx.Rngs(0)), TRAIN, epochs=1).model
    assert_array_equal(small(TRAIN.xs), small(TRAIN.xs))
    one, other = (fit(run.model, TRAIN, epochs=1, seed=s, batch=23) for s in (0, 1))
    assert one.history["loss"].tolist() != other.history["loss"].tolist()


def test_an_optimizer_is_told_the_loss() -> None:
    plateau = optax.contrib.reduce_on_plateau(patience=1, factor=0.5, cooldown=0)
    still = optax.chain(optax.sgd(0.0), plateau)
    assert len(fit(Line(), TRAIN, optimizer=still, epochs=2).history) == 2
    polyak = fit(Line(), TRAIN, optimizer=optax.polyak_sgd(), epochs=9)
    losses = polyak.history["loss"].tolist()
    assert losses[-1] < 0.5 * losses[0]


def test_batches_of_another_loader_are_read_anew_at_each_pass() -> None:
    batches = [TRAIN.take(np.arange(k, min(k + 5, 23))) for k in range(0, 23, 5)]
    one = fit(Line(), batches, **RUN)
    assert one.history["step"].tolist() == [5, 10, 15, 20]

    class Loader:
        def __iter__(self) -> Any:
            return iter(batches)

    unknown = fit(Line(), Loader(), **(RUN | {"steps": 20}))
    assert_equal(one.model.params(), unknown.model.params())


def test_a_smaller_last_batch_is_filled_and_counts_for_its_rows() -> None:
    last = TRAIN.take(np.arange(2))
    batches = [TRAIN.take(np.arange(5)), last]
    run = fit(Line(), batches, optimizer=optax.sgd(0.0), epochs=1)
    rows = np.array([0, 1, 2, 3, 4, 0, 1])
    exact = float(((Line()(TRAIN.xs[rows]) - TRAIN.ys[rows]) ** 2).mean())
    np.testing.assert_allclose(run.history["loss"], exact, rtol=3e-7)


class Whole:
    """What `windows` returns: both parts, and the recipe."""

    train, valid = TRAIN, VALID
    recipe = None


def test_both_parts_may_come_together() -> None:
    options = {name: value for name, value in RUN.items() if name != "validation"}
    assert_equal(
        fit(Line(), Whole(), **options).model.params(), trained().model.params()
    )


def test_progress_is_a_line_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    _ = trained(validation=None)
    assert capfd.readouterr() == ("", "")
    run = trained(validation=None, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert run.said[0] in err.replace("\n", " ")
    assert "epoch 4" in err
