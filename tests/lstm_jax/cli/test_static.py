"""A table of static numbers beside the files of a command."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lstm_jax import train
from lstm_jax.__main__ import main
from tests.lstm_jax.cli.test_commands import SMALL, weather

pytestmark = pytest.mark.usefixtures("no_jaxtyping")


@pytest.fixture
def basins(tmp_path: Path, monkeypatch: Any) -> list[str]:
    """The command that trains on two files whose names begin with 0."""
    monkeypatch.chdir(tmp_path)
    table = weather()
    for name, times in {"01": 1, "02": 2}.items():
        own = table.assign(warm=times * table["warm"])
        own.to_csv(f"{name}.csv", index=False)
    files = "01.csv 02.csv --target warm --time day --horizon 0"
    return ["train", *files.split(), *SMALL.split(), "--out", "run", "--static"]


@pytest.mark.parametrize("name", ["group", "gauge"])
def test_names_of_groups_keep_their_zeros(basins: list[str], name: str) -> None:
    _ = Path("basins.csv").write_text(f"{name},area\n01,5\n02,9\n")
    assert main([*basins, "basins.csv"]) == 0
    run = train.load("run")
    assert run.recipe is not None
    assert run.recipe.static == {"area": {"01": 5.0, "02": 9.0}}
    weather().to_csv("03.csv", index=False)
    _ = Path("more.csv").write_text(f"{name},area\n03,7\n")
    words = "predict run 01.csv 03.csv --static more.csv --out out.csv"
    assert main(words.split()) == 2  # no scale of the target is known for 03
    assert main(["predict", "run", "01.csv", "02.csv", "--out", "out.csv"]) == 0
    held: Any = pd.read_csv("out.csv", dtype={"group": str})
    assert set(held["group"]) == {"01", "02"}


def test_a_table_that_is_not_there_is_named_as_a_file(
    basins: list[str], capsys: Any
) -> None:
    assert main([*basins, "basin.csv"]) == 2
    assert capsys.readouterr().err == (
        "python -m lstm_jax: train: 'basin.csv' must be a file that can be read: no "
        "such file or directory. Give another path.\n"
    )


def test_a_run_goes_on_from_another_folder_with_the_same_table(
    basins: list[str], monkeypatch: Any, tmp_path: Path, capsys: Any
) -> None:
    _ = Path("basins.csv").write_text("group,area\n01,5\n02,9\n")
    assert main([*basins, "basins.csv"]) == 0
    Path("other").mkdir()
    monkeypatch.chdir("other")
    assert main(["resume", "../run"]) == 0
    place = tmp_path / "basins.csv"
    _ = place.write_text("group,area\n01,5\n02,8\n")
    _ = capsys.readouterr()
    assert main(["resume", "../run"]) == 2
    assert capsys.readouterr().err == (
        f"python -m lstm_jax: resume: {str(place)!r} must be as it was when the run "
        "was begun: its bytes are others. Give the file of then, or train anew with "
        "another --out.\n"
    )
