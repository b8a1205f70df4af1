"""`inspect`: what it prints and writes, and what it refuses."""

import json
import re

import numpy as np
import pytest
import torch

import parity
from lstm_jax.terminal import printable
from parity.__main__ import main
from tests.given.larger_model import Model


@pytest.fixture
def checkpoint(tmp_path):
    """A training checkpoint with a whole module, an optimizer's moments and an LSTM."""
    model = Model()
    path = tmp_path / "a.ckpt"
    moments = {f"{name}": torch.zeros(3) for name in model.state_dict()}
    torch.save({"net": model, "optimizer": {"mu": moments}, "epoch": 3}, path)
    return path


def test_every_lstm_is_a_line_with_its_sizes(checkpoint, capsys):
    assert main(["inspect", str(checkpoint)]) == 0
    out = capsys.readouterr().out
    assert f"LSTMs in {checkpoint}, a torch file:" in out
    assert re.search(r"net\.lstm\. +LSTM +5 -> 4 +float32 +176\n", out)
    assert re.search(r"net\.model\.cell\. +LSTMCell +3 -> 2 +float32 +56\n", out)
    assert "not imported, 6 unknown classes: argparse.Namespace" in out
    assert "mu" not in out


def test_all_shows_every_tensor(checkpoint, capsys):
    assert main(["inspect", str(checkpoint), "--all"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"net\.mean +3 +float32\n", out)
    assert re.search(r"net\.lstm\.weight_ih_l0 +16 x 5 +float32\n", out)
    assert "optimizer.mu.lstm.weight_ih_l0" in out


def test_one_is_shown_by_prefix(checkpoint, capsys):
    assert main(["inspect", str(checkpoint), "--prefix", "net.lstm"]) == 0
    assert "cell" not in capsys.readouterr().out


def test_json_has_all_of_it(checkpoint, tmp_path, capsys):
    path = tmp_path / "new" / "a.json"
    assert main(["inspect", str(checkpoint), "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main(["inspect", str(checkpoint), "--json", str(path)]) == 0
    assert f"report: {path}" in capsys.readouterr().out
    assert json.loads(path.read_text()) == printed
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]
    assert printed["lstms"][0] == {
        "prefix": "net.lstm.",
        "kind": "LSTM",
        "input_size": 5,
        "hidden_size": 4,
        "num_layers": 1,
        "bias": True,
        "bidirectional": False,
        "proj_size": 0,
        "dtype": "float32",
        "parameters": 176,
        "not_finite": {},
        "notes": {},
    }
    for more in ("others", "of_optimizers"):
        assert printed[more] == []
    assert printed["metadata"] == {}
    assert printed["tensors"]["net.mean"] == {"shape": [3], "dtype": "float32"}
    assert "argparse.Namespace" in printed["unknown_classes"]


def test_an_lstm_that_is_not_whole_is_said_and_others_are_shown(tmp_path, capsys):
    path = tmp_path / "a.npz"
    whole = {f"a.{n}": a.numpy() for n, a in torch.nn.LSTM(3, 2).state_dict().items()}
    np.savez(path, **whole, **{"b.weight_ih_l0": whole["a.weight_ih_l0"]})
    assert main(["inspect", str(path)]) == 1
    out = capsys.readouterr().out
    assert re.search(r"a\. +LSTM +3 -> 2", out)
    assert (
        "NOT WHOLE LSTM at 'b.': missing 'weight_hh_l0'. Give the keys of one "
        "torch.nn.LSTM, no more and no less.\n"
    ) in out


def test_a_file_without_an_lstm_exits_with_1(tmp_path, capsys):
    path = tmp_path / "a.npz"
    np.savez(path, weight=np.ones(3), bias=np.ones(2))
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().out == (
        f"No LSTM in {path}, npz: no weights are named as in torch. It holds bias, "
        "weight. Show every name with --all.\n"
    )
    assert main(["inspect", str(path), "--prefix", "a", "--all"]) == 1
    assert capsys.readouterr().out.startswith(
        f"No LSTM at prefix 'a' in {path}, npz: no weights are named as in torch. It "
        "holds bias, weight.\n"
    )


def test_values_that_are_not_finite_are_counted(tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    tensors = torch.nn.LSTM(3, 2).bfloat16().state_dict()
    tensors["weight_hh_l0"][1:3, 0] = torch.nan
    tensors["bias_ih_l0"][0] = torch.inf
    parity.write_tensors(tensors, path)
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "weight_hh_l0: 2 values that are not finite\n" in out
    assert "bias_ih_l0: 1 values that are not finite\n" in out


def test_what_is_not_read_is_said(tmp_path, capsys):
    path = tmp_path / "a.pt"
    held = {f"x{place}": torch.eye(2).to_sparse() for place in range(12)}
    torch.save(torch.nn.LSTM(3, 2).state_dict() | held, path)
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "not read: x0, a sparse tensor\n" in out
    assert "and 2 tensors more\n" in out


def test_names_are_not_markup_and_cannot_steer_a_terminal(tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    prefix = "[red]\x1b[31m\x07\u202e:smile:."
    lstm = torch.nn.LSTM(3, 2).state_dict()
    parity.write_tensors({f"{prefix}{n}": a for n, a in lstm.items()}, path)
    assert main(["inspect", str(path), "--all"]) == 0
    assert "[red]?[31m???:smile:." not in capsys.readouterr().out
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "[red]?[31m??:smile:." in out
    assert "\x1b" not in out


def test_a_long_name_is_not_cut_off(tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    prefix = "decoder_of_the_sequence." * 6
    lstm = torch.nn.LSTM(3, 2).state_dict()
    parity.write_tensors({f"{prefix}{n}": a for n, a in lstm.items()}, path)
    assert main(["inspect", str(path)]) == 0
    assert f"{prefix}, LSTM, 3 -> 2, float32, 56\n" in capsys.readouterr().out


def test_json_into_a_directory_is_bad_use(checkpoint, capsys):
    assert main(["inspect", str(checkpoint), "--json", "."]) == 2
    assert capsys.readouterr().err == (
        "python -m parity: inspect: --json . must be a file: it is a directory. Name "
        "one in "
        "it.\n"
    )


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_help_fits_a_screen_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit):
        _ = main([command, "--help"])
    out = capsys.readouterr().out
    assert f"python -m parity {command} checkpoint.ckpt" in out
    assert len(out.splitlines()) <= 40


def test_printable_text_is_one_line_and_not_endless():
    assert printable("a\nb\tc\x00\u2028") == "a?b?c??"
    assert printable("x" * 300) == "x" * 197 + "..."


def test_what_the_system_says_is_in_a_sentence(monkeypatch, capsys):
    def locked(name):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr("parity.cli.inspect.read_lstms", locked)
    assert main(["inspect", "a\x1bb.pt"]) == 2
    assert capsys.readouterr().err == (
        "python -m parity: a?b.pt: permission denied, says the system. Check the "
        "path, the "
        "rights and the room on the disk.\n"
    )


def test_a_full_memory_is_a_sentence(checkpoint, monkeypatch, capsys):
    def full(_):
        raise MemoryError

    monkeypatch.setattr("parity.cli.inspect.read_lstms", full)
    assert main(["inspect", str(checkpoint)]) == 2
    assert capsys.readouterr().err == (
        "python -m parity: memory must be larger: it is full. Use a smaller model, or "
        "a machine with more.\n"
    )
