"""The smallest LSTM that shows a failure, and the script that shows it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from parity.verify.mistakes import MISTAKES
from tests.given import ROOT

FORGETS = "The state before is ignored: hand it to the first step."


def forgetful(params: Any, xs: Any, state: Any, **masks: Any) -> Any:
    """Ignores the state before."""
    del state
    return lstm_jax.lstm(params, xs, **masks)


def only_deep(params: Any, xs: Any, state: Any) -> Any:
    """Wrong where there are two layers, in the second."""
    ys, (h, c) = lstm_jax.lstm(params, xs, state)
    return (ys + 1, (h, c)) if len(h) > 1 else (ys, (h, c))


def only_large(params: Any, xs: Any, state: Any) -> Any:
    """Wrong for one value of the weights, and unable to run at fewer than 2 units."""
    ys, (h, c) = lstm_jax.lstm(params, xs, state)
    if h.shape[-1] < 2:
        raise IndexError("unit 1 of an axis of size 1")
    return ys + (params["bias_hh_l0"][1] > 5), (h, c)


def drawn(*sizes: int, **options: Any) -> dict[str, Any]:
    return lstm_jax.init_params(jax.random.key(1), *sizes, **options)


def printed(script: str, folder: Path) -> str:
    """What a script prints, run by itself."""
    path = folder / "smallest.py"
    _ = path.write_text(script, encoding="utf-8")
    command = [sys.executable, str(path)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
    return done.stdout


@pytest.mark.slow
def test_a_wrong_function_is_reduced_to_one_unit_and_one_step() -> None:
    found = parity.reduce_failure(drawn(3, 5), run=forgetful, steps=9, batch=(2, 4))
    case = found.case
    assert (case.input_size, case.hidden_size, case.steps, case.batch) == (1, 1, 1, ())
    assert found.report.advice[0] == FORGETS
    assert str(found) == found.script
    assert found.script == (
        f'''"""{found.script.split('"""')[1]}"""

import jax
import lstm_jax
import parity
from tests.parity.verify.test_reduce import forgetful

params = lstm_jax.init_params(jax.random.key(0), 1, 1)
print(parity.check(params, run=forgetful, steps=1, batch=()))
'''
    )
    assert FORGETS in " ".join(found.script.split())


@pytest.mark.slow
def test_weights_of_ones_own_are_kept_where_only_they_show_it() -> None:
    params = {name: np.array(a) for name, a in drawn(2, 3).items()}
    params["bias_hh_l0"][1] = 6
    found = parity.reduce_failure(params, run=only_large, steps=2, batch=1)
    assert (found.case.hidden_size, found.case.steps) == (2, 1)
    assert "np.array([" in found.script
    assert "6.0" in found.script
    names: dict[str, Any] = {}
    exec(found.script.replace("print(", "report = ("), names)
    assert str(names["report"]) == str(found.report)


@pytest.mark.slow
def test_a_script_asks_for_what_the_check_was_asked_for() -> None:
    masks = {"dtype": "float64", "seed": 3, "lengths": True}
    params = drawn(2, 3)
    found = parity.reduce_failure(
        params, run=forgetful, steps=1, batch=1, device="cpu", precision="high", **masks
    )
    asked = "precision='high', device='cpu'"
    assert f"dtype='float64', seed=3, {asked}))" in found.script


def test_what_is_right_is_not_reduced() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _ = parity.reduce_failure(drawn(2, 3))
    assert str(caught.value) == (
        "reduce_failure: the check must fail: it says 'ok', and there is nothing to "
        "make smaller. Give what failed, with its seed."
    )


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        _ = parity.reduce_failure(drawn(2, 3), length=True)
    assert str(caught.value) == (
        "check: length must be one of steps, batch, dtype, seed, lengths, resets, "
        "reset_state: no other is known. Leave it out."
    )


@pytest.mark.slow
def test_three_layers_of_forty_units_come_to_a_script_of_a_screen(
    tmp_path: Path,
) -> None:
    params = drawn(20, 40, 3)
    found = parity.reduce_failure(params, run=only_deep, steps=50, batch=4)
    assert (found.case.num_layers, found.case.hidden_size, found.case.steps) == (
        2,
        1,
        1,
    )
    assert len(found.script.splitlines()) <= 24
    assert printed(found.script, tmp_path).strip() == str(found.report).strip()


KINDS = ("reverse outputs not turned back", "W_hh transposed", "lengths one too short")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_smallest_is_explained_by_the_same_mistake(name: str) -> None:
    [mistake] = [one for one in MISTAKES if one.name == name]
    case = mistake.smallest_case(input_size=6, hidden_size=6, steps=12)
    sizes: dict[str, Any] = case.spec.constructor_arguments()
    masks = {k: getattr(case, k) for k in ("lengths", "resets") if getattr(case, k)}
    first, second = sizes.pop("input_size"), sizes.pop("hidden_size")
    found = parity.reduce_failure(
        drawn(first, second, **sizes), run=mistake, steps=12, batch=8, **masks
    )
    assert found.report.advice[0] == mistake.says
    assert found.case.hidden_size <= 2
    assert found.case.steps <= 4
