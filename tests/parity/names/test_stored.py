"""Weights in parts: as torch makes them, in files, state dicts and live modules."""

import copy

import numpy as np
import pytest
import torch
from torch.nn.utils import (
    parametrizations,
    parametrize,
    prune,
    remove_spectral_norm,
    spectral_norm,
    weight_norm,
)

import parity
from parity.__main__ import main
from parity.arrays import numpy_of
from parity.judge import tolerance
from parity.names.stored import plain
from tests.parity.frameworks.test_convert import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
NAMES = ("weight_hh_l0", "weight_ih_l1")


def normed(norm, dim):
    """Both weights under a norm, whose size is another than the weight's."""

    def apply(lstm):
        for name in NAMES:
            norm(lstm, name, dim=dim)
        with torch.no_grad():
            for name, parameter in lstm.named_parameters():
                if name.endswith(("_g", "original0")):
                    _ = parameter.mul_(torch.rand_like(parameter) + 0.5)

    return apply


def pruned(lstm):
    for name in NAMES:
        _ = prune.l1_unstructured(lstm, name, amount=0.5)


STORED = {
    "the old norm of rows": normed(weight_norm, 0),
    "the old norm of columns": normed(weight_norm, 1),
    "the old norm of all": normed(weight_norm, None),
    "the norm of rows": normed(parametrizations.weight_norm, 0),
    "the norm of columns": normed(parametrizations.weight_norm, 1),
    "pruning": pruned,
}


def weights_of(lstm):
    """What torch computes with; its hooks run before a call."""
    _ = lstm(torch.zeros(1, 1, 5))
    names = torch.nn.LSTM(5, 4, 2).state_dict()
    return {name: getattr(lstm, name).detach().clone() for name in names}


def assert_same(found, expected):
    """The same bits, in any order of the names."""
    assert_same_bits(dict(sorted(found.items())), dict(sorted(expected.items())))


def assert_near(found, expected):
    """The same to one rounding, and nothing missing."""
    assert set(found) == set(expected)
    for name, array in found.items():
        exact = tolerance.from_runs(expected[name].double().numpy()[None], steps=False)
        dtype = str(expected[name].dtype).removeprefix("torch.")
        assert tolerance.distance(numpy_of(name, array), exact, dtype).error < 2


@pytest.mark.parametrize("kind", STORED)
def test_a_weight_in_parts_is_made_as_torch_makes_it(kind, tmp_path):
    lstm = torch.nn.LSTM(5, 4, 2)
    STORED[kind](lstm)
    expected, path = weights_of(lstm), tmp_path / "a.pt"
    assert_same(parity.from_torch(lstm).params(), expected)
    assert_near(parity.from_torch(lstm.state_dict()), expected)
    torch.save({"model": {f"rnn.{n}": a for n, a in lstm.state_dict().items()}}, path)
    (found,) = parity.find_lstms(path)
    assert (found.prefix, set(found.notes)) == ("model.rnn.", set(NAMES))
    assert_near(found.params, expected)
    assert_near(parity.find_lstms(lstm)[0].params, expected)


def test_pruning_is_exact_and_a_cell_has_the_same_names():
    cell = torch.nn.LSTMCell(5, 4).bfloat16()
    _ = prune.random_unstructured(cell, "weight_hh", amount=0.5)
    found = plain(cell.state_dict())
    assert_same_bits({"x": found.tensors["weight_hh"]}, {"x": cell.weight_hh})
    assert found.notes == {"weight_hh": "weight_hh_orig times its mask of pruning"}
    assert isinstance(
        parity.from_torch(cell), type(parity.from_torch(torch.nn.LSTMCell(5, 4)))
    )


def orthogonal(lstm):
    _ = parametrizations.orthogonal(lstm, "weight_hh_l0")


def spectral(lstm):
    for name in NAMES:
        _ = parametrizations.spectral_norm(lstm, name)


def old_spectral(lstm):
    _ = spectral_norm(lstm, "weight_hh_l0")


REFUSED = {
    orthogonal: (
        "'weight_hh_l0' is stored under a parametrization, such as orthogonal, whose "
        "function is not among the weights. Call torch.nn.utils.parametrize."
        "remove_parametrizations(module, 'weight_hh_l0'), and save it again."
    ),
    spectral: (
        "'weight_hh_l0', 'weight_ih_l1' are stored under spectral_norm, whose function "
        "is not among the weights. Call torch.nn.utils.parametrize."
        "remove_parametrizations(module, 'weight_hh_l0') for each of them, and save it "
        "again."
    ),
    old_spectral: (
        "'weight_hh_l0' is stored under the old spectral_norm, whose function is not "
        "among the weights. Call torch.nn.utils.remove_spectral_norm(module, "
        "'weight_hh_l0'), and save it again."
    ),
}


@pytest.mark.parametrize("apply", REFUSED)
def test_what_a_file_cannot_tell_is_refused_with_its_cause(apply, tmp_path, capsys):
    lstm, path = torch.nn.LSTM(5, 4, 2), tmp_path / "a.pt"
    apply(lstm)
    torch.save(lstm.state_dict(), path)
    with pytest.raises(ValueError, match="stored") as caught:
        _ = parity.from_torch(lstm.state_dict())
    assert str(caught.value) == f"from_torch: {REFUSED[apply]}"
    assert main(["inspect", str(path)]) == 1
    assert f"NOT WHOLE LSTM at '': {REFUSED[apply]}\n" in capsys.readouterr().out
    assert main(["convert", str(path), str(tmp_path / "b.npz")]) == 2
    said = f"python -m parity: convert: LSTM at '': {REFUSED[apply]}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("apply", REFUSED)
def test_the_cure_of_it_works(apply, tmp_path):
    lstm = torch.nn.LSTM(5, 4, 2)
    apply(lstm)
    for name in NAMES if apply is spectral else NAMES[:1]:
        if apply is old_spectral:
            _ = remove_spectral_norm(lstm, name)
        else:
            _ = parametrize.remove_parametrizations(lstm, name)
    torch.save(lstm.state_dict(), tmp_path / "a.pt")
    (found,) = parity.find_lstms(tmp_path / "a.pt")
    assert_near(found.params, lstm.state_dict())


@pytest.mark.parametrize("apply", REFUSED)
def test_a_live_module_has_the_weights_of_evaluation_and_is_not_changed(apply):
    lstm = torch.nn.LSTM(5, 4, 2)
    apply(lstm)
    _ = lstm(torch.zeros(1, 1, 5))
    before = copy.deepcopy(lstm.state_dict())
    found = parity.from_torch(torch.nn.ModuleDict({"a": lstm}), prefix="a").params()
    assert lstm.training
    assert_same_bits(lstm.state_dict(), before)
    expected = weights_of(lstm.eval())
    assert_same(found, expected)


class WeightDrop(torch.nn.Module):
    """Dropout on a weight of an LSTM: the raw one out here, the dropped one within."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0.detach().clone()
        self.weight_hh_l0_raw = torch.nn.Parameter(raw)
        module.weight_hh_l0.data = torch.nn.functional.dropout(raw)

    def forward(self, xs):
        """Without dropout."""
        self.module.weight_hh_l0.data = self.weight_hh_l0_raw
        return self.module(xs)


NOTE = (
    "rnns.0.weight_hh_l0_raw, the weight before dropout; rnns.0.module.weight_hh_l0, a "
    "copy under dropout, is left out"
)


def test_the_raw_weight_goes_before_its_copy_under_dropout(tmp_path, capsys):
    lstm = torch.nn.LSTM(5, 4)
    expected = {n: a.clone() for n, a in lstm.state_dict().items()}
    model = torch.nn.ModuleDict({"rnns": torch.nn.ModuleList([WeightDrop(lstm)])})
    dropped = lstm.state_dict()["weight_hh_l0"]
    assert not torch.equal(dropped, expected["weight_hh_l0"])
    path = tmp_path / "a.pt"
    torch.save(model.state_dict(), path)
    for prefix in ("rnns.0", "rnns.0.module", "0."):
        (found,) = parity.find_lstms(path, prefix)
        assert found.notes == {"weight_hh_l0": NOTE}
        assert_same(found.params, expected)
    for source in (model, model.state_dict()):
        ours = parity.from_torch(source, prefix="rnns.0")
        ours = ours if isinstance(ours, dict) else ours.params()
        assert_same(ours, expected)
    assert main(["inspect", str(path)]) == 0
    assert f"rnns.0.module.weight_hh_l0: {NOTE}\n" in capsys.readouterr().out
    assert main(["convert", str(path), str(tmp_path / "b.npz"), "--keep-rest"]) == 0
    assert f"rnns.0.module.weight_hh_l0: {NOTE}\n" in capsys.readouterr().out
    written = parity.read_tensors(tmp_path / "b.npz")
    assert set(written) == {f"rnns.0.module.{name}" for name in expected}
    assert_same_bits(
        {"x": written["rnns.0.module.weight_hh_l0"]}, {"x": expected["weight_hh_l0"]}
    )


@pytest.mark.parametrize("inner", ["", "module.", "rnn."])
def test_a_raw_weight_alone_is_the_weight(inner):
    state = torch.nn.LSTM(5, 4).state_dict()
    tensors = {f"a.{inner}{name}": array for name, array in state.items()}
    tensors["a.weight_hh_l0_raw"] = tensors.pop(f"a.{inner}weight_hh_l0")
    (found,) = parity.find_lstms(tensors)
    assert found.prefix == f"a.{inner}"
    assert found.notes == {
        "weight_hh_l0": "a.weight_hh_l0_raw, the weight before dropout"
    }
    assert_same_bits({"x": found.params["weight_hh_l0"]}, {"x": state["weight_hh_l0"]})


def test_what_is_no_whole_form_and_what_is_of_no_lstm_stays_as_it_is():
    names = [
        "conv.weight_g",
        "conv.weight_v",
        "a.weight_hh_l0_g",
        "a.weight_u",
        "x_raw",
    ]
    tensors = {name: np.ones(1) for name in names}
    assert list(plain(tensors).tensors) == names


def test_two_parts_that_are_no_norm_are_refused():
    parts = {
        f"parametrizations.weight_hh_l0.original{k}": np.ones((8, 2)) for k in (0, 1)
    }
    assert list(plain(parts).refused) == ["weight_hh_l0"]
