"""What a failed check says: the mistake, the weights that differ, the first place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.judge.cases import Case
from parity.verify.compare import compare
from parity.verify.conditions import Conditions
from parity.verify.mistakes.lengths import PADDING

pytestmark = pytest.mark.usefixtures("unoptimised")


def test_onnx_order_is_recognised():
    module = torch.nn.LSTM(5, 4)
    params = parity.from_torch(module.state_dict())
    for name, array in params.items():
        i, f, g, o = jnp.split(array, 4)
        params[name] = jnp.concatenate([i, o, f, g])
    report = parity.check(module, params)
    assert report.advice[0] == (
        "Reading the gates as i, o, f, g makes it pass. Is the source in the order of "
        "ONNX?"
    )


def test_wrongly_converted_weights_are_named_with_their_gates():
    module = torch.nn.LSTM(5, 4, num_layers=2)
    params = parity.from_torch(module.state_dict())
    i, f, g, o = jnp.split(params["weight_hh_l1"], 4)
    params["weight_hh_l1"] = jnp.concatenate([i, g, f, o])
    report = parity.check(module, params)
    assert not report.ok
    assert report.advice == [
        "The weights given differ in weight_hh_l1 (gates f, g).",
        (
            "First wrong: h_n at layer 1, forward; c_n at layer 1, forward; "
            "ys at time step 0."
        ),
    ]


def test_the_first_wrong_time_step_is_named():
    def late(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys.at[5].multiply(1.001), after

    report = parity.check(torch.nn.LSTM(5, 4), run=late)
    assert report.advice == ["First wrong: ys at time step 5."]


def test_a_wrong_gradient_names_layer_direction_and_gate(monkeypatch):
    monkeypatch.setattr("parity.verify.diagnose.MISTAKES", ())

    @jax.custom_vjp
    def scaled(bias):
        return bias

    def backward(_, gradient):
        return (gradient.at[9].multiply(1.01),)  # H = 4: gate g

    _ = scaled.defvjp(lambda bias: (bias, None), backward)

    def run(params, xs, state):
        name = "bias_ih_l1_reverse"
        return lstm_jax.lstm({**params, name: scaled(params[name])}, xs, state)

    report = parity.check(torch.nn.LSTM(5, 4, 2, bidirectional=True), run=run)
    assert {row.tensor for row in report.rows if not row.ok} == {"d_bias_ih_l1_reverse"}
    assert report.advice == [
        "First wrong: d_bias_ih_l1_reverse at layer 1, reverse, gate g."
    ]


def test_weights_that_differ_are_named_beside_what_reads_the_padding():
    case = Case(name="", lengths=True)
    right = case.draw().params
    given = {**right, "bias_hh_l0": np.nextafter(right["bias_hh_l0"], np.float32(1))}

    def run(params, xs, state, lengths):
        ys, after = lstm_jax.lstm(params, xs, state, lengths=lengths)
        return ys + (0 * xs[..., :1]), after

    report = compare(case, Conditions(run=run), ours=given)
    assert report.advice == [
        PADDING,
        "The weights given differ in bias_hh_l0 (gates i, f, g, o).",
        "First wrong: ys at time step 0.",
    ]


@pytest.mark.slow
def test_a_mistake_that_makes_no_difference_here_explains_nothing():
    """The weights are not square, so that none of their blocks can be transposed."""

    def rounded(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys * (1 + 2e-5), after

    report = parity.check(torch.nn.LSTM(300, 8), run=rounded)
    assert report.advice == ["First wrong: ys at time step 0."]
