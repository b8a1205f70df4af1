"""Two devices share the units of an LSTM: losses, weights and files as of one."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from numpy.testing import assert_allclose
from safetensors.numpy import load_file

from lstm_jax import LSTMModel
from lstm_jax.train import fit, resume
from lstm_jax.train.fitting import _begin, _read
from lstm_jax.train.loop.devices import read_devices
from lstm_jax.train.loop.training import Ends, Training
from lstm_jax.train.options import Learning
from tests.given.training import TRAIN, VALID, H, I, Line, model, samples
from tests.lstm_jax.test_units import sent_by
from tests.lstm_jax.train.many.test_devices import TWO, assert_same, signalling

# Adam divides a gradient by its size: of one near 0, rounding is all that is left.
SGD = optax.sgd(0.1, momentum=0.9)
OPTIONS: Any = {"epochs": 3, "optimizer": SGD, "batch": 6}
DIVIDED: Any = {"devices": TWO, "unit_devices": 2}


def deep() -> LSTMModel:
    return model(num_layers=2, dropout=0.3)


def test_the_losses_and_weights_are_those_of_one_device(tmp_path: Path) -> None:
    options = {**OPTIONS, "validation": VALID}
    found = fit(deep(), samples(24), **options, **DIVIDED, folder=tmp_path / "run")
    alone = fit(deep(), samples(24), **options)
    assert_same(found, alone)
    assert_allclose(found.history["validation"], alone.history["validation"], 1e-5)
    assert {d for a in found.model.params().values() for d in a.devices()} == {TWO[0]}
    saved = load_file(tmp_path / "run" / "model.safetensors")
    for name, array in alone.model.params().items():
        assert saved[name].shape == array.shape, "torch's shapes"


@pytest.mark.parametrize(
    "trainable", ["lstm.weight_hh", pytest.param("fc", marks=pytest.mark.slow)]
)
def test_weights_that_stay_are_divided_too(trainable: str) -> None:
    options = {**OPTIONS, "trainable": trainable}
    found = fit(model(), samples(24), **options, **DIVIDED)
    assert_same(found, fit(model(), samples(24), **options))
    start, after = model().params(), found.model.params()
    for name in start:
        stayed = np.array_equal(start[name], after[name])
        assert stayed is not name.startswith(trainable), name


@pytest.mark.parametrize(
    ("before", "after"),
    [(DIVIDED, {}), pytest.param({}, DIVIDED, marks=pytest.mark.slow)],
)
def test_a_run_goes_on_with_whole_weights_and_back(
    tmp_path: Path, before: Any, after: Any
) -> None:
    alone = fit(deep(), samples(24), **OPTIONS)
    data = signalling(7, 15)
    data.rows = samples(24)
    with pytest.raises(SystemExit):
        _ = fit(deep(), data, folder=tmp_path / "run", **OPTIONS, **before)
    data.at = -1
    assert_same(resume(tmp_path / "run", data, optimizer=SGD, **after), alone)


def begun(made: Any, optimizer: Any = None, trainable: Any = None) -> Training:
    devices = read_devices(TWO, 2)
    reads = _read(samples(6), VALID, 6, 0, devices)
    learning = Learning("squared_error", optimizer, 1e-3, 1.0, trainable)
    return _begin(made, learning, reads, Ends(1, None, None, None), 0, devices)


def test_a_device_holds_half_of_the_weights_and_of_their_averages() -> None:
    training = begun(model(proj_size=2), trainable="lstm")
    weights = {"lstm.weight_ih_l0": (4, H // 2, I), "lstm.weight_hr_l0": (2, H // 2)}
    adam = training.moving.optimizer[1].inner_state[0]
    for tree in (training.moving.params, adam.mu, adam.nu):
        for name, shape in weights.items():
            parts = {part.data.shape for part in tree[name].addressable_shards}
            assert parts == {shape}, name
    batch = training.devices.put_rows(next(training.reads.train.epoch(0)))
    arrays = training.moving, training.frozen, training.key, batch, None
    shardings = jax.tree.map(lambda a: a.sharding, training.moving.params)
    with training.devices.tracing():
        moving, _ = training._step_program(*arrays)
    assert jax.tree.map(lambda a: a.sharding, moving.params) == shardings


def test_a_state_that_is_made_anew_is_divided_too() -> None:
    """XLA would put zeros whole on each device."""

    def zeros(params: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        del params
        return updates, zeros(state)

    anew = optax.GradientTransformation(zeros, update)
    training = begun(model(), anew)
    batch = training.devices.put_rows(next(training.reads.train.epoch(0)))
    arrays = training.moving, training.frozen, training.key, batch, None
    before = jax.tree.map(lambda a: a.sharding, training.moving.optimizer)
    with training.devices.tracing():
        moving, _ = training._step_program(*arrays)
    assert jax.tree.map(lambda a: a.sharding, moving.optimizer) == before


def test_each_step_of_the_lstm_gathers_its_state_and_sums_its_gradient() -> None:
    training = begun(model())
    batch = training.devices.put_rows(next(training.reads.train.epoch(0)))
    arrays = training.moving, training.frozen, training.key, batch, None
    with training.devices.tracing():
        within, outside = sent_by(training._step_program, *arrays)
    assert within == [("all-gather", [6 * H]), ("all-reduce", [6 * H])]
    assert ("all-gather", [7 * 6 * H]) in outside, "the states, for the gradients"
    numbers = [n for kind, sizes in outside if kind == "all-reduce" for n in sizes]
    assert max(numbers) <= 6 * H, "no gradient of a weight is sent"


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "devices it does not divide": (
        ValueError,
        lambda: fit(model(), TRAIN, devices=TWO, unit_devices=3),
        "must divide how many devices a process has, 2: .* Use unit_devices=1",
    ),
    "no number": (
        TypeError,
        lambda: fit(model(), TRAIN, devices=TWO, unit_devices=True),
        "unit_devices must be an int, not bool",
    ),
    "units that it does not divide": (
        ValueError,
        lambda: begun(LSTMModel(I, 3, 1, rngs=nnx.Rngs(0))),
        r"unit_devices=2 must divide the 3 units of lstm.* unit_devices=1, or other",
    ),
    "no LSTM": (
        ValueError,
        lambda: begun(Line()),
        "must be 1 for a model without the weights of an LSTM",
    ),
    "an optimizer of rows and columns": (
        ValueError,
        lambda: begun(model(), optax.adafactor(0.1, min_dim_size_to_factor=2)),
        "must be 1 with this optimizer",
    ),
    "an optimizer of matrices": (
        ValueError,
        lambda: begun(model(), optax.contrib.muon(0.1)),
        "must be 1 with this optimizer",
    ),
}


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_divided_is_refused(case: str) -> None:
    kind, call, sentence = REFUSED[case]
    with pytest.raises(kind, match=rf"^fit: .*{sentence}"):
        _ = call()
