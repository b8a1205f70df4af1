"""The command line: verdicts, exit codes, and one sentence for bad use."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import parity
from parity.__main__ import main
from parity.judge.cases import CASES


@pytest.fixture
def lstm_file(tmp_path):
    """A larger model with an LSTM and a cell in it."""
    model = torch.nn.ModuleDict(
        {"encoder": torch.nn.LSTM(5, 4), "cell": torch.nn.LSTMCell(3, 2)}
    )
    path = tmp_path / "model.safetensors"
    parity.write_tensors(model.state_dict(), path)
    return path


def test_a_file_is_checked_with_a_line_for_each_tensor(lstm_file, capsys):
    assert main(["check", str(lstm_file)]) == 0
    out = capsys.readouterr().out
    assert "LSTM at 'encoder.'" in out
    assert "LSTMCell at 'cell.'" in out
    for name in ("ys", "h_n", "c_n", "d_xs", "d_h0", "d_c0", "d_weight_hh_l0"):
        assert len(re.findall(rf"^ {name} ", out, re.MULTILINE)) == 4
    assert "ok: 2 of 2 LSTMs and 124 of 124 comparisons within budget" in out


@pytest.mark.parametrize("prefix", ["cell.", "cell"])
def test_one_lstm_of_a_file_is_checked_by_prefix(lstm_file, prefix, capsys):
    arguments = ["check", str(lstm_file), "--prefix", prefix, "--dtype", "float32"]
    assert main(arguments) == 0
    assert "ok: 1 of 1 LSTMs" in capsys.readouterr().out


def test_draws_are_checked_and_written_as_json(tmp_path, capsys):
    path = tmp_path / "new" / "report.json"
    arguments = ["check", "--random", "2", "--seed", "3", "--start", "1"]
    assert main([*arguments, "--json", str(path)]) == 0
    assert "ok: 2 of 2 LSTMs" in capsys.readouterr().out
    reports = json.loads(path.read_text())
    assert [report["title"] for report in reports] == ["random 3:1", "random 3:2"]
    assert all(report["ok"] for report in reports)
    assert [one.name for one in path.parent.iterdir()] == ["report.json"]


def test_a_failure_exits_with_1_and_the_line_that_repeats_it(capsys, monkeypatch):
    honest = parity.check_case

    def wrong(case, **settings):
        report = honest(case, **settings)
        rows = [
            parity.Row(row.tensor, row.cotangents, row.found, None, budget=-1.0)
            for row in report.rows
        ]
        return parity.Report(report.title, rows, ["Some advice."])

    monkeypatch.setattr("parity.cli.check.check_case", wrong)
    assert main(["check", "--random", "1", "--seed", "3", "--start", "1"]) == 1
    out = capsys.readouterr().out
    assert "python -m parity check --random 1 --seed 3 --start 1" in out
    assert "FAIL: 0 of 1 LSTMs" in out
    assert "Some advice." in out


def test_without_arguments_the_cases_are_checked(capsys, monkeypatch):
    monkeypatch.setattr("parity.cli.check.CASES", CASES[:2])
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "single layer" in out
    assert "no bias" in out
    assert "ok: 2 of 2 LSTMs" in out


BAD = {
    "--device tpu": (
        "check: --device tpu must be a kind that jax has here: it has cpu. Use one of "
        "these."
    ),
    "nothing.safetensors": (
        "nothing.safetensors: there is no such file. Check the path; quote it if it "
        "has spaces."
    ),
    "--prefix a.": (
        "check: --prefix must come with FILE: it does nothing by itself. Leave it out."
    ),
    "--random 2 --dtype float64": (
        "check: --dtype must come with FILE: it does nothing by itself. Leave it out."
    ),
    "--start 3": (
        "check: --start must come with --random: it does nothing by itself. Leave it "
        "out."
    ),
    "--batch-first": (
        "check: --batch-first must come with --input: it does nothing by itself. Leave "
        "it out."
    ),
    "--input x.npy": (
        "check: --input must come with FILE: it does nothing by itself. Leave it out."
    ),
    "--html .": ("check: --html . must be a file: it is a directory. Name one in it."),
    "--plot .": ("check: --plot . must be a file: it is a directory. Name one in it."),
    "--plot error.gif": (
        "check: --plot error.gif must end in .png, .svg, .pdf: the suffix tells what "
        "is in it. Rename it."
    ),
    "--json .": ("check: --json . must be a file: it is a directory. Name one in it."),
    "x.pt --random 3": (
        "check: FILE and --random must not both be given: a draw has its own weights. "
        "Leave out one."
    ),
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_use_is_one_sentence_and_exit_code_2(arguments, capsys):
    assert main(["check", *arguments.split()]) == 2
    assert capsys.readouterr().err == f"python -m parity: {BAD[arguments]}\n"


def test_a_file_without_an_lstm_is_bad_use(tmp_path, capsys):
    path = tmp_path / "no.safetensors"
    parity.write_tensors({"b": np.ones(2), "a": np.ones(2)}, path)
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: check: {path} must hold an LSTM: weights named as in "
        "torch, "
        "weight_ih_l0 or weight_ih. It holds a, b. Give another file or prefix.\n"
    )


REFUSED = [[], ["nonsense"], ["check", "--random", "0"], ["check", "--seed", "-1"]]


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_argparse_refuses_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        _ = main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m parity" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["check"]])
def test_help_fits_a_screen_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit):
        _ = main([*command, "--help"])
    out = capsys.readouterr().out
    assert "python -m parity check --random 300" in out
    assert len(out.splitlines()) <= 40


def test_names_from_a_file_are_not_markup(tmp_path, capsys):
    path = tmp_path / "odd.safetensors"
    state_dict = torch.nn.LSTM(3, 2).state_dict()
    tensors = {f"[red]x[/].{name}": array for name, array in state_dict.items()}
    parity.write_tensors(tensors, path)
    assert main(["check", str(path)]) == 0
    assert "'[red]x[/].'" in capsys.readouterr().out


def test_an_empty_name_is_not_no_name(capsys):
    assert main(["check", ""]) == 2
    assert capsys.readouterr().err.startswith("python -m parity: . is a directory")


def test_json_goes_through_links_and_into_pipes(lstm_file, tmp_path, capsys):
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    _ = target.write_text("old")
    link.symlink_to(target)
    arguments = ["check", str(lstm_file), "--prefix", "cell", "--json"]
    assert main([*arguments, str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(target.read_text())[0]["ok"]
    assert main([*arguments, "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()
    assert "report: /dev/null" in capsys.readouterr().out
