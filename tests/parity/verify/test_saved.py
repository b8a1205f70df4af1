"""Golden files: a check that another machine, device or version is judged by."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from parity.judge.cases import Case
from parity.verify.compare import compare
from parity.verify.compared import Compared
from parity.verify.conditions import Conditions
from parity.verify.saved import Golden, golden_of, read, write
from tests.given import ROOT

# Written by jax 0.10.2 and torch 2.13.0 on a CPU: `python -m tests.given.golden`.
STORED = ROOT / "tests" / "given" / "golden.npz"
SMALL = Case(name="small", input_size=2, hidden_size=2, steps=3, batch=(2,))


def golden(case: Case = SMALL) -> Golden:
    kept: list[Compared] = []
    _ = compare(case, Conditions(keep=kept.append))
    return golden_of(kept[0], {"jax": "1.2.3", "device": "abacus"})


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "small.npz"
    write(path, [golden()])
    return path


def test_what_was_saved_elsewhere_is_met_here() -> None:
    reports = parity.check_against(STORED)
    assert [report.facts["dtype"] for report in reports] == [
        "float32",
        "float32",
        "float64",
        "bfloat16",
    ]
    for report in reports:
        assert report.ok, report
        assert report.sides == ("jax", "torch", "oracle")
        assert "jax 0.10.2" in report.facts["saved"]
        assert report.facts["saved_jax"] < 1e-2
        assert "JAX with exact values of a file, beside torch's numbers" in str(report)


@pytest.mark.parametrize(
    "options",
    [
        {"lengths": True, "num_layers": 2, "bidirectional": True},
        {"resets": True, "reset_state": True, "proj_size": 1},
        {"dtype": "float64", "batch": ()},
        {"dtype": "bfloat16", "bias": False, "given_state": False},
    ],
)
def test_a_check_comes_back_bit_for_bit(options: Any, tmp_path: Path) -> None:
    saved = golden(replace(SMALL, **options))
    write(tmp_path / "a.npz", [saved, saved])
    first, second = read(tmp_path / "a.npz")
    assert second.case == first.case
    assert (first.case, first.facts) == (saved.case, saved.facts)
    pairs = [(saved.problem, first.problem), (dict(saved.given), dict(first.given))]
    pairs += [
        ({k: dict(v) for k, v in one.items()} for one in (saved.sides, first.sides))
    ]
    for before, after in pairs:
        leaves, others = jax.tree.leaves(before), jax.tree.leaves(after)
        assert jax.tree.structure(before) == jax.tree.structure(after)
        for a, b in zip(leaves, others, strict=True):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    assert saved.exact.keys() == first.exact.keys()
    for key, exact in saved.exact.items():
        again = first.exact[key]
        assert (again.value == exact.value).all()
        assert (again.noise == exact.noise).all()
        assert again.steps == exact.steps


def test_the_same_numbers_differ_by_nothing(path: Path) -> None:
    [report] = parity.check_against(path)
    assert (report.verdict, report.title) == ("ok", "small")
    assert report.facts["saved_jax"] == 0
    assert "JAX when it was saved: the same numbers" in str(report)


def test_another_function_fails_and_the_mistake_is_named(path: Path) -> None:
    def forgetful(params: Any, xs: Any, state: Any) -> Any:
        del state
        return lstm_jax.lstm(params, xs)

    [report] = parity.check_against(path, run=forgetful)
    assert report.verdict == "FAIL"
    assert report.advice[0] == "The state before is ignored: hand it to the first step."
    assert report.facts["saved_jax"] > 0.01
    assert "JAX when it was saved: other by up to" in str(report)


Change = Callable[[Any, Any], object]


def spoilt(path: Path, change: Change) -> str:
    """What is said of a file with a change to its arrays or its text."""
    with np.load(path) as held:
        arrays = dict(held)
    about = json.loads(arrays["golden"].tobytes())
    _ = change(arrays, about)
    if "golden" in arrays:
        arrays["golden"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    other = path.with_name("spoilt.npz")
    np.savez(other, **arrays)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _ = read(other)
    return str(caught.value).removeprefix(str(other))


def test_a_file_of_another_kind_or_version_is_refused(path: Path) -> None:
    assert spoilt(path, lambda arrays, _: arrays.pop("golden")) == (
        " must be a file of check --save: it has no array 'golden'. Make one with "
        "python -m parity check --save run.npz."
    )
    assert spoilt(path, lambda _, about: about.update(format=2)) == (
        " must be of format 1: it is of 2, of another version of this program. Save it "
        "again."
    )


def in_case(name: str, value: Any) -> Change:
    return lambda _, about: about["checks"][0]["case"].update({name: value})


def in_arrays(name: str, value: Any) -> Change:
    return lambda arrays, _: arrays.update({name: np.array(value)})


DAMAGES = {
    "no checks": lambda _, about: about.pop("checks"),
    "checks that are none": lambda _, about: about.update(checks=7),
    "a check that is none": lambda _, about: about.update(checks=[7]),
    "no case": lambda _, about: about["checks"][0].pop("case"),
    "facts that are none": lambda _, about: about["checks"][0].update(facts=1),
    "an unknown field": in_case("colour", 1),
    "a size that is a word": in_case("steps", "many"),
    "a size that is larger": in_case("steps", 10**9),
    "many layers": in_case("num_layers", 10**9),
    "no such type": in_case("dtype", "int8"),
    "a batch of words": in_case("batch", ["a"]),
    "a mask that is not there": in_case("lengths", True),
    "weights of another shape": in_arrays("0/params/weight_hh_l0", [1.0]),
    "complex weights": in_arrays("0/params/bias_hh_l0", np.zeros(8, "complex64")),
    "no inputs": lambda arrays, _: arrays.pop("0/xs"),
    "no exact value": lambda arrays, _: arrays.pop("0/exact/ys"),
    "an exact value of another shape": in_arrays("0/exact/h_n", [1.0]),
    "noise of another shape": in_arrays("0/noise/ys", [1.0]),
    "too few sets": in_arrays("0/exact/d_xs", np.zeros((1, 3, 2, 2))),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_does_not_fit_is_refused_in_a_sentence(path: Path, damage: Any) -> None:
    said = spoilt(path, damage)
    assert said.startswith(" cannot be read as a file of check --save: ")
    assert said.endswith(". Save it again.")
    assert "\n" not in said
