"""Weights into every framework and out of it: its numbers, and what comes back.

A row that is added to `tests/given/routes.py` enters every test here.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_jax
import parity
from parity.frameworks.framework import Outputs
from parity.judge.cases import SETS, Case, Cotangents, Problem
from parity.judge.exact import of_oracle
from parity.judge.tensors import Primals, by_key, by_name
from tests.given.libraries import file_of, needs_peer
from tests.given.routes import ROUTES, Route

ONE = Case(name="one layer", given_state=False)
BOTH = replace(ONE, name="bidirectional", num_layers=2, bidirectional=True)
CASES = [
    ONE,
    replace(ONE, name="three layers", num_layers=3),
    BOTH,
    replace(ONE, name="no bias", bias=False),
    replace(BOTH, name="projection", num_layers=1, proj_size=2),
]

pytestmark = pytest.mark.usefixtures("unoptimised")


@pytest.fixture(autouse=True)
def _keras_on_jax(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras chooses its backend, and reads its settings, when it is imported."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


@pytest.fixture
def route(request: pytest.FixtureRequest) -> Route:
    """A row; torch's is skipped where there is none."""
    if request.param.name == "torch":
        request.getfixturevalue("torch")
    return request.param


def lost_by(route: Route, case: Case) -> dict[str, str]:
    return parity.losses(case.spec, route.target)


def rows(few: dict[str, list[Case]], own: bool = False) -> pytest.MarkDecorator:
    """Every row with every case; slow but for those rows that compile in no time, what
    a row refuses, and a few. `own`: without those that the framework cannot make."""
    found = []
    for route in ROUTES:
        for case in CASES:
            if own and lost_by(route, case).keys() & {"projection", "no bias"}:
                continue
            refused = case.proj_size > 0 and route.target != "torch"
            fast = refused or not route.slow or case in few.get(route.name, [])
            slow = needs_peer(route) or not fast
            values, marks = (route, case), [pytest.mark.slow] * slow
            name = f"{route.name}-{case.name}"
            found.append(pytest.param(*values, id=name, marks=marks))
    return pytest.mark.parametrize(("route", "case"), found, indirect=["route"])


def params_in(found: Any) -> dict[str, np.ndarray]:
    """Torch's names to arrays of what a `from_X` gives."""
    params = found if isinstance(found, dict) else found.params()
    named = {n if "_l" in n else f"{n}_l0": np.asarray(a) for n, a in params.items()}
    assert named
    return named


def drawn(case: Case, params: Any = None) -> Problem:
    """The problem of a case, with all outputs weighted."""
    problem = case.draw(params)
    return problem._replace(cotangents=Cotangents(*(a[:1] for a in problem.cotangents)))


def without_what_is_lost(params: Any, lost: dict[str, str]) -> dict[str, np.ndarray]:
    """The parameters as they come back where these losses are all that happens."""
    back = dict(params)
    for name, array in params.items():
        if "no bias" in lost and name.startswith("weight_ih"):
            suffix = name.removeprefix("weight_ih")
            zeros = np.zeros(len(array), array.dtype)
            back |= {f"bias_ih{suffix}": zeros, f"bias_hh{suffix}": zeros}
        if "two biases" in lost and name.startswith("bias_ih"):
            other = name.replace("ih", "hh")
            back[name] = array + params[other]
            back[other] = np.zeros_like(array)
    return back


def assert_same(found: Any, expected: Any, rounded: bool) -> None:
    """Bit-equal; where a forget bias was moved by 1, that one but for a rounding."""
    assert found.keys() == expected.keys()
    for name, array in found.items():
        a, b = array, expected[name]
        assert a.dtype == b.dtype
        if rounded and name.startswith("bias_ih"):
            moved = np.abs(a - b).reshape(4, -1).max(axis=1)
            assert moved[1] <= np.finfo(a.dtype).eps
            a, b = (np.delete(each.reshape(4, -1), 1, axis=0) for each in (a, b))
        np.testing.assert_array_equal(a, b, err_msg=name)


def errors_of(route: Route, case: Case, written: Any, problem: Problem) -> list[float]:
    """How far the framework's own runtime is from exact, in roundings."""
    cotangents = Outputs(*(a[0] for a in problem.cotangents))
    outputs, d_weights, d_xs = route.derive(written, problem.xs, cotangents)
    found, exact = by_key(outputs, []), of_oracle(problem)
    if d_weights is not None:
        gradients = params_in(route.read(d_weights))
        for name in [n for n in gradients if n.startswith("bias_ih")]:
            gradients[name] = _less_added(gradients[name], route.added)
            # Where there is one bias, its gradient is that of both.
            if "two biases" in lost_by(route, case):
                gradients[name.replace("ih", "hh")] = gradients[name]
        gradients = {n: gradients[n] for n in problem.params}
        named = by_name(Primals(gradients, d_xs, None, None))
        found |= {(name, SETS[0]): np.asarray(a) for name, a in named.items()}
        assert found.keys() == exact.keys()
    return [case.distance(key[0], found[key], exact[key]).error for key in found]


def _less_added(bias: np.ndarray, added: float) -> np.ndarray:
    return bias - np.repeat([0, added, 0, 0], len(bias) // 4).astype(bias.dtype)


@rows({"nnx OptimizedLSTMCell": [BOTH], "linen OptimizedLSTMCell": [ONE]})
def test_what_is_written_gives_the_numbers_and_comes_back(
    route: Route, case: Case
) -> None:
    lost, params = lost_by(route, case), drawn(case).params
    lstm = lstm_jax.LSTM.from_params(params, batch_first=case is BOTH)
    if "projection" in lost:
        with pytest.raises(NotImplementedError) as caught:
            _ = route.write(lstm)
        assert str(caught.value) == (
            f"to_{route.target}: {lost['projection']} It is a part of the function: "
            "convert an LSTM without one."
        )
        return
    written = route.write(lstm)
    assert max(errors_of(route, case, written, drawn(case))) <= case.budget
    back = params_in(route.read(written))
    assert_same(back, without_what_is_lost(params, lost), "forget bias" in lost)


@rows({"nnx LSTMCell": [ONE]}, own=True)
def test_what_the_framework_made_gives_its_numbers_here_and_goes_back(
    route: Route, case: Case
) -> None:
    own = route.own(1, case)
    read = route.read(own)
    params = params_in(read)
    assert params.keys() == drawn(case).params.keys()
    problem = drawn(case, params)
    assert max(errors_of(route, case, own, problem)) <= case.budget
    ys, (h, c) = lstm_jax.lstm(params, problem.xs)
    exact = of_oracle(problem)
    for key, array in by_key((ys, h, c), []).items():
        assert case.distance(key[0], array, exact[key]).error <= case.budget
    again = params_in(route.read(route.write(read)))
    assert_same(again, params, "forget bias" in lost_by(route, case))


@pytest.mark.slow
@pytest.mark.parametrize("target", ROUTES, ids=lambda route: f"to {route.name}")
@pytest.mark.parametrize("source", ROUTES, ids=lambda route: f"from {route.name}")
def test_every_framework_gives_to_every_other(source: Route, target: Route) -> None:
    params = params_in(source.read(source.own(2, BOTH)))
    problem = drawn(BOTH, params)
    written = target.write(lstm_jax.LSTM.from_params(params))
    assert max(errors_of(target, BOTH, written, problem)) <= BOTH.budget


@pytest.mark.slow
@pytest.mark.parametrize("target", ROUTES, ids=lambda route: route.name)
def test_trained_weights_give_the_numbers_and_come_back(target: Route) -> None:
    """Of a voice detector: biases that differ, and gates that are far from random."""
    path = file_of("silero_vad", "data", "silero_vad_16k.safetensors")
    (found,) = parity.find_lstms(path)
    params = found.lstm_params
    case = Case.of(found.spec, name="silero", steps=3, given_state=False)
    written = target.write(lstm_jax.LSTM.from_params(params))
    problem = drawn(case, params)
    assert max(errors_of(target, case, written, problem)) <= case.budget
    lost = lost_by(target, case)
    back = params_in(target.read(written))
    assert_same(back, without_what_is_lost(params, lost), "forget bias" in lost)
