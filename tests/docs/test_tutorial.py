"""The tutorial and the page for people of PyTorch run, and say what is so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tests.given import ROOT

TUTORIAL, FROM_TORCH = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "from_torch.md"
TEXT, PAGE = (path.read_text(encoding="utf-8") for path in (TUTORIAL, FROM_TORCH))
CELL = re.compile(
    r"^```\{code-cell\}\n(?:---\n.*?^---\n)?(.*?)^```$", re.MULTILINE | re.DOTALL
)
BLOCK = re.compile(
    r"^```python\n(.*?)^```$(?:\n+^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)
PROMISE = re.compile(
    r"^print\((?:(?!^print).)*?\)(?:  |\n)# ([^\n]*)", re.MULTILINE | re.DOTALL
)
TRAINING, TRAPS = "## 3. A model, and real data", "## The traps"
SPACE = re.compile(r"\s+")
# What the traps take from the first half of the page.
BEFORE = """
import jax, jax.numpy as jnp, numpy as np, torch
from flax import nnx
import lstm_jax
theirs = torch.nn.LSTM(5, 4, num_layers=2)
params = {name: w.numpy() for name, w in theirs.state_dict().items()}
ours = lstm_jax.LSTM.from_params(params)
cell, rnn = lstm_jax.LSTMCell(5, 4, rngs=nnx.Rngs(0)), torch.nn.utils.rnn
xs, h, c = jnp.ones((7, 3, 5)), jnp.zeros((3, 4)), jnp.zeros((3, 4))
"""


def run(text: str, names: dict[str, Any]) -> None:
    """Run the cells of the notebook in order."""
    for number, cell in enumerate(CELL.findall(text)):
        source = cell.removeprefix("%%time\n")
        exec(compile(source, f"{TUTORIAL.name}, cell {number}", "exec"), names)


@pytest.fixture(autouse=True)
def _as_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_jaxtyping: None
) -> Iterator[None]:
    """A folder of its own, no window, torch's random state as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    with torch.random.fork_rng(), mpl.rc_context({"backend": "agg"}):
        yield


@pytest.mark.usefixtures("unoptimised")
def test_the_equations_of_the_article_are_torchs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {}
    run(TEXT.split(TRAINING)[0], names)
    printed = capsys.readouterr().out
    assert "equal to rounding: True" in printed
    assert "they add up: True" in printed
    assert np.abs(names["hs"] - names["theirs"].numpy()).max() < 1e-6
    for name, weight in names["trained"].named_parameters():
        found, expected = names["gradients"][name], weight.grad.numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    as_drawn = names["left_after"](names["closed"], 20)
    assert max(map(float, as_drawn)) < 0.01  # forget gates near a half


def test_every_cell_and_answer_is_found() -> None:
    cells = CELL.findall(TEXT)
    assert len(cells) == TEXT.count("```{code-cell}")
    assert TEXT.count("**Exercise ") == TEXT.count("code_prompt_show: Answer") == 7
    assert all(len(line) <= 72 for cell in cells for line in cell.splitlines())


@pytest.mark.slow
def test_the_tutorial_says_what_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    run(TEXT, names)
    printed, rmse, test = capsys.readouterr().out, names["rmse"], names["x"]["test"]
    error = {name: rmse(predicted) for name, predicted in names["results"].items()}
    # The model is better than persistence, and about as good as a linear one.
    assert error["fit"] < error["persistence"] - 0.1
    assert abs(error["by hand"] - error["fit"]) < 0.1
    assert abs(error["linear"] - error["fit"]) < 0.1
    # `fit`, told to do what the loop does, does the same.
    np.testing.assert_allclose(names["losses"], names["same"].history.loss, rtol=1e-3)
    assert names["halves"].max() < names["T"]
    slow = [lasting(names["seen_inside"].c[0][:, k]) for k in names["order"]]
    assert np.mean(slow[-16:]) > np.mean(slow[:16]) + 0.1
    assert_the_three_tips(names, printed, error["by hand"])
    assert rmse(names["swapped"](test)) > error["by hand"]
    assert "bit for bit: True" in printed
    assert np.abs(names["theirs"] - names["ours"]).max() < 1e-5


def lasting(cell: Any) -> float:
    """The correlation of a unit's cell with itself a day later."""
    return float(np.corrcoef(cell[:-1], cell[1:])[0, 1])


def assert_the_three_tips(names: dict[str, Any], printed: str, error: float) -> None:
    """Each mistake does what the text says of it."""
    scores = re.findall(
        r"^(?:°C|kelvin) +([\d.]+) °C, .* (\d+)%$", printed, re.MULTILINE
    )
    (celsius, some), (kelvin, most) = scores
    assert float(celsius) > error + 0.3
    assert float(kelvin) > 100
    assert 0 < int(some) < 90 < int(most)
    right, swapped = names["losses"], names["losses_wrong"]
    assert right[-1] < swapped[-1] < swapped[0] / 2
    assert "right    looks at other rows: False" in printed
    assert "swapped  looks at other rows: True" in printed
    (right, swapped) = re.findall(r"a prediction moves ([\d.]+) °C", printed)
    assert float(right) < 0.001 < 0.1 < float(swapped)
    assert re.search(
        r"^as it is +numbers until step \d+, test nan °C$", printed, re.MULTILINE
    )
    assert re.search(
        r"^clipped at 1 +numbers until the end, test \d", printed, re.MULTILINE
    )
    assert (names["norms"] > 1).mean() < 0.2


def said_by(source: str, names: dict[str, Any]) -> str:
    """What a block ends with, as Python prints it: the type and the message."""
    with pytest.raises(Exception) as info:  # noqa: PT011
        exec(compile(source, FROM_TORCH.name, "exec"), names)
    return SPACE.sub(" ", f"{info.typename}: {info.value}").strip()


def run_blocks(page: str, names: dict[str, Any], printed: Any) -> tuple[int, int]:
    """Run the blocks in order; how many messages and printed lines were right."""
    promised, messages = [], 0
    for source, text in BLOCK.findall(page):
        promised += PROMISE.findall(source)
        if text:
            messages += 1
            shown, more, _ = SPACE.sub(" ", text).strip().partition(" ...")
            said = said_by(source, names)
            assert said == shown if not more else said.startswith(shown)
        else:
            exec(compile(source, FROM_TORCH.name, "exec"), names)
    lines = printed.readouterr().out.splitlines()
    for line, promise in zip(lines, promised, strict=True):
        assert promise.startswith(line)
    assert not jax.config.read("jax_enable_x64")
    return messages, len(lines)


@pytest.mark.usefixtures("unoptimised")
def test_every_trap_says_what_the_page_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {}
    exec(BEFORE, names)
    assert run_blocks(PAGE.split(TRAPS)[1], names, capsys) == (PAGE.count("```text"), 7)


@pytest.mark.slow
def test_both_spellings_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_blocks(PAGE, {}, capsys) == (PAGE.count("```text"), 16)
    # What is side by side is no wider than its column.
    halves = re.findall(r":::\{grid-item\}\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert max(len(line) for half in halves for line in half.splitlines()) <= 42
