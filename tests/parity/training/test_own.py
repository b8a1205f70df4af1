"""A right training is never called wrong: torch's own roundings decide."""

from dataclasses import replace
from typing import Any

import numpy as np
import optax
import pytest
from flax import nnx

from lstm_jax import LSTMModel
from parity import check_training
from parity.training import own as module
from parity.training.judged import distances
from parity.training.own import Own, own_of
from parity.training.recipe import torch_recipe
from parity.training.work import Run, draw

pytestmark = pytest.mark.usefixtures("unoptimised", "torch")


def small() -> LSTMModel:
    return LSTMModel(3, 4, 2, rngs=nnx.Rngs(0))


def own(dtype: str, optimizer: str = "adam", steps: int = 6) -> Own:
    work = draw(small(), steps, 0)
    return own_of(work, torch_recipe(optimizer, 0.01), dtype)


def off(run: Run, share: float) -> Run:
    weights = {name: array * (1 + share) for name, array in run.weights.items()}
    return run._replace(weights=weights)


def test_more_orders_decide_where_few_would_let_it_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 8 orders the worst is further off than of one: what lies between passes."""
    monkeypatch.setattr(module, "FEW", 1)
    monkeypatch.setattr(module, "MANY", 8)
    few = own("float32", steps=40)
    before = few.budget.weights
    worse = replace(few)
    many = module._trained(few, 8, 40)
    after = 2 * max(far.worst.max() for far in many)
    assert after > 1.05 * before
    far = distances(off(few.exact, (before + after) / 2), few.exact)
    assert few.parting(far) is None
    assert few.budget.weights == after
    assert worse.parting(distances(off(worse.exact, 2 * after), worse.exact))


def test_many_trainings_begin_a_rounding_off() -> None:
    """A gradient that a rounding decides is not seen by the order of rows alone."""
    work = draw(small(), 1, 0)
    for dtype in ("float32", "float64"):
        works = list(module._nudged(work, dtype, module.FEW + 2))
        for name, weight in work.params.items():
            same, *moved = (w.params[name] for w in works[module.FEW - 1 :])
            np.testing.assert_array_equal(same, weight)
            for array in moved:
                assert array.dtype == dtype
                off = np.abs(array - same) / np.spacing(np.abs(same))
                assert 0.4 < off.min() <= off.max() <= 1
            assert (moved[0] != moved[1]).any()


def test_what_is_much_further_off_trains_no_more_orders() -> None:
    few = own("float32")
    assert few.parting(distances(off(few.exact, 1e-3), few.exact)) is not None
    assert len(few.far) == module.FEW


SHAKY: dict[str, tuple[dict[str, Any], int]] = {
    "a rate without end": ({"optimizer": "sgd", "rate": 10.0}, 6),
    "in float32": ({"optimizer": "sgd", "rate": 10.0, "dtype": "float32"}, 5),
    "0 / 0": ({"clip": 0.0, "eps": 0.0}, 1),
}


@pytest.mark.parametrize("name", SHAKY)
def test_a_training_that_torch_does_not_repeat_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is right up to the step that the cure names."""
    monkeypatch.setattr(module, "MANY", 8)
    options, step = SHAKY[name]
    with pytest.raises(ValueError, match="must be a steady training") as caught:
        _ = check_training(small(), steps=8, **options)
    said = str(caught.value)
    rate = options.get("rate", 0.01)
    start = f"check_training: rate={rate:g} with steps=8 must be a steady training: "
    assert said.startswith(
        f"{start}at step {step} torch's own roundings have grown to "
    )
    cure = f"steps={step - 1}, or " * (step > 1) + "a smaller rate"
    end = ", or eps=1e-8" * (step == 1)
    assert said.endswith(f", so that no training can be judged. Use {cure}{end}.")
    cured: dict[str, Any] = {"steps": step - 1} if step > 1 else {"eps": 1e-8}
    given: dict[str, Any] = {"steps": 8, **options, **cured}
    assert check_training(small(), **given).ok


def test_a_wrong_training_fails_where_torch_is_still_steady() -> None:
    wrong = optax.sgd(9.9)
    report = check_training(small(), run=wrong, optimizer="sgd", rate=10.0, steps=8)
    assert not report.ok
    assert report.parting is not None
    assert report.parting.step == 1


def test_a_float32_that_overflows_is_no_budget() -> None:
    few = own("float32")
    far = few.far[0]
    lost = replace(far, loss=np.full_like(far.loss, np.inf))
    few.far.append(lost)
    with pytest.raises(ValueError, match="must be a steady training"):
        _ = few.parting(distances(few.exact, few.exact))
