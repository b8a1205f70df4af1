"""One rule of prefixes: for files, mappings, modules and each command."""

from typing import Any

import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.__main__ import main
from parity.names.prefixes import is_of_optimizer, listed, matching, unwrapped
from tests.parity.frameworks.test_convert import assert_same_bits

PLACES = {
    ("encoder", ("encoder.", "decoder.encoder.")): ["encoder."],
    ("encoder.", ("a.module.encoder.",)): ["a.module.encoder."],
    ("encoder", ("module.encoder.", "a.encoder.")): ["module.encoder."],
    ("a.encoder", ("a._orig_mod.encoder.", "x.a.encoder.")): ["a._orig_mod.encoder."],
    ("encoder", ("a.encoder.", "b.encoder.")): ["a.encoder.", "b.encoder."],
    ("coder", ("encoder.",)): [],
    ("my_", ("my_", "x.my_")): ["my_"],
    ("", ("module.", "a.")): ["module."],
    ("", ("a.",)): [],
    ("module", ("a.", "b.")): [],
    ("module", ("", "a.module.", "a.b.")): ["a.module."],
    ("module", ("", "a.")): [""],
    ("lstm", ("opt_state.0.mu.lstm.", "params.lstm.")): ["params.lstm."],
    ("lstm", ("opt_state.0.mu.lstm.",)): [],
    ("mu.lstm", ("opt_state.0.mu.lstm.",)): [],
    ("opt.lstm", ("opt.lstm.", "lstm.")): ["opt.lstm."],
    ("optimizer.lstm", ("state.module.optimizer.lstm.",)): [
        "state.module.optimizer.lstm."
    ],
}


@pytest.mark.parametrize(("prefix", "places"), PLACES)
def test_a_prefix_is_exact_or_the_end_of_one(prefix, places):
    assert matching(prefix, places) == PLACES[prefix, places]


def test_names_are_listed_and_not_without_end():
    assert listed([f"{k}." for k in range(9)]) == (
        "'0.', '1.', '2.', '3.', '4.', '5.' and 3 more"
    )
    assert len(listed(["x" * 4000] * 4000)) < 500
    assert listed([]) == "nothing"


def test_only_a_wrapper_around_everything_is_left_out():
    assert unwrapped({"module._orig_mod.a": 1, "module._orig_mod.b": 2}) == {
        "a": 1,
        "b": 2,
    }
    for kept in ({"module.a": 1, "b": 2}, {"module": 1}, {"net.a": 1}, {}):
        assert unwrapped(kept) == kept


LSTM = torch.nn.LSTM(5, 4)
STATE = LSTM.state_dict()
DEEP = {
    "state_dict": {f"model.module.encoder.{n}": a for n, a in STATE.items()},
    "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
    "epoch": 3,
}


@pytest.mark.parametrize("prefix", ["encoder", "model.encoder.", "module.encoder"])
def test_the_end_of_a_prefix_is_enough_everywhere(prefix, tmp_path, capsys):
    path = tmp_path / "a.ckpt"
    torch.save(DEEP, path)
    for source in (path, str(path), DEEP):
        (found,) = parity.find_lstms(source, prefix)
        assert found.prefix == "state_dict.model.module.encoder."
    assert_same_bits(parity.from_torch(DEEP, prefix=prefix), STATE)
    assert main(["inspect", str(path), "--prefix", prefix]) == 0
    assert (
        main(["convert", str(path), str(tmp_path / "b.npz"), "--prefix", prefix]) == 0
    )
    assert parity.read_tensors(tmp_path / "b.npz").keys() == STATE.keys()
    assert "5 -> 4" in capsys.readouterr().out


def test_a_prefix_that_is_nowhere_is_told_where_the_lstms_are(tmp_path, capsys):
    path = tmp_path / "a.ckpt"
    torch.save(DEEP, path)
    assert (
        main(["convert", str(path), str(tmp_path / "b.npz"), "--prefix", "decoder"])
        == 2
    )
    assert capsys.readouterr().err == (
        f"python -m parity: convert: {path} must hold an LSTM at prefix 'decoder': its "
        "LSTMs are at 'state_dict.model.module.encoder.'. Give one of these prefixes.\n"
    )
    assert main(["inspect", str(path), "--prefix", "decoder"]) == 1
    assert capsys.readouterr().out == (
        f"No LSTM at prefix 'decoder' in {path}, a torch file: its LSTMs are at "
        "'state_dict.model.module.encoder.'. Show every name with --all.\n"
    )
    with pytest.raises(ValueError, match="decoder") as caught:
        _ = parity.from_torch(DEEP, prefix="decoder")
    assert str(caught.value) == (
        "from_torch: prefix='decoder' must be where a part of the state dict starts: "
        "it has an LSTM at 'state_dict.model.module.encoder.'. Use one of these."
    )
    with pytest.raises(ValueError, match="fc") as caught:
        _ = parity.from_torch({"weight": torch.ones(1)}, prefix="fc")
    assert str(caught.value) == (
        "from_torch: prefix='fc' must be where a part of the state dict starts: it has "
        "'weight'. Leave the prefix out."
    )


def test_a_prefix_of_several_is_refused_and_they_are_listed():
    inner = {"a": LSTM, "b": torch.nn.LSTM(5, 4)}
    inner = {k: torch.nn.ModuleDict({"rnn": module}) for k, module in inner.items()}
    two = torch.nn.ModuleDict(inner)
    for source in (two, two.state_dict()):
        with pytest.raises(ValueError, match="rnn") as caught:
            _ = parity.from_torch(source, prefix="rnn")
        assert str(caught.value) == (
            "from_torch: prefix='rnn' must be of one part of the source: there are "
            "'a.rnn.', 'b.rnn.'. Use one of these."
        )
        found = parity.from_torch(source, prefix="a.rnn.")
        found = found if isinstance(found, dict) else found.params()
        assert_same_bits(found, STATE)


class Wrapped(torch.nn.Module):
    """A module within one, under the name that a wrapper gives it."""

    def __init__(self, name, module):
        super().__init__()
        self.add_module(name, module)
        self.register_buffer("n_averaged", torch.tensor(0))


def compiled(module) -> Any:
    """By torch.compile, which compiles nothing before it is called."""
    return torch.compile(module, backend="eager")


def wrappers():
    yield "DataParallel", torch.nn.DataParallel
    yield "torch.compile", compiled
    yield "AveragedModel", torch.optim.swa_utils.AveragedModel
    yield "two", lambda module: torch.nn.DataParallel(compiled(module))
    for name in ("_fsdp_wrapped_module", "_checkpoint_wrapped_module"):
        yield name, lambda module, name=name: Wrapped(name, module)


WRAPPERS = dict(wrappers())


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_do_not_count(wrap):
    wrapped = wrap(LSTM)
    ours = parity.from_torch(wrapped)
    assert isinstance(ours, lstm_jax.LSTM)
    assert_same_bits(ours.params(), STATE)
    outer = torch.nn.ModuleDict({"encoder": wrapped})
    assert_same_bits(parity.from_torch(outer, prefix="encoder").params(), STATE)
    (found,) = parity.find_lstms(outer, "encoder")
    assert_same_bits(parity.from_torch(outer.state_dict(), prefix=found.prefix), STATE)


def test_the_names_that_activation_checkpointing_hides_are_found():
    from torch.distributed.algorithms._checkpoint import checkpoint_wrapper

    outer = torch.nn.ModuleDict({"a": checkpoint_wrapper.checkpoint_wrapper(LSTM)})
    assert "a.weight_ih_l0" in outer.state_dict()
    assert_same_bits(parity.from_torch(outer, prefix="a").params(), STATE)


def test_a_state_dict_of_a_wrapper_loses_its_name():
    found = parity.from_torch(torch.nn.DataParallel(LSTM).state_dict())
    assert_same_bits(found, STATE)


@pytest.mark.parametrize("where", ["optimizer", "optim", "opt"])
def test_an_lstm_of_an_optimizer_is_reached_by_its_prefix(where, tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    parity.write_tensors({f"{where}.lstm.{n}": a for n, a in STATE.items()}, path)
    assert parity.find_lstms(path) == []
    for prefix in (f"{where}.lstm.", f"{where}.lstm", where + ".lstm"):
        (found,) = parity.find_lstms(path, prefix)
        assert found.prefix == f"{where}.lstm."
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().out == (
        f"No LSTM in {path}, safetensors: passed over as an optimizer's: "
        f"'{where}.lstm.'. Show every name with --all.\n"
    )
    assert main(["convert", str(path), str(tmp_path / "b.npz")]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: convert: {path} must hold an LSTM: passed over as an "
        f"optimizer's: '{where}.lstm.'. Give one of these prefixes.\n"
    )
    cure = ["--prefix", f"{where}.lstm."]
    assert main(["convert", str(path), str(tmp_path / "b.npz"), *cure]) == 0
    assert main(["inspect", str(path), *cure]) == 0


def test_moments_beside_an_lstm_are_said_to_be_passed_over(tmp_path, capsys):
    held = {"params": {"lstm": STATE}, "opt_state": {"0": {"mu": {"lstm": STATE}}}}
    torch.save(held, tmp_path / "a.pt")
    assert main(["inspect", str(tmp_path / "a.pt")]) == 0
    out = capsys.readouterr().out
    assert "passed over as an optimizer's: 'opt_state.0.mu.lstm.'\n" in out
    (found,) = parity.find_lstms(held, "lstm")
    assert found.prefix == "params.lstm."


def test_only_a_whole_name_is_an_optimizers():
    assert is_of_optimizer("a.optimizer_states.0.x")
    assert not is_of_optimizer("optimal.optics.lstm.")


def test_a_mapping_of_arrays_of_numpy_is_searched_too():
    arrays = {f"a.{n}": np.asarray(a) for n, a in STATE.items()}
    assert parity.find_lstms({"x": arrays})[0].prefix == "x.a."
