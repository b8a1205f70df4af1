"""Rows from the standard input, one by one."""

import io
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lstm_jax.__main__ import main
from tests.lstm_jax.cli.test_commands import SMALL, weather

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
SAID = "python -m lstm_jax: predict: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a run on days, `warm` and `rain`."""
    place = tmp_path_factory.mktemp("stream")
    weather().to_csv(place / "weather.csv", index=False)
    words = f"--target warm --time day --out {place / 'run'} {SMALL}"
    assert main(["train", str(place / "weather.csv"), *words.split()]) == 0
    return str(place / "run")


@pytest.fixture
def answered(folder: str, monkeypatch: Any, capsys: Any) -> Any:
    """What is said to lines: the exit code, the standard output, the errors."""

    def answered(text: str | bytes, *more: str) -> tuple[int, str, str]:
        raw = text if isinstance(text, bytes) else text.encode()
        stdin = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)
        _ = capsys.readouterr()
        code = main(["predict", folder, "-", *more])
        return (code, *capsys.readouterr())

    return answered


TEN = weather(10).to_csv(index=False)
NEXT = {
    "2020-01-11,9.5,1": "line 12 of the standard input must have 4 fields, as its first"
    " has: it has 3. Correct this line.",
    "2020-01-11,9.5,1,clear,7": "line 12 of the standard input must have 4 fields, as "
    "its first has: it has 5. Correct this line.",
    "2020-01-11,9.5,much,clear": "rain='much' in line 12 must be a number: 4 of the 5 "
    "values of 'rain' are. Leave it empty where it means a missing value.",
    "2020-01-11,9.5,,clear": "'rain' must be known in every row, for the model reads it"
    " as an input: it is missing in 1 row, first in line 12. Fill it in, or train with "
    "--fill last, which takes the last known value.",
    "2020-01-10,9.5,1,clear": "--time 2020-01-10 must be in one row of the table: it is"
    " in line 11 and line 12, the first of 1 repeat. Drop all but one, or train with "
    "--duplicates first, which keeps the first.",
}


@pytest.mark.parametrize("line", NEXT)
def test_a_row_that_does_not_fit_is_named_by_its_line(line: str, answered: Any) -> None:
    code, out, err = answered(f"{TEN}{line}\n")
    assert (code, err) == (2, f"{SAID}{NEXT[line]}\n")
    assert len(out.splitlines()) == 7  # those before are answered


def test_bytes_that_are_no_text_are_refused(answered: Any) -> None:
    code, _, err = answered(TEN.encode() + b"\xff\n")
    assert code == 2
    assert err == (
        f"{SAID}the standard input must be UTF-8: a line is not. Convert it first, as "
        "iconv does.\n"
    )


def test_rows_are_read_as_files_are(answered: Any) -> None:
    table: Any = weather(10)
    other = table.to_csv(index=False, sep=";", decimal=",")
    assert answered(other) == answered(TEN)
    assert answered("\ufeff" + TEN.replace("\n", "\r\n")) == answered(TEN)
    assert len(pd.read_csv(io.StringIO(answered(TEN)[1]))) == 6


@pytest.mark.parametrize("flag", ["--out", "--static", "--encoding"])
def test_a_flag_that_rows_have_no_use_for_is_refused(flag: str, answered: Any) -> None:
    code, _, err = answered(TEN, flag, "utf-8")
    assert code == 2
    assert err == (
        f"{SAID}{flag} must not come with FILE -: rows are read as UTF-8 and answered "
        "on the standard output. Leave it out, or give a file.\n"
    )
    assert not Path("utf-8").exists()
