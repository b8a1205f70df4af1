"""README and docs run, and the numbers in the README are those its command prints."""

import re

import pytest
import torch

from parity.__main__ import main
from tests.given import ROOT

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
DOCS = README.parent / "docs"
PAGES = [README, *(DOCS / f"{name}.md" for name in ("recurrent_rl", "sequences"))]
PAGES += [DOCS / "derivatives.md"]


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def params(page):
    marks = () if page in (README, PAGES[1]) else pytest.mark.slow
    return pytest.param(page, id=page.stem, marks=marks)


@pytest.mark.parametrize("page", [params(page) for page in PAGES])
def test_every_python_block_runs_one_after_the_other(
    page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names = {}
    promised = []
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
        promised += re.findall(r"^print\(.*?\)(?:  |\n)# (.*)", block, re.MULTILINE)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(promised) >= 4
    for line, promise in zip(printed, promised, strict=True):
        assert promise.startswith(line)


def test_the_first_screen_holds_the_example_the_table_and_its_command():
    first = "\n".join(TEXT.splitlines()[:62])
    for needed in ("parity.from_torch", "python -m parity check", "| single layer |"):
        assert needed in first


@pytest.mark.slow
def test_the_table_has_the_cases_and_no_error_of_another_order(capsys):
    assert main(["check"]) == 0
    printed = {
        line.strip(" |").split("  ")[0].strip(): re.findall(r"\d+\.\d", line)
        for line in capsys.readouterr().out.splitlines()
    }
    rows = re.findall(r"^\| ([^|]+) \| (\d.*) \|$", TEXT, re.MULTILINE)
    # The page has the figures of AVX-512; narrower sums round elsewhere.
    factor = 3 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 10
    assert len(rows) >= 10
    for name, numbers in rows:
        ours = [float(number) for number in re.findall(r"\d+\.\d", numbers)]
        assert len(ours) == 5
        for a, b in zip(ours, map(float, printed[name]), strict=True):
            assert a / factor - 0.1 <= b <= factor * a + 0.1, name
