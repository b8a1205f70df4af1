"""`train`, `predict` and `resume`, from CSV files to a model that PyTorch loads."""

import io
import json
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jax.errors import JaxRuntimeError

from lstm_jax import train
from lstm_jax.__main__ import main
from lstm_jax.train.loop.training import Training

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
SMALL = "--hidden-size 4 --epochs 2 --window 5 --batch 16"


def weather(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.date_range("2020-01-01", periods=rows)
    warm = 10 + 5 * np.sin(np.arange(rows) / 9) + rng.normal(size=rows)
    rain = rng.gamma(1.0, size=rows)
    return pd.DataFrame({"day": days, "warm": warm, "rain": rain, "sky": "clear"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def trained(place: Path) -> tuple[Path, str]:
    """The folder of a run, and what `train` printed."""
    weather().to_csv(place / "weather.csv", index=False)
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("sys.stdout", out)
        words = f"train weather.csv --target warm --time day --torch {SMALL}"
        assert main(words.split()) == 0
    return place / "runs" / "weather", out.getvalue()


def test_training_says_the_roles_and_all_five_rows(trained: Any) -> None:
    folder, said = trained
    lines = said.splitlines()
    assert lines[0] == "target: warm (its own past is an input)"
    assert lines[1] == "inputs: rain"
    assert "Left out, for they hold no numbers: 'sky'." in lines
    rows = "model|persistence|seasonal naive|training mean|ridge"
    assert len(re.findall(rf"^  (?:{rows}) +\d", said, re.MULTILINE)) == 5
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        *("config.json", "model.safetensors", "metrics.jsonl", "checkpoints"),
        *("scores.json", "curve.png", "prediction.png"),
    }
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 2
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["sentences"][-1] in said.replace("\n  ", " ")


def test_the_same_numbers_in_pytorch(trained: Any, place: Path, torch: Any) -> None:
    folder, said = trained
    run: Any = train.load(folder)
    windows = run.recipe.windows(weather())
    names: dict[str, Any] = {}
    lines = said[said.index("import torch") :]
    exec(lines.replace("'runs/", f"'{place}/runs/"), names)
    batch = windows.take(np.arange(len(windows)))
    with torch.no_grad():
        theirs = names["model"](torch.from_numpy(batch.xs)).numpy()
    ours = np.asarray(run.model(batch.xs))
    most = 4 * np.finfo(np.float32).eps * np.abs(theirs).max()
    assert np.abs(ours - theirs).max() <= most
    predicted = run.predict(weather())["warm_predicted"].to_numpy()
    assert np.abs(predicted - windows.unscaled(theirs).ravel()).max() < 1e-5


def test_a_run_is_not_written_over(trained: Any, place: Path, monkeypatch: Any, capsys):
    monkeypatch.chdir(place)
    words = f"train weather.csv --target warm --time day {SMALL}"
    assert main(words.split()) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: train: --out runs/weather must be new: there is a run in "
        "it. Use python -m lstm_jax resume runs/weather to go on with it, or another "
        "--out.\n"
    )


def test_a_finished_run_says_so(trained: Any, place: Path, monkeypatch: Any, capsys):
    monkeypatch.chdir(place)
    before = (trained[0] / "model.safetensors").read_bytes()
    assert main(["resume", "runs/weather"]) == 0
    said = capsys.readouterr()
    assert "The run in 'runs/weather' is finished: nothing is left to do." in said.err
    assert "Best on the test part" in said.out
    assert (trained[0] / "model.safetensors").read_bytes() == before


def test_changed_files_are_refused(trained: Any, place: Path, monkeypatch: Any, capsys):
    monkeypatch.chdir(place)
    changed = weather()
    changed.loc[3, "rain"] = 7.0
    changed.to_csv("changed.csv", index=False)
    assert main(["resume", "runs/weather", "changed.csv"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: resume: 'changed.csv' must be as it was when the run was "
        "begun: its bytes are others. Give the file of then, or train anew with "
        "another --out.\n"
    )
    assert main(["resume", "runs/weather", "weather.csv", "changed.csv"]) == 2
    assert capsys.readouterr().err.endswith(
        "resume: FILE must be the files of the run, 1: there are 2. Give them in their "
        "order, or leave FILE out.\n"
    )


def test_rows_in_a_file_and_rows_one_by_one_have_the_same_predictions(
    trained: Any, place: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(place)
    assert main(["predict", "runs/weather", "weather.csv", "--out", "all.csv"]) == 0
    assert capsys.readouterr().out == "wrote all.csv: 116 predictions\n"
    lines = Path("weather.csv").read_text().splitlines(keepends=True)[:12]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(lines)))
    assert main(["predict", "runs/weather", "-"]) == 0
    one_by_one: Any = pd.read_csv(io.StringIO(capsys.readouterr().out))
    whole: Any = pd.read_csv("all.csv").head(7)
    assert one_by_one["time"].tolist() == whole["time"].tolist()
    # The row that is predicted had not come yet.
    assert one_by_one["warm"].isna().all()
    assert (one_by_one["warm_predicted"] == whole["warm_predicted"]).all()


def test_the_last_row_is_predicted_beyond_the_file(trained: Any) -> None:
    last = train.load(trained[0]).predict(weather()).iloc[-1]
    assert (str(last["time"].date()), last["step"]) == ("2020-04-30", 1)
    assert np.isnan(last["warm"])


def test_the_end_of_a_run_is_explained(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    words = f"train weather.csv --target warm --time day {SMALL} --seed 1"
    assert main([*words.split(), "--out", "whole"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    whose = r"The weights are those of epoch \d, the best by validation\."
    assert re.search(rf"The run ended after epoch 2\. {whose}", said)
    more = "--out waited --epochs 9 --patience 1 --rate 1e-9"
    assert main([*words.split(), *more.split()]) == 0
    said = " ".join(capsys.readouterr().err.split())
    why = "no better validation loss in the last epoch"
    assert re.search(rf"The run ended after epoch \d: {why}\. {whose}", said)


def test_a_run_that_a_signal_ends_says_how_it_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    step = Training._step

    def signalled(self: Any, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        step(self, *arguments)

    monkeypatch.setattr(Training, "_step", signalled)
    words = f"train weather.csv --target warm --time day {SMALL} --out stopped"
    with pytest.raises(SystemExit, match="130"):
        _ = main(words.split())
    said = "Stopped, with a checkpoint. Go on by: python -m lstm_jax resume stopped\n"
    assert said in capsys.readouterr().err
    monkeypatch.setattr(Training, "_step", step)
    assert main(["resume", "stopped"]) == 0


def test_a_model_that_is_too_large_is_a_sentence(
    trained: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr("lstm_jax.train.load", full)
    assert main(["predict", str(trained[0]), "weather.csv"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: memory must be larger: it is full. Use a smaller model, "
        "or a machine with more.\n"
    )
