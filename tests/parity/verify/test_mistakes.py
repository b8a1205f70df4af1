"""Every known mistake makes the check fail, and is named."""

from dataclasses import replace
from functools import lru_cache, partial

import jax
import pytest

import lstm_jax
from parity.judge import tolerance
from parity.judge.cases import Case
from parity.verify import sides
from parity.verify.compare import compare
from parity.verify.compared import Compared, judged
from parity.verify.conditions import Conditions
from parity.verify.diagnose import advice
from parity.verify.mistakes import MISTAKES, Mistake
from parity.verify.mistakes.equations import PRECISION
from parity.verify.mistakes.lengths import PADDING
from parity.verify.mistakes.weights import GATE_ORDERS

pytestmark = pytest.mark.usefixtures("unoptimised")


def named(name):
    (found,) = (mistake for mistake in MISTAKES if mistake.name == name)
    return found


def checked(mistake, case):
    """The report of a mistake in the place of the right function and weights."""
    weights = mistake.spoilt(case.draw()).params
    return compare(case, Conditions(run=mistake.run), ours=weights)


def is_tried_whole(mistake):
    """Whether `make test` runs the whole check of it: two programs to be compiled."""
    return mistake.says == PADDING or mistake == GATE_ORDERS[0]


WHOLE = [
    pytest.param(
        mistake,
        id=mistake.name,
        marks=() if is_tried_whole(mistake) else pytest.mark.slow,
    )
    for mistake in MISTAKES
]


@pytest.mark.parametrize("mistake", WHOLE)
def test_a_wrong_lstm_fails_and_is_named(mistake):
    report = checked(mistake, mistake.smallest_case())
    assert report.verdict == "FAIL"
    assert report.advice[0] == mistake.says, report.messages()
    assert report.advice[-1].startswith("First wrong: ")


@lru_cache
def drawn(case):
    problem = case.draw()
    return problem, sides.of_oracle(problem)


def outputs_of(mistake, problem):
    return sides.eager_outputs_of_jax(mistake.run, mistake.spoilt(problem))


def error_of_outputs(mistake, case):
    """The largest error of the outputs and states, in roundings."""
    problem, exact = drawn(case)
    values = outputs_of(mistake, problem)
    return max(case.distance(k[0], a, exact[k]).error for k, a in values.items())


SEEN_IN_OUTPUTS = [m for m in MISTAKES if not m.gradients and m.says != PADDING]


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SEEN_IN_OUTPUTS, ids=lambda mistake: mistake.name)
def test_the_outputs_of_a_wrong_lstm_name_it(mistake):
    case = mistake.smallest_case()
    assert error_of_outputs(mistake, case) > case.budget
    problem, exact = drawn(case)
    compared = Compared(
        case=case,
        problem=problem,
        given=mistake.spoilt(problem).params,
        exact=exact,
        actual=judged(case, exact, outputs_of(mistake, problem)),
        torch={},
    )
    found = advice(compared, partial(outputs_of, mistake))
    assert found[0] == mistake.says, found


def test_only_trained_weights_show_biases_in_another_order():
    mistake = named("biases i, o, f, g")
    case = mistake.smallest_case()
    trained = case.draw().params
    zeros = {k: 0 * a if "bias" in k else a for k, a in trained.items()}
    for right, verdict in ((zeros, "ok"), (trained, "FAIL")):
        problem = case.draw(right)
        ours = mistake.spoilt(problem).params
        report = compare(case, Conditions(), problem.params, ours)
        assert report.verdict == verdict
    assert report.advice[0] == (
        "The biases are read as i, o, f, g, and the kernels are not: biases of zeros "
        "do not show it. Is the source in the order of ONNX?"
    )


@pytest.mark.slow
def test_a_mistake_deep_in_a_stack_is_named():
    mistake = named("dW_hh with h_t")
    report = checked(mistake, mistake.smallest_case(num_layers=2, proj_size=2))
    assert report.verdict == "FAIL"
    assert report.advice[0] == mistake.says, report.messages()


def test_a_mistake_is_added_by_one_row(monkeypatch):
    def halved(params, xs, state, **masks):
        ys, after = lstm_jax.lstm(params, xs, state, **masks)
        return 0.5 * ys, after

    toy = Mistake(
        name="outputs halved",
        says="The outputs are halved: double them.",
        run=halved,
        needs={"lengths": True},
    )
    monkeypatch.setattr("parity.verify.diagnose.MISTAKES", (*MISTAKES, toy))
    report = checked(toy, toy.smallest_case())
    assert report.advice == [toy.says, "First wrong: ys at time step 0."]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_applies_where_a_case_has_what_it_needs(mistake):
    case = mistake.smallest_case()
    assert mistake.applies(case)
    for name, needed in mistake.needs.items():
        lacking: dict = {name: type(needed)(not needed)}
        assert not mistake.applies(replace(case, **lacking))


def test_no_two_mistakes_have_a_name_and_none_is_right():
    names = {mistake.name for mistake in MISTAKES}
    assert len(names) == len(MISTAKES)
    assert len(GATE_ORDERS) == 23
    assert "gates i, f, g, o" not in names


def test_every_wrong_gate_order_is_a_million_roundings_away():
    case = GATE_ORDERS[0].smallest_case()
    errors = {order.name: error_of_outputs(order, case) for order in GATE_ORDERS}
    assert min(errors.values()) > 1e6, errors


def is_seen(mistake, case):
    """Whether it fails; only the outputs are run where they show it."""
    if not mistake.gradients and error_of_outputs(mistake, case) > case.budget:
        return True
    return checked(mistake, case).verdict == "FAIL"


# Of those above a half type's own rounding, the nearest to it at each size, measured.
NEAREST = ["b_hh dropped", "forget bias -1", "hard sigmoid", "length 0 as 1"]
NEAREST += ["gradient of the state before stopped", "reverse from the padded end"]


@pytest.mark.usefixtures("no_advice")
@pytest.mark.parametrize("name", NEAREST)
def test_a_wrong_lstm_fails_in_half_precision(name):
    mistake = named(name)
    sizes = {"input_size": 64, "hidden_size": 64, "dtype": "bfloat16"}
    assert is_seen(mistake, mistake.smallest_case(**sizes))


@pytest.mark.slow
@pytest.mark.usefixtures("no_advice")
@pytest.mark.parametrize(
    ("size", "dtype"),
    [(4, "bfloat16"), (64, "bfloat16"), (256, "bfloat16"), (64, "float16")],
)
def test_every_wrong_lstm_fails_in_half_precision(size, dtype):
    sizes = {"input_size": size, "hidden_size": size, "dtype": dtype}
    tried = [mistake for mistake in MISTAKES if mistake not in PRECISION]
    assert len(tried) > 60
    unseen = [m.name for m in tried if not is_seen(m, m.smallest_case(**sizes))]
    drawn.cache_clear()
    jax.clear_caches()
    assert unseen == []


@pytest.mark.parametrize("size", [4, 64, 256])
def test_fewer_bits_fail_at_every_size(size):
    case = Case(name="bits", input_size=size, hidden_size=size, steps=5, batch=(2,))
    errors = {mistake.name: error_of_outputs(mistake, case) for mistake in PRECISION}
    assert len(errors) == 3
    assert min(errors.values()) > 10 * tolerance.BUDGETS["float32"], errors
