"""What `bench` draws, from results made by hand."""

import sys

import pytest

from parity.__main__ import main
from parity.bench.results import plots
from parity.bench.works import CASE_TAGS
from tests.given.results import lines, measurements, stored


def swept(mode):
    """Results of every sweep: in seconds, and with facts."""
    return [
        line
        for k, case in enumerate(
            case for tag in ("hidden", "batch", "steps") for case in CASE_TAGS[tag]
        )
        for line in lines(
            {"torch": [1e-3 * (k + 1)] * 2, "lstm_jax": [1e-3, 3e-3], "keras": "wrong"},
            case=case,
            mode=mode,
        )
    ]


@pytest.mark.slow
def test_every_figure_is_drawn_and_told(tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", swept("forward"), swept("backward"))
    directory = tmp_path / "new" / "plots"
    assert main(["bench", "--from", str(path), "--plot", str(directory)]) == 1
    names = ("ratio", "hidden", "batch", "compile", "memory", "temporary")
    expected = {
        f"{name}-{mode}-float32-cpu-1-core.png"
        for name in names
        for mode in ("forward", "backward")
    }
    assert {one.name for one in directory.iterdir()} == expected
    for one in directory.iterdir():
        assert one.read_bytes().startswith(b"\x89PNG\r\n")
        assert one.stat().st_size > 10_000
    assert capsys.readouterr().out.count("plot: ") == len(expected)


@pytest.mark.parametrize(
    ("times", "timed"),
    [
        ({"lstm_jax": [1.0], "haiku": [1.0]}, "lstm_jax, haiku"),
        ({"keras": "failed: x"}, "no runner"),
    ],
)
def test_where_nothing_can_be_drawn_it_is_told_why(times, timed, tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", lines(times))
    directory = tmp_path / "new" / "plots"
    assert main(["bench", "--from", str(path), "--plot", str(directory)]) == 0
    assert capsys.readouterr().out.endswith(
        f"\nplot: nothing is drawn: there are times of {timed}. Ratios need torch and "
        "another runner in one measurement, curves two sizes of one of the cases "
        "hidden, batch, steps.\n"
    )
    assert not directory.parent.exists()


def test_only_what_has_results_is_drawn(tmp_path):
    without_rival = measurements(lines({"lstm_jax": [1.0]}))
    assert plots.draw(without_rival, tmp_path) == []
    both = measurements(lines({"torch": [1.0], "lstm_jax": [1.0]}, device="gpu"))
    (path,) = plots.draw(both, tmp_path)
    assert path.name == "ratio-forward-float32-gpu.png"


def test_a_curve_has_its_values():
    hidden, *_ = plots.CURVES
    found = plots._values_by_runner(hidden, measurements(swept("forward")))
    low, middle, high = found["lstm_jax"][64]  # two milliseconds for 64 steps
    assert (low, middle, high) == pytest.approx((1200 / 64, 2000 / 64, 2800 / 64))
    assert sorted(found["torch"]) == [32, 64, 128, 256, 512]
    assert "keras" not in found


def test_without_matplotlib_the_cure_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["bench", "--plot", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: bench: --plot {tmp_path} must have matplotlib: it draws "
        "the "
        "figure, and is not installed. Use pip install matplotlib.\n"
    )
