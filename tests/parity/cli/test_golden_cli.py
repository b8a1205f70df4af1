"""`check --save`, `--against` and `--reduce`."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from parity.__main__ import main
from parity.judge.cases import CASES
from parity.verify.conditions import Conditions

SMALL = CASES[:1]


@pytest.fixture(autouse=True)
def _few_cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("parity.cli.check.CASES", SMALL)
    monkeypatch.chdir(tmp_path)


def weights() -> str:
    params = lstm_jax.init_params(jax.random.key(0), 2, 2)
    parity.write_tensors(params, "model.safetensors")
    return "model.safetensors"


def test_a_saved_check_is_met_again(capsys: Any) -> None:
    options = ["check", weights(), "--dtype", "float32"]
    assert main([*options, "--save", "run.npz"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("saved: run.npz, 0.")
    assert main(["check", "--against", "run.npz", "--json", "again.json"]) == 0
    out = capsys.readouterr().out
    assert "2 -> 2, float32, in model.safetensors" in out
    assert "JAX when it was saved: the same numbers" in " ".join(out.split())
    assert "saved by lstm_jax" in " ".join(out.split())


def test_options_that_are_in_the_file_are_refused(capsys: Any) -> None:
    wrong = {
        "FILE": ["model.npz"],
        "--random": ["--random", "3"],
        "--dtype": ["--dtype", "float64"],
        "--seed": ["--seed", "1"],
        "--save": ["--save", "b.npz"],
        "--reduce": ["--reduce", "b.py"],
    }
    for name, given in wrong.items():
        assert main(["check", "--against", "a.npz", *given]) == 2
        assert capsys.readouterr().err.strip() == (
            f"python -m parity: check: {name} must not come with --against: weights, "
            "inputs and types are those of a.npz. Leave it out."
        )
    assert list(Path().iterdir()) == []


def test_files_of_other_kinds_are_refused(capsys: Any) -> None:
    assert main(["check", "--against", weights()]) == 2
    assert capsys.readouterr().err.strip() == (
        "python -m parity: model.safetensors must be a file of check --save: it has no "
        "array 'golden'. Make one with python -m parity check --save run.npz."
    )
    assert main(["check", "--save", "run.safetensors"]) == 2
    assert "--save run.safetensors must end in .npz" in capsys.readouterr().err
    assert main(["check", "--reduce", "run.sh"]) == 2
    assert "--reduce run.sh must end in .py" in capsys.readouterr().err


def test_nothing_is_saved_where_nothing_was_checked(capsys: Any) -> None:
    np.save("xs.npy", np.ones((4, 1, 3), np.float32))
    options = ["--input", "xs.npy", "--dtype", "float32", "--save", "run.npz"]
    assert main(["check", weights(), *options]) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "run.npz was not written: nothing was checked"


def test_nothing_is_reduced_where_nothing_fails(capsys: Any) -> None:
    assert main(["check", "--reduce", "small.py"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "small.py was not written: nothing failed"
    assert not Path("small.py").exists()


@pytest.mark.slow
def test_a_failure_is_reduced_to_a_script(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this machine's own `lstm` is wrong, as under a bug of a compiler."""
    right = lstm_jax.lstm

    def wrong(params: Any, xs: Any, state: Any, **masks: Any) -> Any:
        ys, after = right(params, xs, state, **masks)
        return ys + 1, after

    monkeypatch.setattr("lstm_jax.lstm", wrong)
    monkeypatch.setattr("parity.cli.check.Conditions", partial(Conditions, run=wrong))
    assert main(["check", "--reduce", "small.py"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("reduced: small.py, after ")
    text = Path("small.py").read_text(encoding="utf-8")
    assert "lstm_jax.init_params(jax.random.key(0), 1, 1)" in text
    assert re.search(r"print\(parity.check\(params, steps=[12], batch=", text)
