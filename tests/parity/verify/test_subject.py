"""What is no LSTM is refused in a sentence, and its cure works when it is followed."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from flax import nnx
from torch.nn.utils import prune

import lstm_jax
import parity
from parity.verify.subject import weights_in

pytestmark = pytest.mark.usefixtures("unoptimised", "no_jaxtyping")
START = "check: module must be an LSTM, an LSTMCell or a mapping of torch's names, not "


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.LSTM(3, 2)
        self.head = torch.nn.Linear(2, 1)


class Flax(nnx.Module):
    def __init__(self) -> None:
        self.encoder = lstm_jax.LSTM(3, 2, rngs=nnx.Rngs(0))
        self.layers = nnx.List([lstm_jax.LSTMCell(3, 2, rngs=nnx.Rngs(0))])


def made(name: str) -> Any:
    """What users hand over."""
    lstm, net = torch.nn.LSTM(3, 2), Net()
    makers: dict[str, Any] = {
        "Net": lambda: net,
        "Flax": Flax,
        "Sequential": lambda: torch.nn.Sequential(torch.nn.Tanh(), lstm),
        "DataParallel": lambda: torch.nn.DataParallel(lstm),
        "state dict": net.state_dict,
        "checkpoint": lambda: {"state_dict": lstm.state_dict()},
    }
    return makers[name]()


CURES = {
    "Net": "Net: its weights are compared. Use check(module.encoder).",
    "Flax": (
        "Flax: its weights are compared. Use check(module.encoder), or "
        "check(module.layers[0])."
    ),
    "Sequential": (
        "Sequential: its weights are compared. Use check(module.get_submodule('1'))."
    ),
    "DataParallel": (
        "DataParallel: its weights are compared. Use check(module.module)."
    ),
    "state dict": (
        "one of 'encoder.weight_ih_l0', 'encoder.weight_hh_l0', 'encoder.bias_ih_l0': "
        "its weights are compared. Use check(parity.find_lstms(module, 'encoder.')[0]"
        ".lstm_params)."
    ),
    "checkpoint": (
        "one of 'state_dict': its weights are compared. Use "
        "check(module['state_dict'])."
    ),
}


@pytest.mark.parametrize("name", CURES)
def test_a_larger_model_is_told_what_to_check_and_it_works(name):
    module = made(name)
    with pytest.raises(TypeError) as caught:
        _ = parity.check(module)
    assert str(caught.value) == START + CURES[name]
    calls = re.findall(r"check\((.*?)\)(?=, or|\.$)", CURES[name])
    assert calls
    for call in calls:
        assert parity.check(eval(call, {"module": module, "parity": parity})).ok


def test_other_recurrent_layers_are_named():
    for module, kind, gates in (
        (torch.nn.GRU(3, 2), "a GRU", "three gates"),
        (torch.nn.RNN(3, 2), "an RNN", "one gate"),
        (torch.nn.GRUCell(3, 2).state_dict(), "a GRUCell", "three gates"),
    ):
        with pytest.raises(TypeError) as caught:
            _ = parity.check(module)
        assert str(caught.value) == (
            f"check: module must be an LSTM, not {kind}: it has {gates}. Give a module "
            "with an LSTM."
        )


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_a_quantised_lstm_is_not_called_an_lstm():
    quantised = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.LSTM(3, 2)), {torch.nn.LSTM}
    )
    with pytest.raises(TypeError) as caught:
        _ = parity.check(quantised[0])
    assert re.fullmatch(
        re.escape(START) + r"torch\.[\w.]+\.LSTM: its weights are compared\. Give the "
        r"LSTM from before it was quantised\.",
        str(caught.value),
    )


def test_weights_without_values_are_refused_and_loaded_ones_are_checked():
    empty = torch.nn.LSTM(3, 2, device="meta")
    with pytest.raises(TypeError) as caught:
        _ = parity.check(empty)
    assert str(caught.value) == (
        "check: weight_ih_l0 must have values: it is on torch's meta device, which "
        "keeps only shapes. Load the weights first."
    )
    weights = torch.nn.LSTM(3, 2).state_dict()
    assert not any(empty.load_state_dict(weights, assign=True))
    assert parity.check(empty).ok


def test_to_torch_of_another_module_is_told_what_works():
    linear = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError) as caught:
        _ = parity.to_torch(linear)
    assert str(caught.value) == (
        "to_torch: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
        "mapping, not Linear: it must have torch's names. Give a dict of torch's names "
        "to arrays."
    )
    kernel = np.asarray(linear.kernel[...]).T
    assert parity.to_torch({"weight": kernel})["weight"].shape == (2, 3)


REPAIRED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dtype": ({"dtype": "bf16"}, {"dtype": "float32"}),
    "resets": ({"bidirectional": True, "resets": True}, {"lengths": True}),
    "reset_state": ({"reset_state": True}, {"reset_state": True, "resets": True}),
    "xs.shape": ({"xs": np.ones((4, 2))}, {"xs": np.ones((4, 3))}),
    "xs must be finite": (
        {"xs": np.full((4, 3), 1e6), "dtype": "float16"},
        {"xs": np.ones((4, 3)), "dtype": "float16"},
    ),
    "batch": ({"batch": -1}, {}),
}


@pytest.mark.parametrize("word", REPAIRED)
def test_the_cures_of_arguments_work(word):
    wrong, cured = ({**options} for options in REPAIRED[word])
    two = wrong.pop("bidirectional", False)
    module = torch.nn.LSTM(3, 2, bidirectional=two)
    with pytest.raises(ValueError, match=re.escape(word)):
        _ = parity.check(module, **wrong)
    assert parity.check(module, **cured).ok


@pytest.mark.parametrize("live", [True, False], ids=["module", "state dict"])
def test_weights_in_parts_are_checked_as_torch_runs_them(live: bool) -> None:
    module = torch.nn.LSTM(5, 4)
    module = torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module = prune.random_unstructured(module, "weight_ih_l0", 0.5)
    source = module if live else module.state_dict()
    found = weights_in(source)
    assert sorted(found) == sorted(torch.nn.LSTM(5, 4).state_dict())
    for name, array in found.items():
        expected = getattr(module, name).detach().numpy()
        np.testing.assert_allclose(np.asarray(array), expected, rtol=3e-7, err_msg=name)


def test_what_only_code_can_make_is_named() -> None:
    module = torch.nn.LSTM(5, 4)
    module = torch.nn.utils.parametrizations.orthogonal(module, "weight_hh_l0")
    with pytest.raises(TypeError, match=r"^check: .*remove_parametrizations"):
        _ = weights_in(module.state_dict())
    assert weights_in(module)["weight_hh_l0"].shape == (16, 4)
