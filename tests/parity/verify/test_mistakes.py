"""Every known mistake makes the check fail, and is named."""

from dataclasses import replace
from functools import lru_cache

import jax
import pytest

import lstm_jax
import parity
from parity.judge import tolerance
from parity.judge.cases import Case
from parity.verify import sides
from parity.verify.mistakes import mistakes
from parity.verify.mistakes.equations import PRECISION
from parity.verify.mistakes.masks import LENGTHS, RESETS

pytestmark = pytest.mark.usefixtures("unoptimised")

MISTAKES = {mistake.name: mistake for mistake in mistakes()}
FLAT = Case(name="flat", input_size=4, hidden_size=4, seed=4)


def case_for(name, **changes):
    """The smallest case in which the mistake of that name makes a difference."""
    mistake, case = MISTAKES[name], replace(FLAT, **changes)
    if mistake in LENGTHS:
        case = replace(case, lengths=True, batch=(8,))
    if mistake in RESETS:
        case = replace(case, resets=True, reset_state=True, batch=(8,))
    if name.startswith("layers"):
        case = replace(case, num_layers=3)
    both = ("directions", "reverse outputs", "reverse from")
    return replace(case, bidirectional=name.startswith(both))


def test_every_wrong_gate_order_is_a_million_roundings_away(monkeypatch):
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])
    right = FLAT.draw().params
    for name, mistake in MISTAKES.items():
        if name.startswith("gates "):
            report = parity.check(right, mistake.change(right, FLAT.spec))
            assert max(row.error for row in report.rows) > 1e6, name


# Every gate order but two is named by `make test-all`: to try all costs a second each.
NAMED = [
    pytest.param(name, marks=pytest.mark.slow)
    if name.startswith("gates ") and not name.endswith(("o, f, g", "i, f, o"))
    else name
    for name in MISTAKES
]


@pytest.mark.parametrize("name", NAMED)
def test_a_wrong_lstm_fails_and_is_named(name):
    mistake, case = MISTAKES[name], case_for(name)
    if mistake.run is lstm_jax.lstm:  # the weights are wrong
        right = case.draw().params
        report = parity.check(right, mistake.change(right, case.spec))
    else:
        report = parity.check_case(case, run=mistake)
    assert not report.ok
    assert report.advice[0] == mistake.says, report.messages()
    assert report.advice[-1].startswith("First wrong: ")


@pytest.mark.slow
def test_a_mistake_deep_in_a_stack_is_named():
    case = Case(name="deep", num_layers=2, proj_size=2)
    mistake = MISTAKES["dW_hh with h_t"]
    report = parity.check_case(case, run=mistake)
    assert not report.ok
    assert report.advice[0] == mistake.says, report.messages()


def test_every_gate_order_but_torchs_is_a_mistake():
    orders = [name for name in MISTAKES if name.startswith("gates ")]
    assert len(orders) == 23
    assert "gates i, f, g, o" not in orders


def test_there_are_wrong_lengths_and_resets():
    assert len(LENGTHS) == 11
    assert len(RESETS) == 10
    assert {*LENGTHS, *RESETS} < set(MISTAKES.values())


@lru_cache
def drawn(case):
    problem = case.draw()
    return problem, sides.of_oracle(problem)


def is_seen(mistake, case):
    """Whether it fails; the outputs alone are run where they show it."""
    if not mistake.gradients:
        problem, exact = drawn(case)
        values = sides.outputs_of_jax(mistake.run, problem, mistake.change)
        for key, value in values.items():
            if case.distance(key[0], value, exact[key]).error > case.budget:
                return True
    return not parity.check_case(case, run=mistake).ok


# Of those above a half type's own rounding, the nearest to it at each size, measured.
NEAREST = ["b_hh dropped", "forget bias -1", "hard sigmoid", "length 0 as 1"]
NEAREST += ["gradient of the state before stopped", "reverse from the padded end"]


@pytest.mark.parametrize("name", NEAREST)
def test_a_wrong_lstm_fails_in_half_precision(monkeypatch, name):
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])
    case = case_for(name, input_size=64, hidden_size=64, dtype="bfloat16")
    assert is_seen(MISTAKES[name], case)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("size", [4, 64, 256])
def test_every_wrong_lstm_fails_in_half_precision(monkeypatch, size, dtype):
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])
    sizes = {"input_size": size, "hidden_size": size, "dtype": dtype}
    unseen = [
        name
        for name, mistake in MISTAKES.items()
        if mistake not in PRECISION and not is_seen(mistake, case_for(name, **sizes))
    ]
    drawn.cache_clear()
    jax.clear_caches()
    assert unseen == []


@pytest.mark.parametrize("name", ["TF32 products", "bf16 products", "bf16 state"])
@pytest.mark.parametrize("size", [4, 64, 256])
def test_fewer_bits_fail_at_every_size(monkeypatch, name, size):
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])
    case = Case(name="bits", input_size=size, hidden_size=size, steps=5, batch=(2,))
    report = parity.check_case(case, run=MISTAKES[name])
    assert not report.ok
    assert max(row.error for row in report.rows) > 10 * tolerance.BUDGETS["float32"]
