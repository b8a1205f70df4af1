"""`--remat` and `--truncate`: long windows and long series in bounded memory."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lstm_jax import train
from lstm_jax.__main__ import main
from tests.given import ROOT

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

LONG, H, CHUNK = 100_000, 128, 1000
MB = 2**20


def echo(rows: int) -> pd.DataFrame:
    """`y` forgets slowly what it hears of `x`, with noise of its own."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, rows))
    y = np.zeros(rows)
    for t in range(1, rows):
        y[t] = 0.98 * y[t - 1] + x[t - 1] + 0.3 * noise[t]
    return pd.DataFrame({"x": x, "y": y})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a run on chunks, and what `train` printed."""
    place, out = tmp_path_factory.mktemp("runs"), io.StringIO()
    echo(120).to_csv(place / "echo.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("sys.stdout", out)
        words = "train echo.csv --target y --window 4 --hidden-size 4 --epochs 2"
        assert main(f"{words} --truncate 30 --remat 5 --torch".split()) == 0
    return place / "runs" / "echo", out.getvalue()


def test_a_run_on_chunks_is_resumed_and_predicted_as_such(trained: Any, capsys) -> None:
    folder, _ = trained
    config = json.loads((folder / "config.json").read_text())
    assert config["options"]["remat"] == 5
    assert config["options"]["outputs"] == "all"
    assert config["training"]["options"]["truncate"] == 30
    assert main(["resume", str(folder)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "is finished: nothing is left to do" in said
    new = folder.parent / "new.csv"
    echo(50).to_csv(new, index=False)
    assert main(["predict", str(folder), str(new)]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    exact = train.load(folder).predict(echo(50))
    np.testing.assert_allclose(found["y_predicted"], exact["y_predicted"])
    assert len(found) == 50 - 4 + 1


def test_the_same_series_in_pytorch(trained: Any, torch: Any) -> None:
    folder, said = trained
    made = train.load(folder).recipe.windows(echo(50))  # pyright: ignore
    names: dict[str, Any] = {}
    lines = said[said.index("import torch") :]
    exec(lines.replace("'runs/", f"'{folder.parent}/"), names)
    (stretch,) = made.stretches()
    with torch.no_grad():
        theirs = names["model"](torch.from_numpy(stretch.xs)[None])[0].numpy()
    found = made.unscaled(theirs[made.ends])[:, 0, 0]
    exact = train.load(folder).predict(echo(50))["y_predicted"]
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5)


def test_rows_one_by_one_are_refused(
    trained: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x,y\n1,2\n"))
    assert main(["predict", str(trained[0]), "-"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: predict: FILE - must be for a run on windows: this one "
        "was trained with --truncate, and its predictions need every row from the "
        "first on. Give a file.\n"
    )


@pytest.mark.parametrize("word", ["root", "0", "-1", "1.5"])
def test_states_are_kept_at_a_whole_number_of_rows_or_the_root(
    word: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _ = main(["train", "echo.csv", "--target", "y", f"--remat={word}"])
    said = f"--remat: {word!r} must be a whole number from 1 up, or sqrt\n"
    assert capsys.readouterr().err.endswith(said)


def test_a_chunk_of_no_row_is_refused(tmp_path: Path, capsys: Any) -> None:
    echo(60).to_csv(tmp_path / "echo.csv", index=False)
    words = f"train {tmp_path}/echo.csv --target y --truncate 0 --out {tmp_path}/run"
    assert main(words.split()) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: train: --truncate 0 must be a whole number from 1 up, or "
        "None. Use --truncate 1 or more.\n"
    )


def peak(folder: Path, rows: int, words: str) -> float:
    """The largest resident size of `train` on so many rows, in bytes.

    The last three rows are the targets of the three parts, so that a window of all the
    others is the one of training.
    """
    table = echo(rows + 3)
    table["part"] = "train"
    table.loc[rows + 1 :, "part"] = ["valid", "test"]
    table.to_csv(folder / "echo.csv", index=False)
    command = [sys.executable, "-m", "lstm_jax", "train", "echo.csv", "--target", "y"]
    command += [*words.split(), "--hidden-size", str(H), "--epochs", "2"]
    command += ["--out", str(folder / f"{rows} {words}")]
    alone = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, cwd=folder, env=alone, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return 1024 * used.ru_maxrss


# What docs/training.md says: of the step, and of the table.
TABLE = 600 * LONG
REMAT = 4 * (LONG * 2 * 2 + 11 * int(LONG**0.5) * H)
CHUNKS = 4 * 8 * CHUNK * H
WINDOW = 4 * 7 * LONG * H


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "bound"),
    [
        ("--split part --window {rows} --remat sqrt", REMAT + TABLE),
        (f"--window 20 --truncate {CHUNK}", CHUNKS + TABLE),
    ],
    ids=["remat", "truncate"],
)
def test_a_hundred_thousand_rows_take_the_memory_that_is_stated(
    tmp_path: Path, words: str, bound: float
) -> None:
    """Over a run on 2000 rows; without the flags it would be 342 MB of one window."""
    assert bound < WINDOW / 4
    short, long = (peak(tmp_path, n, words.format(rows=n)) for n in (2 * CHUNK, LONG))
    print(f"{words}: {(long - short) / MB:.0f} MB more, at most {bound / MB:.0f}")
    assert long - short < bound
