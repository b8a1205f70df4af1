"""What the commands refuse: one sentence in flags, exit code 2, nothing written."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx

import lstm_jax
from lstm_jax import train
from lstm_jax.__main__ import main
from lstm_jax.cli.options import flagged
from tests.lstm_jax.cli.test_commands import weather
from tests.lstm_jax.train.test_writing import full_disk

pytestmark = pytest.mark.usefixtures("no_jaxtyping")


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: Any, capsys: Any) -> Callable[..., str]:
    """Run a command among a few files that must refuse; what it said."""
    monkeypatch.chdir(tmp_path)
    good = weather(60)
    good.to_csv("good.csv", index=False)
    good.assign(rain=good["rain"].where(good.index != 7)).to_csv("holes.csv")
    good.to_csv("semicolon.csv", index=False, sep=";", decimal=",")
    text = good.astype({"rain": object})
    text.loc[4, "rain"] = "much"
    text.to_csv("text.csv", index=False)
    _ = Path("empty.csv").write_bytes(b"")
    _ = Path("latin.csv").write_bytes("day,wärme\n1,2\n".encode("latin-1"))
    _ = Path("file").write_bytes(b"")
    model = lstm_jax.LSTMModel(2, 3, 1, rngs=nnx.Rngs(0))
    model.save_pretrained("other")
    before = {path.name for path in tmp_path.iterdir()}

    def refused(command: str) -> str:
        assert main(command.split()) == 2
        assert {path.name for path in tmp_path.iterdir()} == before
        said = capsys.readouterr()
        assert said.err.count("\n") == 1
        return said.err.removeprefix("python -m lstm_jax: ").strip()

    return refused


REFUSED = {
    "train empty.csv --target warm": "it is empty",
    "train good.csv --target worm": "Did you mean 'warm'?",
    "train good.csv --target warm --time day --window 90": "--window 90 must",
    "train holes.csv --target warm --time day": "Use --fill last",
    "train text.csv --target warm --time day": "'much'",
    "train latin.csv --target wärme": "--encoding cp1252",
    "train missing.csv --target warm": "missing.csv",
    "train good.csv --target warm --time day --start other": "--start other must",
    "train good.csv --target warm --time day --window 5 --out file/run": "file/run",
    "train good.csv --target warm --time day --window 5 --out /proc/run": "/proc/run",
    "train good.csv --target warm --trainable fx --window 5": "--trainable",
    "train good.csv --target warm --horizon 0 --predict change": "--predict level",
    "predict nowhere good.csv": "Train one first, by lstm_jax.train.fit with a folder, "
    "or by python -m lstm_jax train.",
    "predict other good.csv": "must hold a run",
    "resume other": "must hold a run",
}


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_is_refused_in_one_sentence(command: str, refused: Any) -> None:
    assert REFUSED[command] in refused(command)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--window x", "argument --window: 'x' must be a whole number, 0 or more"),
        ("--devices -1", "argument --devices: '-1' must be a whole number, 0 or more"),
        ("--seed 9999999999", "--seed: '9999999999' must be at most 2147483647"),
        ("--rate 0", "argument --rate: '0' must be a number above 0"),
        ("--dropout 1", "argument --dropout: '1' must be below 1"),
        ("--inputs a,,b", "argument --inputs: 'a,,b' must be names, commas between"),
        ("--quantiles 0.1,0.9", "'0.1,0.9' must grow, lie between 0 and 1 and hold"),
    ],
)
def test_a_wrong_value_of_a_flag_is_named(flag: str, said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        _ = main(["train", "a.csv", "--target", "a", *flag.split()])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_on_what_is_known_ahead_is_not_answered_row_by_row(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    weather(60).to_csv("good.csv", index=False)
    words = "train good.csv --target warm --future rain --time day --window 5"
    assert main(f"{words} --epochs 1 --hidden-size 2".split()) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("day,warm,rain\n"))
    _ = capsys.readouterr()
    assert main(["predict", "runs/good", "-"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: predict: FILE - must be for a run whose rows are read one "
        "by one: this one was trained on columns that are known ahead. Give a file.\n"
    )


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("windows: past=False must be so.", "train: --no-past must be so."),
        ("fit: folder='a b' must be new.", "train: --out a b must be new."),
        ("fit: max_gap=2 must be 3.", "train: --max-gap 2 must be 3."),
        ("fit: Use inputs=['a', 'b'].", "train: Use --inputs a,b."),
        ("fit: inputs=[] reads no other.", "train: --inputs '' reads no other."),
        ("windows: rain='much' is no number.", "train: rain='much' is no number."),
        ("load: 'x=1' must be a run.", "train: 'x=1' must be a run."),
    ],
)
def test_arguments_are_said_as_flags(sentence: str, said: str) -> None:
    assert flagged("train", sentence) == said


def test_a_line_of_the_metrics_that_does_not_read_is_named(
    refused: Any, capsys: Any
) -> None:
    words = "train good.csv --target warm --time day --window 5 --out run"
    assert main(f"{words} --epochs 1 --hidden-size 2".split()) == 0
    with Path("run/metrics.jsonl").open("a") as file:
        _ = file.write("oops\n")
    _ = capsys.readouterr()
    for command in ("resume run", "predict run good.csv"):
        assert main(command.split()) == 2
        assert capsys.readouterr().err.endswith(
            "'run/metrics.jsonl' must hold a JSON object in each line, as fit writes "
            "it: line 2 is none. Remove this line.\n"
        )


def test_predictions_that_cannot_be_written_leave_those_of_before(
    refused: Any, capsys: Any
) -> None:
    words = "train good.csv --target warm --time day --window 5 --out run"
    assert main(f"{words} --epochs 1 --hidden-size 2".split()) == 0
    _ = Path("out.csv").write_text("old")
    with full_disk():
        assert main(["predict", "run", "good.csv", "--out", "out.csv"]) == 2
    assert Path("out.csv").read_text() == "old"
    _ = capsys.readouterr()
    assert main(["predict", "run", "good.csv", "--out", "nowhere/out.csv"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: nowhere/out.csv: no such file or directory, says the "
        "system. Check the path, the rights and the room on the disk.\n"
    )


def test_numbers_with_decimal_commas_are_read(refused: Any, capsys: Any) -> None:
    words = "train semicolon.csv --target warm --time day --window 5 --out run"
    assert main(f"{words} --epochs 1 --hidden-size 2".split()) == 0
    assert "model" in capsys.readouterr().out
    assert np.isfinite(train.load("run").history["loss"]).all()


def test_a_library_of_the_extra_that_is_missing_is_named(
    refused: Any, monkeypatch: Any
) -> None:
    def without_orbax(_: Any) -> None:
        raise ModuleNotFoundError(name="orbax.checkpoint")

    monkeypatch.setattr("lstm_jax.cli.train.read", without_orbax)
    assert refused("train good.csv --target warm") == (
        "orbax must be installed. Use pip install 'lstm-jax[train]'."
    )
