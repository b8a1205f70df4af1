"""docs/free_speed.md: its blocks run, and its table is of the script's calls."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.given import ROOT

PAGE = (ROOT / "docs" / "free_speed.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TABLE = re.compile(
    r"(?<=<!-- table: scripts/free_speed -->\n).*?(?=<!-- end)", re.DOTALL
)
HEADINGS = re.findall(r"^##? (.*)$", PAGE, re.MULTILINE)


def script() -> Any:
    path = str(ROOT / "scripts" / "free_speed")
    loader = importlib.machinery.SourceFileLoader("free_speed", path)
    spec = importlib.util.spec_from_loader("free_speed", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# In processes of their own: what they set is read when JAX starts.
@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=HEADINGS)
def test_a_block_runs_and_prints_what_it_promises(block: str, tmp_path: Path) -> None:
    (promised,) = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    file = tmp_path / "block.py"
    _ = file.write_text(block, encoding="utf-8")
    plain = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    plain |= {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", str(file)]
    done = subprocess.run(
        command, env=plain, check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == promised


def test_the_table_is_of_the_calls_of_the_script() -> None:
    (table,) = TABLE.findall(PAGE)
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    made = script()
    rows = [
        [switch, str(case._replace(rows=16) if case.steps == 512 else case)]
        for switch, case, *_ in made.ROWS  # the page is of two cores, 8 rows for each
    ]
    assert [line[:2] for line in cells] == rows
    for *_, before, after, gain in cells:
        middle, least, most = map(float, re.findall(r"[\d.]+", gain))
        assert least <= middle <= most
        assert middle == pytest.approx(float(before) / float(after), rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["plain", "wide", "eager", "nnx.jit", "divided"])
def test_a_side_is_timed(side: str) -> None:
    made = script()
    case = made.Case(2, 3, 4, 4)
    assert 0 < made.milliseconds(made.SIDES[side][0](case), seconds=0.01) < 1000
