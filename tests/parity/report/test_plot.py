"""The figure for papers: each format, and what is said without matplotlib."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import parity
from parity.__main__ import main
from parity.report import plot

STARTS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", STARTS)
def test_a_figure_is_drawn_in_each_format(suffix, tmp_path, capsys):
    path = tmp_path / f"error{suffix}"
    arguments = ["check", "--random", "1", "--seed", "3", "--start", "1"]
    assert main([*arguments, "--plot", str(path)]) == 0
    assert path.read_bytes().startswith(STARTS[suffix])
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_figure_names_each_tensor_and_both_sides():
    report = parity.check(torch.nn.LSTM(3, 2))
    rows = [replace(row, torch=None, torch_profile=()) for row in report.rows]
    for reports in ([report], [replace(report, rows=rows)], []):
        text = plot.figure(reports, ".svg").decode()
        for row in reports[0].rows if reports else []:
            assert f"<!-- {row.tensor} -->" in text
    assert "<!-- torch -->" in plot.figure([report], ".svg").decode()
    assert "<!-- budget 32 -->" in plot.figure([report], ".svg").decode()


@pytest.mark.usefixtures("no_advice")
def test_what_is_infinitely_wrong_is_drawn_too():
    def broken(params, xs, state):
        return xs[..., :2] * np.nan, state

    report = parity.check(torch.nn.LSTM(3, 2), run=broken)
    assert plot.figure([report], ".png").startswith(STARTS[".png"])


def test_without_matplotlib_the_cure_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    path = tmp_path / "error.png"
    assert main(["check", "--plot", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: check: --plot {path} must have matplotlib: it draws the "
        "figure, "
        "and is not installed. Use pip install matplotlib.\n"
    )
