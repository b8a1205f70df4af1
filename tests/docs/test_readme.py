"""README and docs run, and the numbers in the README are those its command prints."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import lstm_jax
import parity
from parity.__main__ import main
from parity.judge.cases import CASES
from tests.given import ROOT

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
DOCS = README.parent / "docs"
NAMES = ("recurrent_rl", "sequences", "streaming", "keras", "formats")
NAMES += ("derivatives", "training", "scale", "finetuning", "index", "your_checkpoint")
NAMES += ("training_parity",)
SHORT = ("index", "scale")
PAGES = [README, *(DOCS / f"{name}.md" for name in NAMES)]
PROOF = (DOCS / "proof.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| (\d.*) \|$", re.MULTILINE)


def blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def params(page):
    marks = () if page.stem == "index" else pytest.mark.slow
    return pytest.param(page, id=page.stem, marks=marks)


# Keras's arrays are older than NumPy's rule of copies.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("page", [params(page) for page in PAGES])
def test_every_python_block_runs_one_after_the_other(
    page, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    names = {}
    promised = []
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
        promised += re.findall(r"^print\(.*?\)(?:  |\n)# (.*)", block, re.MULTILINE)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(promised) >= (1 if page.stem in SHORT else 4)
    for line, promise in zip(printed, promised, strict=True):
        assert promise.startswith(line)


def printed_by(code: str, file: Path) -> str:
    """What a program prints, in a process of its own."""
    _ = file.write_text(code, encoding="utf-8")
    command = [sys.executable, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_the_page_of_proof_prints_a_script_that_fails_with_one_unit_and_step(
    tmp_path: Path,
) -> None:
    (block,) = blocks(DOCS / "proof.md", "python")
    script = printed_by(block, tmp_path / "block.py")
    assert "def forgetful" in script
    assert "init_params(jax.random.key(0), 1, 1)" in script
    assert "steps=1" in script
    assert "The state before is ignored" in printed_by(script, tmp_path / "small.py")


def trained(module: lstm_jax.LSTM) -> None:
    """A step of gradient descent on the module itself."""
    xs = jnp.ones((3, 2, module.spec.input_size), module.dtype_of_params())

    def loss(params: Any) -> Any:
        return (lstm_jax.lstm(params, xs)[0] ** 2).sum()

    steps = jax.tree.map(
        lambda a, d: a - d, module.params(), jax.grad(loss)(module.params())
    )
    module.load_params(steps)


def is_torchs(module: lstm_jax.LSTM, run: Any) -> bool:
    xs = jnp.linspace(-1, 1, 7 * 3 * 10).reshape(7, 3, 10)
    with torch.no_grad():
        expected, _ = parity.to_torch(module).eval()(torch.from_numpy(np.array(xs)))
    return bool(np.abs(run(module, xs)[0] - expected.numpy()).max() < 1e-5)


@pytest.mark.slow
def test_the_examples_agree_with_torch_after_a_step_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(README, "python"):
        exec(compile(block, str(README), "exec"), names)
        for value in list(names.values()):
            if isinstance(value, lstm_jax.LSTM):
                trained(value)
        model = lstm_jax.LSTM.from_params(names["model"].params())
        if model.spec.input_size == 10:
            assert is_torchs(names["model"], names["run"])


def test_a_compiled_closure_would_be_seen() -> None:
    model = lstm_jax.LSTM(10, 4, rngs=nnx.Rngs(0))
    closed = jax.jit(model)
    assert is_torchs(model, lambda _, xs: closed(xs))
    trained(model)
    assert not is_torchs(model, lambda _, xs: closed(xs))


def test_the_first_screen_begins_and_installs() -> None:
    first = "\n".join(TEXT.splitlines()[:50])
    for needed in ("parity.from_torch", "python -m parity check", "pip install"):
        assert needed in first


def test_the_table_of_the_readme_is_a_part_of_the_page_of_proof() -> None:
    few = ROW.findall(TEXT)
    assert len(few) == 6
    assert set(few) <= set(ROW.findall(PROOF))
    others = re.findall(r"The other (\d+) cases", TEXT)
    assert others == [str(len(ROW.findall(PROOF)) - len(few))]


@pytest.mark.slow
def test_the_table_has_the_cases_and_no_error_of_another_order(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # a row is a line
    assert main(["check"]) == 0
    printed = {
        line.strip(" |").split("  ")[0].strip(): re.findall(r"\d+\.\d", line)
        for line in capsys.readouterr().out.splitlines()
    }
    rows = ROW.findall(PROOF)
    # The page has the figures of AVX-512; narrower sums round elsewhere.
    factor = 3 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 10
    assert {case.name for case in CASES} == {name for name, _ in rows}
    for name, numbers in rows:
        ours = [float(number) for number in re.findall(r"\d+\.\d", numbers)]
        assert len(ours) == 5
        for a, b in zip(ours, map(float, printed[name]), strict=True):
            assert a / factor - 0.1 <= b <= factor * a + 0.1, name
