"""What `check` refuses, in one sentence each."""

from typing import Any

import pytest
import torch

import parity

pytestmark = pytest.mark.usefixtures("unoptimised")


def test_bad_arguments_of_check_are_one_sentence(no_jaxtyping):
    with pytest.raises(TypeError) as caught:
        _ = parity.check(3)
    assert str(caught.value) == (
        "check: module must be an LSTM, an LSTMCell or a mapping of torch's names, not "
        "int: its weights are compared. Give an LSTM, or its weights in a dict of "
        "torch's names."
    )
    with pytest.raises(ValueError, match="dtype") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), dtype="float8_e5m2")
    assert str(caught.value) == (
        "check: dtype='float8_e5m2' must be one of float32, float64, bfloat16, "
        "float16: the tolerance is known for these. Use 'float32'."
    )
    for name, meant in (("bf16", "bfloat16"), ("fp16", "float16"), ("x", "float32")):
        with pytest.raises(ValueError, match=f"Use '{meant}'"):
            _ = parity.check(torch.nn.LSTM(5, 4), dtype=name)
    with pytest.raises(ValueError, match="bidirectional") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4, bidirectional=True), resets=True)
    assert str(caught.value) == (
        "check: resets=True must not be asked of a bidirectional LSTM: its reverse "
        "direction would see the next sequence. Use lengths."
    )
    with pytest.raises(ValueError, match="reset_state") as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), reset_state=True)
    assert str(caught.value) == (
        "check: reset_state=True must come with resets: it is the state after one. "
        "Use resets=True."
    )


def test_weights_that_overflow_the_type_are_refused():
    params = torch.nn.LSTM(5, 4).double().state_dict()
    params["bias_ih_l0"][2] = 1e300
    with pytest.raises(ValueError, match="finite") as caught:
        _ = parity.check(params)
    assert str(caught.value) == (
        "check: bias_ih_l0 must be finite: it holds 1 values that are not, the first "
        "at [2]. Repair the weights first."
    )
    assert parity.check(params, dtype="float64").rows


def test_quantised_weights_are_refused():
    params = dict(torch.nn.LSTM(5, 4).state_dict())
    params["weight_hh_l0"] = params["weight_hh_l0"].to(torch.int8)
    with pytest.raises(TypeError) as caught:
        _ = parity.check(params)
    assert str(caught.value) == (
        "check: weight_hh_l0.dtype=int8 must be a floating type: the equations are "
        "real. Convert a quantised model back first."
    )


@pytest.mark.parametrize("name", ["batch", "steps", "seed"])
def test_sizes_below_zero_are_refused(name):
    sizes: Any = {name: -1}
    with pytest.raises(ValueError, match=name) as caught:
        _ = parity.check(torch.nn.LSTM(5, 4), **sizes)
    assert str(caught.value) == (
        f"check: {name}=-1 must be a whole number of 0 or more: arrays of that size "
        "are drawn. Use the default."
    )


def test_a_function_that_returns_no_pair_is_told_so():
    def outputs_alone(_params, xs, _state):
        return xs

    def in_one_row(_params, xs, _state):
        return xs, xs, None

    for run, found in (
        (outputs_alone, "an array"),
        (in_one_row, "(an array, an array, NoneType)"),
    ):
        with pytest.raises(TypeError) as caught:
            _ = parity.check(torch.nn.LSTM(5, 4), run=run)
        assert str(caught.value).splitlines()[0] == (
            f"check: run must return (ys, (h, c)), not {found}: outputs and the state "
            "after are compared. Return both."
        )
