"""`python -m parity train`: a line for each case, exit codes, files, bad use."""

import json
from pathlib import Path

import pytest
import torch

from parity.__main__ import main

pytestmark = pytest.mark.usefixtures("unoptimised")

ONE = ["--optimizer", "adamw", "--model", "plain", "--dtype", "float64", "--steps", "9"]


def test_a_training_that_is_torchs_exits_with_0(tmp_path, capsys):
    assert torch.__version__
    written, drawn = tmp_path / "new" / "all.json", tmp_path / "curves.svg"
    files = ["--json", str(written), "--plot", str(drawn)]
    assert main(["train", *ONE, *files]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith(" adamw, plain")]
    assert line.split()[-1] == "ok"
    assert "ok: 1 of 1 trainings are torch's\n" in out
    (report,) = json.loads(written.read_text())
    assert (report["title"], report["ok"]) == ("adamw, plain, float64", True)
    assert len(report["losses"]["jax"]) == len(report["loss_distance"]) == 9
    assert report["parting"] is None
    assert max(report["weights_distance"]) < 1e-12
    for label in ("torch", "JAX", "furthest weight", "adamw, plain, float64: ok"):
        assert f"<!-- {label} -->" in drawn.read_text()


def test_a_mistake_exits_with_1_and_names_step_parameter_and_mistake(tmp_path, capsys):
    drawn = tmp_path / "curves.svg"
    wrong = ["--mistake", "one bias", "--json", "-", "--plot", str(drawn)]
    assert main(["train", *ONE, *wrong]) == 1
    out, err = capsys.readouterr()
    (report,) = json.loads(out)
    assert report["verdict"] == "FAIL"
    assert report["mistakes"] == ["one bias"]
    assert report["parting"]["step"] == 1
    assert report["parting"]["tensor"] == "lstm.bias_hh_l0"
    sentence = "They part at step 1: after it lstm.bias_hh_l0 is furthest off, by "
    assert f"adamw, plain, float64, mistake one bias: FAIL: {sentence}" in err
    assert "One bias of each layer is trained in place of two: " in err
    assert "FAIL: 0 of 1 trainings are torch's" in err
    assert "<!-- part at step 1 -->" in drawn.read_text()


@pytest.mark.slow
def test_a_right_training_passes_where_five_orders_would_let_it_fail(capsys):
    """JAX is 2.3 times as far as the worst of five: the command trains 40."""
    options = ["--model", "plain", "--optimizer", "adam", "--dtype", "float32"]
    assert main(["train", *options, "--seed", "6"]) == 0
    assert "ok: 1 of 1 trainings are torch's" in capsys.readouterr().out


@pytest.mark.slow
def test_roundings_of_optaxs_adam_are_named_over_all_steps(capsys):
    """They are 7 times as far as torch's own roundings, in which a name is sought."""
    options = ["--model", "plain", "--optimizer", "adam", "--dtype", "float32"]
    wrong = ["--mistake", "float32 corrections", "--json", "-"]
    assert main(["train", *options, *wrong]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert report["mistakes"] == ["float32 corrections"]


@pytest.mark.slow
def test_every_case_is_torchs(capsys):
    assert main(["train"]) == 0
    assert "ok: 24 of 24 trainings are torch's" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("model", ["bidirectional", "projected", "dropout"])
def test_a_mistake_is_named_in_each_model(model, capsys):
    options = ["--model", model, "--steps", "30", "--mistake", "decay of weights"]
    assert main(["train", *options, "--dtype", "float64", "--json", "-"]) == 1
    reports = json.loads(capsys.readouterr().out)
    assert [report["mistakes"] for report in reports] == [["decay of weights"]] * 3


def test_what_there_is_is_listed(capsys):
    assert main(["train", "--list"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        "optimizer sgd, rate 0.05, momentum 0.9, weight decay 0.0001, clip 0.25"
    )
    assert "model dropout: num_layers 2, dropout 0.25" in out
    assert sum(line.startswith("mistake ") for line in out) > 15


def test_bad_use_is_refused_in_a_sentence(tmp_path, capsys):
    folder = Path(tmp_path)
    refused = {
        ("--mistake", "typo"): "train: --mistake 'typo' must be one of eps 1e-07, ",
        ("--mistake", "nesterov", "--optimizer", "adam"): (
            "train: --mistake 'nesterov' must come with another optimizer or type: it "
            "makes no difference to these. Leave out --optimizer and --dtype."
        ),
        ("--plot", str(folder / "a.txt")): (
            f"train: --plot {folder / 'a.txt'} must end in .png, .svg, .pdf: "
        ),
    }
    for words, sentence in refused.items():
        assert main(["train", *words]) == 2
        assert capsys.readouterr().err.startswith(f"python -m parity: {sentence}")


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("--steps", "0", "from 1 to 100000"),
        ("--steps", "99999999999999999999", "from 1 to 100000"),
        ("--seed", "-1", "from 0 to 4294967295"),
        ("--seed", "99999999999999999999", "from 0 to 4294967295"),
    ],
)
def test_numbers_out_of_range_are_refused(flag, value, sentence, capsys):
    with pytest.raises(SystemExit) as caught:
        _ = main(["train", f"{flag}={value}"])
    assert caught.value.code == 2
    said = f"argument {flag}: {value!r} must be a whole number {sentence}\n"
    assert capsys.readouterr().err.endswith(said)


def test_without_torch_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr("parity.machine.find_spec", lambda _: None)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == (
        "python -m parity: train: torch must be installed: it trains beside JAX. Use "
        "pip install 'lstm-jax[parity]'.\n"
    )


def test_a_command_that_is_interrupted_keeps_what_is_done(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.cli.train.compare", interrupted)
    assert main(["train", *ONE]) == 130
    assert capsys.readouterr().err == (
        "python -m parity: train: interrupted after 0 of 1 checks: the rest was not "
        "checked.\n"
    )
