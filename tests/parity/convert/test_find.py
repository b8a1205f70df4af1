"""LSTMs found among the tensors of larger models, by torch's names."""

import numpy as np
import pytest
import torch

import parity
from tests.given.larger_model import TENSORS
from tests.parity.frameworks.test_convert import assert_same_bits


def test_lstms_are_found_and_other_cells_passed_over():
    model = torch.nn.ModuleDict(
        {
            "a": torch.nn.LSTM(5, 4, 2, bidirectional=True),
            "b": torch.nn.LSTMCell(5, 4, bias=False),
            "gru": torch.nn.GRU(5, 4),
            "rnn": torch.nn.RNN(5, 4),
            "head": torch.nn.Linear(4, 2),
        }
    )
    found = parity.find_lstms(model.state_dict())
    assert [(one.prefix, one.kind, one.sizes()) for one in found] == [
        ("a.", "LSTM", "5 -> 4, 2 layers, bidirectional"),
        ("b.", "LSTMCell", "5 -> 4, no bias"),
    ]
    assert list(found[1].lstm_params) == ["weight_ih_l0", "weight_hh_l0"]
    assert_same_bits(found[0].params, model["a"].state_dict())


def test_a_projected_lstm_and_one_without_prefix_are_found():
    (found,) = parity.find_lstms(torch.nn.LSTM(5, 4, proj_size=2).state_dict())
    assert (found.prefix, found.sizes()) == ("", "5 -> 4, projected to 2")


def lstm_at(prefix, layers="0"):
    """One LSTM without biases, whose layers are numbered by the letters."""
    found = {}
    for place, number in enumerate(layers):
        found[f"{prefix}weight_ih_l{number}"] = np.ones((8, 2 if place else 3))
        found[f"{prefix}weight_hh_l{number}"] = np.ones((8, 2))
    return found


@pytest.mark.parametrize(
    "prefix", ["", "my_", "bias_", "weight_ih_l0.", "weight_", "weight_ih_", "a\nb."]
)
def test_a_prefix_may_be_any_text(prefix):
    (found,) = parity.find_lstms(lstm_at(prefix, "01"))
    assert (found.prefix, found.kind, found.spec.num_layers) == (prefix, "LSTM", 2)


@pytest.mark.parametrize(
    "name", ["weight_ih_l", "weight_ih_l01", "weight_ih_lx", "weight_il_l0", "weight_g"]
)
def test_a_name_that_torch_does_not_give_is_no_parameter(name):
    tensors = lstm_at("a.") | {f"a.{name}": np.ones(3), f"{name}.a": np.ones(3)}
    (found,) = parity.find_lstms(tensors)
    assert list(found.params) == ["weight_ih_l0", "weight_hh_l0"]


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_may_be_left_out_of_a_prefix(wrap):
    tensors = {f"{wrap}encoder.{name}": array for name, array in TENSORS.items()}
    for prefix in (f"{wrap}encoder.", "encoder.", "encoder"):
        (found,) = parity.find_lstms(tensors, prefix)
        assert found.prefix == f"{wrap}encoder."
    assert parity.find_lstms(tensors, "decoder") == []


def test_an_exact_prefix_goes_before_one_with_wrappers():
    tensors = {f"module.{name}": array for name, array in TENSORS.items()} | TENSORS
    (found,) = parity.find_lstms(tensors, "")
    assert found.prefix == ""


@pytest.mark.parametrize("where", ["optimizer", "opt_state.0.mu", "exp_avg"])
def test_what_an_optimizer_keeps_is_no_lstm(where):
    assert parity.find_lstms({f"{where}.{n}": a for n, a in TENSORS.items()}) == []
