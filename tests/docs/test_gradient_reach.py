"""How far back a gradient reaches: what the example measures, and what it says."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.gradient_reach import measure as example
from tests.given import ROOT

README = (ROOT / "examples" / "gradient_reach" / "README.md").read_text("utf-8")
ROW = re.compile(r"^\| ((?:plain|LSTM)[^|]*) \| (.*) \|$", re.MULTILINE)
WORDS = re.compile(r"> \d+|[\d.]+")


def halved() -> Any:
    """A plain RNN whose state is halved at every step, as long as it is 0."""
    params = example.draw_rnn(jax.random.key(0))
    zeros = jax.tree.map(jnp.zeros_like, params)
    half = 0.5 * jnp.eye(example.HIDDEN)
    return {**zeros, "weight_ih_l0": params["weight_ih_l0"], "weight_hh_l0": half}


def test_a_state_that_is_halved_falls_under_a_thousandth_after_ten_steps() -> None:
    xs = jnp.zeros((21, example.SEQUENCES, example.FEATURES))
    curve = example.reach(example.rnn, halved(), xs)
    np.testing.assert_allclose(curve, 0.5 ** np.arange(21), rtol=1e-6)
    assert example.falls_under(np.asarray(curve)[None]) == [10]


def test_a_curve_that_stays_above_has_no_step() -> None:
    assert example.falls_under(np.full((1, 9), 0.5)) == [np.inf]
    assert example.cell([np.inf, 3.0, 4.0], 8) == "4 (3 to > 8)"


def test_the_task_is_to_write_the_letters_after_the_wait() -> None:
    xs, letters = example.copy_task(jax.random.key(1), 7, 4)
    tokens = np.asarray(xs.argmax(-1))
    assert tokens.shape == (3 + 4 + 3, 7)
    np.testing.assert_array_equal(tokens[:3], letters)
    assert np.all(tokens[3:7] == example.BLANK)
    assert np.all(tokens[7:] == example.GO)
    assert tokens[:3].max() < example.LETTERS


def test_a_plain_rnn_is_torchs(torch: Any) -> None:
    params = example.draw_rnn(jax.random.key(0))
    model = torch.nn.RNN(example.FEATURES, example.HIDDEN)
    weights = {name: torch.tensor(np.array(a)) for name, a in params.items()}
    assert list(model.load_state_dict(weights)) == [[], []]
    xs, _ = example.copy_task(jax.random.key(1), 7, 4)
    with torch.no_grad():
        expected = model(torch.tensor(np.array(xs)))[0].numpy()
    np.testing.assert_allclose(example.rnn(params, xs), expected, atol=1e-6)


@pytest.mark.slow
def test_the_fast_run_draws_and_its_loss_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", "--fast", "--out", str(tmp_path)])
    example.main()
    rows = dict(ROW.findall(capsys.readouterr().out))
    assert list(rows) == list(example.NETWORKS)
    for row in rows.values():
        loss = float(WORDS.findall(row.split("|")[-1])[0])
        assert loss < 0.99 * np.log(example.LETTERS)
    assert (tmp_path / "reach.png").read_bytes().startswith(b"\x89PNG")


def numbers(row: str, column: int) -> list[float]:
    """Median, least and most of a cell; what does not fall under is infinite."""
    words = WORDS.findall(row.split("|")[column])
    return [np.inf if word[0] == ">" else float(word) for word in words]


def test_the_order_that_the_readme_states_is_that_of_its_table() -> None:
    plain, lstm, biased = (dict(ROW.findall(README))[name] for name in example.NETWORKS)
    drawn = [numbers(row, 0) for row in (plain, lstm, biased)]
    assert drawn[0][2] < 20
    assert drawn[0][2] < drawn[1][1] < drawn[1][2] < drawn[2][1]
    right = [numbers(row, 2)[0] for row in (plain, lstm, biased)]
    assert right == sorted(right)


@pytest.mark.slow
def test_the_networks_as_drawn_reach_as_far_as_the_readme_says() -> None:
    for name, row in ROW.findall(README):
        found = example.measured(name, example.FULL[0], 1, example.FULL[2])
        steps = sorted(example.falls_under(found["before"]))
        assert [steps[2], steps[0], steps[-1]] == numbers(row, 0)
