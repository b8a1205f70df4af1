"""LSTMs found among the tensors of larger models, by torch's names."""

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations

import parity
from lstm_jax import linen
from parity.__main__ import main
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


def normed(module):
    """Under weight norm, as is all that it is in."""
    for name in [n for n, _ in module.named_parameters() if n.startswith("weight")]:
        _ = parametrizations.weight_norm(module, name)
    return module


OTHERS = {
    "GRU": (torch.nn.GRU(5, 4, 2, bidirectional=True), "a GRU (three gates)"),
    "GRUCell": (torch.nn.GRUCell(5, 4), "a GRUCell (three gates)"),
    "RNN": (torch.nn.RNN(5, 4, bias=False), "an RNN (one gate)"),
    "RNNCell": (torch.nn.RNNCell(5, 4), "an RNNCell (one gate)"),
    "normed GRU": (normed(torch.nn.GRU(5, 4, 2)), "a GRU (three gates)"),
    "orthogonal GRU": (
        parametrizations.orthogonal(torch.nn.GRU(5, 4), "weight_hh_l0"),
        "a GRU (three gates)",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_lstm_is_named(kind, tmp_path, capsys):
    module, words = OTHERS[kind]
    path, to = tmp_path / "a.pt", str(tmp_path / "b.npz")
    torch.save({f"enc.rnn.{n}": a for n, a in module.state_dict().items()}, path)
    assert parity.find_lstms(path) == []
    for command in (["convert", str(path), to], ["check", str(path)]):
        assert main(command) == 2
        assert capsys.readouterr().err == (
            f"python -m parity: {command[0]}: {path} must hold an LSTM: 'enc.rnn.' is "
            f"{words}. Give another file or prefix.\n"
        )
    assert main(["inspect", str(path), "--prefix", "rnn"]) == 1
    assert capsys.readouterr().out == (
        f"No LSTM at prefix 'rnn' in {path}, a torch file: 'enc.rnn.' is {words}. Show "
        "every name with --all.\n"
    )


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_lstm_is_named_by_from_torch(kind):
    module, words = OTHERS[kind]
    article_and_name, gates = words.removesuffix(")").split(" (")
    name = article_and_name.split()[1]
    for source in (module, torch.nn.DataParallel(module)):
        with pytest.raises(TypeError) as caught:
            _ = parity.from_torch(source)
        assert str(caught.value) == (
            f"from_torch: prefix='' must be an LSTM, LSTMCell or LSTMModel, not "
            f"{name}: it has {gates}. Give a module with an LSTM."
        )
    if kind != "orthogonal GRU":
        with pytest.raises(ValueError, match="gate") as caught:
            _ = parity.from_torch(module.state_dict())
        assert str(caught.value) == (
            f"from_torch: prefix='' must be of an LSTM, not of {article_and_name}: it "
            f"has {gates}. Use another prefix, or another state dict."
        )


def test_many_that_are_no_lstms_are_counted(tmp_path, capsys):
    path, gru = tmp_path / "a.pt", torch.nn.GRU(5, 4).state_dict()
    held = {f"{k}.{n}": a for k in range(9) for n, a in gru.items()}
    torch.save(held, path)
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().out == (
        f"No LSTM in {path}, a torch file: '0.' is a GRU (three gates); '1.' is a GRU "
        "(three gates); '2.' is a GRU (three gates); 6 more are no LSTMs either. Show "
        "every name with --all.\n"
    )
    torch.save(held | torch.nn.LSTM(5, 4).state_dict(), path)
    assert main(["inspect", str(path)]) == 0
    assert "'8.' is a GRU (three gates)\n" in capsys.readouterr().out


def test_a_path_a_module_and_ours_are_searched(tmp_path):
    lstm, path = torch.nn.LSTM(5, 4), tmp_path / "a.safetensors"
    outer = torch.nn.ModuleDict({"a": lstm})
    for source in (outer, parity.from_torch(lstm)):
        parity.write_tensors(source, path)
        for held in (path, str(path), source):
            (found,) = parity.find_lstms(held)
            expected = dict(sorted(lstm.state_dict().items()))
            assert_same_bits(dict(sorted(found.params.items())), expected)


def test_a_very_wrong_file_is_not_a_page_of_names(tmp_path, capsys):
    path, to = tmp_path / "a.pt", str(tmp_path / "b.npz")
    wrong = {f"weight_ih_l{k}": np.ones((8, 3)) for k in range(200)}
    wrong["weight_hh_l0"] = np.ones((8, 2))
    torch.save(wrong, path)
    assert main(["convert", str(path), to]) == 2
    said = capsys.readouterr().err
    assert "'weight_hh_l111', 'weight_hh_l112', and 183 more. Give" in said
    assert len(said) < 500
    torch.save({f"{'deep.' * 90}{k}": np.ones(1) for k in range(200)}, path)
    for command in (["convert", str(path), to], ["inspect", str(path)]):
        assert main(command) != 0
        captured = capsys.readouterr()
        assert "and 194 more" in captured.err or "and 196 more" in captured.out
        assert len(captured.err + captured.out) < 800


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(TypeError) as caught:
        _ = parity.find_lstms(linen.LSTM(5, 4))
    assert str(caught.value) == (
        "find_lstms: source must be a torch module or a state dict, not LSTM: its "
        "weights are variables. Use find_lstms(variables['params'])."
    )
    with pytest.raises(TypeError) as caught:
        _ = parity.find_lstms(7)
    assert str(caught.value) == (
        "find_lstms: source must be a torch module or a state dict, not int: weights "
        "are read from it. Give one of these."
    )


@pytest.mark.parametrize("where", ["optimizer", "opt_state.0.mu", "exp_avg"])
def test_what_an_optimizer_keeps_is_no_lstm(where):
    assert parity.find_lstms({f"{where}.{n}": a for n, a in TENSORS.items()}) == []
