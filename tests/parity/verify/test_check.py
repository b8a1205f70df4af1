"""The check takes modules and mappings of both sides, and runs what it is given."""

from typing import Any

import jax
import pytest
import torch
from flax import nnx

import lstm_jax
import parity

# A failure is diagnosed in `test_diagnose.py` and `test_mistakes.py`.
pytestmark = pytest.mark.usefixtures("unoptimised", "no_advice")


def test_a_function_that_returns_other_shapes_fails_without_gradients():
    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys[:-1], after

    report = parity.check(torch.nn.LSTM(5, 4), run=run)
    assert not report.ok
    assert report.messages()[0] == (
        "FAIL ys: is float32[6, 3, 4], must be float32[7, 3, 4]."
    )


def test_outputs_without_gradients_are_checked_too():
    """Where nothing is differentiated another program may run."""

    @jax.custom_jvp
    def spoilt(ys):
        return 1.01 * ys

    @spoilt.defjvp
    def _right(primals, tangents):
        return primals[0], tangents[0]

    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return spoilt(ys), after

    report = parity.check(torch.nn.LSTM(3, 4), run=run)
    assert {row.tensor for row in report.rows if not row.ok} == {"ys"}


def test_a_silent_detour_through_fewer_bits_fails():
    def half(params, xs, state):
        return lstm_jax.lstm(params, xs, state, dtype="bfloat16")

    report = parity.check(torch.nn.LSTM(5, 4), run=half)
    assert not report.ok
    assert report.messages()[0].startswith(
        "FAIL ys: is bfloat16[7, 3, 4], must be float32"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.LSTM(5, 4, batch_first=True),
        lambda: torch.nn.LSTMCell(5, 4),
        lambda: torch.nn.LSTM(5, 4).half(),
        lambda: torch.nn.LSTM(5, 4).bfloat16(),
        lambda: lstm_jax.LSTM(5, 4, rngs=nnx.Rngs(0)),
        lambda: lstm_jax.LSTMCell(5, 4, rngs=nnx.Rngs(0)),
        lambda: lstm_jax.init_params(jax.random.key(0), 5, 4),
        lambda: torch.nn.LSTM(5, 4).state_dict(),
    ],
)
def test_modules_cells_and_mappings_are_checked(make):
    report = parity.check(make())
    assert report.ok, str(report)
    assert all(row.torch is not None for row in report.rows)


@pytest.mark.parametrize("dtype", parity.DTYPES)
@pytest.mark.parametrize("own", [torch.float16, torch.float64])
def test_weights_of_any_type_are_checked_in_every_type(own, dtype):
    report = parity.check(torch.nn.LSTM(5, 4).to(own), dtype=dtype)
    assert report.ok, str(report)


@pytest.mark.parametrize("batch", [0, ()])
def test_empty_and_unbatched_inputs_are_within_the_budget(batch):
    for steps in (0, 7):
        report = parity.check(torch.nn.LSTM(5, 4), batch=batch, steps=steps)
        assert all(row.ok for row in report.rows)
        assert report.ok == (batch == () and steps == 7)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_lengths_and_resets_are_checked_with_any_batch(batch):
    module = torch.nn.LSTM(5, 4)
    masks: Any = {"lengths": True, "resets": True, "reset_state": True}
    report = parity.check(module, batch=batch, **masks)
    assert report.ok, str(report)
    assert {"d_reset_h", "d_reset_c"} < {row.tensor for row in report.rows}
    assert all(row.torch is not None for row in report.rows)


def test_a_function_of_ones_own_is_given_the_masks():
    def run(params, xs, state, *, lengths, resets):
        assert (lengths.shape, resets.shape, resets.dtype) == ((3,), (7, 3), bool)
        return lstm_jax.lstm(params, xs, state, lengths=lengths, resets=resets)

    assert parity.check(torch.nn.LSTM(5, 4), run=run, lengths=True, resets=True).ok


def test_what_is_checked_is_not_changed():
    module = torch.nn.LSTM(5, 4)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert parity.check(module).ok
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert module.get_parameter(name).grad is None


@pytest.mark.parametrize(("precision", "device"), [("highest", None), ("default", 1)])
def test_a_function_runs_under_the_conditions_that_are_reported(precision, device):
    device = None if device is None else jax.devices()[device]
    seen = set()

    def run(params, xs, state):
        config: Any = jax.config
        seen.add((config.jax_default_matmul_precision, config.jax_default_device))
        return lstm_jax.lstm(params, xs, state)

    conditions: Any = {"precision": precision, "device": device}
    report = parity.check(torch.nn.LSTM(5, 4), run=run, **conditions)
    assert seen == {(precision, device)}
    assert report.facts["precision"] == precision


def test_a_function_that_changed_is_checked_anew():
    right = True

    def run(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return (ys if right else 2 * ys), after

    params = lstm_jax.init_params(jax.random.key(0), 5, 4)
    assert parity.check(params, run=run).ok
    right = False
    assert not parity.check(params, run=run).ok


def test_converted_modules_are_weights_too():
    module = torch.nn.LSTM(5, 4)
    assert parity.check(module, parity.from_torch(module)).ok


def test_a_right_lstm_of_many_inputs_is_within_the_budget_and_a_wrong_one_is_not():
    params = lstm_jax.init_params(jax.random.key(1), 20000, 2)
    report = parity.check(params, steps=2, batch=2)
    assert max(row.error for row in report.rows) < 8, str(report)
    weight = params["weight_ih_l0"]
    other = params | {"weight_ih_l0": weight.at[:, 7].multiply(-1)}
    assert not parity.check(params, other, steps=2, batch=2).ok
