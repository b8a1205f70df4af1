"""`convert`: what is left out, what names lose, and the options beside the tensors."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import lstm_jax
import parity
from parity.__main__ import main
from parity.files.read import read
from tests.given.larger_model import Model
from tests.parity.cli.test_convert_files import run


@pytest.fixture
def checkpoint(tmp_path):
    """A training checkpoint: a wrapped model, its optimizer, and how far it was."""
    path = tmp_path / "a.ckpt"
    model = torch.nn.DataParallel(Model())
    optimizer = torch.optim.Adam(model.parameters())
    loss = torch.stack([p.sum() for p in model.parameters()]).sum()
    _ = loss.backward()
    _ = optimizer.step()
    states = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({**states, "epoch": 3, "loss": torch.tensor(0.5)}, path)
    return path


def test_the_optimizer_may_be_left_out_and_a_start_of_names(checkpoint, tmp_path):
    path = tmp_path / "b.pt"
    assert run(checkpoint, path, "--keep-rest") == 0
    kept = parity.read_tensors(path).keys()
    assert any(name.startswith("optimizer.state.") for name in kept)
    assert run(checkpoint, path, "--keep-rest", "--no-optimizer", "--force") == 0
    without = {name for name in kept if not name.startswith("optimizer.")}
    assert parity.read_tensors(path).keys() == without > {"loss"}
    for strip in ("state_dict.module.", "state_dict.module", "module"):
        assert run(checkpoint, path, "--keep-rest", "--strip", strip, "--force") == 0
        keys = Model().load_state_dict(torch.load(path, weights_only=True))
        assert not keys.missing_keys
    assert run(checkpoint, path, "--strip", "state_dict", "--force") == 0
    names = parity.read_tensors(path)
    assert {name.rpartition(".")[0] for name in names} == {
        "module.lstm",
        "module.model.cell",
    }


def test_what_is_not_read_does_not_matter_where_it_is_left_out(tmp_path):
    sparse, lstm = torch.eye(2).to_sparse(), torch.nn.LSTM(3, 2).state_dict()
    torch.save({"m": lstm, "optimizer": {"x": sparse}, "y": sparse}, tmp_path / "a.pt")
    path, more = tmp_path / "b.pt", ("--keep-rest", "--no-optimizer")
    assert run(tmp_path / "a.pt", path, *more) == 2
    assert run(tmp_path / "a.pt", path, *more, "--strip", "m") == 0
    assert parity.read_tensors(path).keys() == lstm.keys()


CONFIG = (
    '{"format": 1, "class": "LSTM", "options": {"batch_first": true, "dropout": 0.5}}'
)
OPTIONS = "options: LSTM(batch_first=True, dropout=0.5)\n"
NO_OPTIONS = (
    "not in the file: batch_first and dropout, which are no weights. Give them to the "
    "module, as in LSTM.from_params(params, batch_first=True)\n"
)


CELL_OPTIONS = (
    "an LSTMCell has no options that are not in the file. Use "
    "LSTMCell.from_params(params)\n"
)


@pytest.mark.parametrize("prefix", [None, "a", "b"])
def test_the_advice_is_for_the_kind_that_is_there(prefix, tmp_path, capsys):
    tensors = {f"a.{n}": a for n, a in torch.nn.LSTM(5, 4).state_dict().items()}
    tensors |= {f"b.{n}": a for n, a in torch.nn.LSTMCell(5, 4).state_dict().items()}
    path, to = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    parity.write_tensors(tensors, path)
    chosen = [] if prefix is None else ["--prefix", prefix]
    expected = NO_OPTIONS * (prefix != "b") + CELL_OPTIONS * (prefix != "a")
    for command in (["inspect", str(path)], ["convert", str(path), str(to)]):
        assert main([*command, *chosen]) == 0
        out = capsys.readouterr().out
        assert out.endswith(expected)
        assert out.count("from_params") == expected.count("from_params")
    if prefix == "b":  # the advice, followed
        cell = lstm_jax.LSTMCell.from_params(parity.read_tensors(to))
        assert (cell.input_size, cell.hidden_size) == (5, 4)


@pytest.fixture
def described(tmp_path):
    """An LSTM with its options beside it."""
    path, texts = tmp_path / "a.safetensors", {"config": CONFIG, "author": "me"}
    save_file(torch.nn.LSTM(5, 4).state_dict(), path, metadata=texts)
    return path


def test_options_are_shown_where_they_are_and_kept(described, tmp_path, capsys):
    path = tmp_path / "b.safetensors"
    assert main(["inspect", str(described)]) == 0
    assert capsys.readouterr().out.endswith(OPTIONS)
    assert run(described, path) == 0
    assert capsys.readouterr().out.endswith(OPTIONS)
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt", "config": CONFIG, "author": "me"}
    assert run(described, tmp_path / "b.npz") == 0
    assert capsys.readouterr().out.endswith(NO_OPTIONS)
    assert main(["inspect", str(tmp_path / "b.npz")]) == 0
    assert capsys.readouterr().out.endswith(NO_OPTIONS)


@pytest.mark.parametrize("change", ["--dtype float16", "--prefix lstm"])
def test_options_are_not_kept_for_other_tensors(change, tmp_path, capsys):
    path, to = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    tensors = {f"lstm.{n}": a for n, a in torch.nn.LSTM(5, 4).state_dict().items()}
    save_file(tensors, path, metadata={"config": CONFIG, "author": "me"})
    assert run(path, to, *change.split()) == 0
    assert capsys.readouterr().out.endswith(
        "not kept: the options beside the tensors, which are for others than these\n"
    )
    assert read(to).metadata == {"format": "pt", "author": "me"}
    assert main(["inspect", str(to)]) == 0
    assert capsys.readouterr().out.endswith(NO_OPTIONS)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[]", "options: its config is no JSON object\n"),
        ('{"class": "\\u001b[31m"}', "options: ?[31m()\n"),
    ],
)
def test_options_that_are_none_do_no_harm(config, said, tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    save_file(torch.nn.LSTM(5, 4).state_dict(), path, metadata={"config": config})
    assert main(["inspect", str(path)]) == 0
    assert capsys.readouterr().out.endswith(said)
