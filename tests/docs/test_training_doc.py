"""The quickstart of training in the README prints what it says."""

import re
from pathlib import Path
from typing import Any

import pytest
from vega_datasets import local_data

from lstm_jax.__main__ import main
from tests.given import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BASELINES = ("persistence", "seasonal naive", "training mean", "ridge")


@pytest.mark.slow
@pytest.mark.usefixtures("no_jaxtyping")
def test_the_quickstart_states_all_five_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    local_data.seattle_weather().to_csv("weather.csv", index=False)
    (command,) = re.findall(r"^python -m lstm_jax (train .*)$", README, re.MULTILINE)
    assert main(command.split()) == 0
    printed = capsys.readouterr().out.splitlines()
    written = README.splitlines()
    for name in BASELINES:
        (line,) = (one for one in written if one.startswith(f"  {name}  "))
        assert line in printed
    # Another processor rounds otherwise, and so ends in other weights.
    rmse = [
        float(next(one for one in lines if one.startswith("  model ")).split()[1])
        for lines in (printed, written)
    ]
    assert abs(rmse[0] - rmse[1]) < 0.1
    assert Path("runs/weather/model.safetensors").is_file()
