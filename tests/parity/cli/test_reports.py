"""Where commands write their reports: never over a file that is none."""

import numpy as np
import pytest
import torch

import parity
from parity.__main__ import main
from parity.cli.options import check_report


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Weights, a link to them, a checkpoint of Orbax and a file of notes."""
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.LSTM(3, 2).state_dict(), "a.pt")
    torch.save(torch.nn.LSTM(3, 2).state_dict(), "a.json")
    (tmp_path / "link.json").symlink_to("a.pt")
    assert main(["convert", "a.pt", "a.orbax"]) == 0
    _ = (tmp_path / "notes.txt").write_text("kept")
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SUFFIX = "must end in .json: the suffix tells what is in it. Rename it."
SOURCE = "must not be FILE: it would be replaced. Name another."
REFUSED = {
    "inspect a.pt --json a.pt": f"inspect: --json a.pt {SOURCE}",
    "inspect a.pt --json link.json": f"inspect: --json link.json {SOURCE}",
    "inspect a.json --json a.json": f"inspect: --json a.json {SOURCE}",
    "inspect a.pt --json notes.txt": f"inspect: --json notes.txt {SUFFIX}",
    "inspect a.json --json a.pt": f"inspect: --json a.pt {SUFFIX}",
    "inspect a.orbax --json a.orbax/_METADATA": (
        "inspect: --json a.orbax/_METADATA must not be in FILE: it is a checkpoint. "
        "Name another place."
    ),
    "check a.orbax --json a.orbax/new/b.json": (
        "check: --json a.orbax/new/b.json must not be in FILE: it is a checkpoint. "
        "Name another place."
    ),
    "check a.pt --json link.json": f"check: --json link.json {SOURCE}",
    "check a.pt --html -": (
        "check: --html - must end in .html, .htm: the suffix tells what is in it. "
        "Rename it."
    ),
    "bench --quick --json -": (
        "bench: --json - must end in .jsonl, .json: the suffix tells what is in it. "
        "Rename it."
    ),
    "bench --quick --json notes.txt": (
        "bench: --json notes.txt must end in .jsonl, .json: the suffix tells what is "
        "in it. Rename it."
    ),
}


def test_a_report_takes_no_place_of_anything_else(files, capsys):
    before = contents(files)
    for command, sentence in REFUSED.items():
        assert main(command.split()) == 2
        assert capsys.readouterr().err == f"python -m parity: {sentence}\n"
    assert contents(files) == before


def test_a_report_is_replaced_by_a_newer_one(files, capsys):
    for _ in range(2):
        assert main(["inspect", "a.pt", "--json", "new/report.json"]) == 0
        assert "report: new/report.json" in capsys.readouterr().out
    check_report("bench", "json", files / "results.jsonl", (".jsonl",), None)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_the_options_of_a_whole_module_are_said_to_be_there(files, capsys):
    module = torch.nn.LSTM(3, 2, 2, batch_first=True, dropout=0.3)
    torch.save(module, "whole.pt")
    torch.jit.script(module).save("whole.jit")
    torch.jit.script(torch.nn.LSTM(3, 2)).save("second.jit")
    said = (
        "not read: batch_first and dropout, which the module in the file has beside "
        "its weights. Give them to the module, as in LSTM.from_params(params, "
        "batch_first=True)\n"
    )
    for name in ("whole.pt", "whole.jit", "second.jit"):
        assert main(["inspect", name]) == 0
        assert said in capsys.readouterr().out
    assert main(["convert", "whole.pt", "whole.npz"]) == 0
    assert said in capsys.readouterr().out
    assert main(["inspect", "a.pt"]) == 0
    assert "not in the file: batch_first and dropout" in capsys.readouterr().out


def test_tensors_that_are_there_and_not_read_are_not_none(files, capsys):
    held = {"weight_ih_l0": torch.eye(2).to_sparse()}
    torch.save(held, "sparse.pt")
    np.savez("objects.npz", x=np.array([1, None], dtype=object))
    why = "none of its tensors can be read here, weight_ih_l0 is a sparse tensor"
    cure = (
        "Save plain ones: to_dense() of a sparse one, dequantize() of a quantised one."
    )
    assert main(["inspect", "sparse.pt"]) == 1
    said = f"No LSTM in sparse.pt, a torch file: {why}. {cure}\n"
    assert capsys.readouterr().out.startswith(said)
    for read in (parity.read_tensors, parity.find_lstms):
        with pytest.raises(ValueError, match="must hold plain tensors") as caught:
            _ = read("sparse.pt")
        expected = f"sparse.pt must hold plain tensors: {why}. {cure}"
        assert str(caught.value) == f"{read.__name__}: {expected}"
    with pytest.raises(ValueError, match=r"x is an array of \|O, not of numbers"):
        _ = parity.read_tensors("objects.npz")
    torch.save({"epoch": 3}, "none.pt")
    assert parity.read_tensors("none.pt") == {}


def test_what_is_not_listed_is_counted(files, capsys):
    for name in "bcdef":
        _ = (files / f"{name}.npz").write_bytes(b"PK")
    assert main(["inspect", "."]) == 2
    said = "Name one in it: 'a.orbax', 'a.pt', 'b.npz' and 4 more.\n"
    assert capsys.readouterr().err.endswith(said)
    torch.save(torch.nn.LSTM(3, 2), "whole.pt")
    assert main(["inspect", "whole.pt"]) == 0
    assert "not imported, 1 unknown class: torch.nn" in capsys.readouterr().out
