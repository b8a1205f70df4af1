"""Laws of every LSTM, which hypothesis tries to break: both Flax APIs, all types.

JAX runs uncompiled here, step by step: a few hundred shapes in the time of a few
compilations. `make fuzz` tries thousands.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from lstm_jax import LSTM, linen, lstm
from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from parity.verify import sides

Run = Callable[..., Any]


def as_function(params: Any) -> Run:
    return lambda xs, state, **options: lstm(params, xs, state, **options)


def as_nnx(params: Any) -> Run:
    def run(xs: Any, state: Any, *, batch_first: bool = False, **masks: Any) -> Any:
        return LSTM.from_params(params, batch_first=batch_first)(xs, state, **masks)

    return run


def as_linen(params: Any) -> Run:
    def run(xs: Any, state: Any, *, batch_first: bool = False, **masks: Any) -> Any:
        module = linen.LSTM.from_params(params, batch_first=batch_first)
        return module.apply({"params": params}, xs, state, **masks)

    return run


APIS = st.sampled_from([as_function, as_nnx, as_linen])


# Beartype uses the module random, which strategies may not: cases are made of these.
# JAX compiles an operation for each shape: few shapes are tried often, many in fuzz.
WIDE = settings.get_current_profile_name() == "fuzz"
DRAWN = st.fixed_dictionaries(
    {
        "input_size": st.integers(1, 5) if WIDE else st.just(3),
        "hidden_size": st.integers(2, 6) if WIDE else st.sampled_from([2, 4]),
        "proj_size": st.integers(0, 1),
        "num_layers": st.integers(1, 3 if WIDE else 2),
        "bidirectional": st.booleans(),
        "bias": st.booleans(),
        "steps": st.integers(1, 7) if WIDE else st.sampled_from([1, 4]),
        "batch": (
            st.lists(st.integers(0, 3), max_size=2).map(tuple)
            if WIDE
            else st.sampled_from([(), (3,), (2, 2)])
        ),
        "given_state": st.booleans(),
        "lengths": st.booleans(),
        "resets": st.booleans(),
        "reset_state": st.booleans(),
        "dtype": st.sampled_from(sorted(tolerance.BUDGETS)),
        "scale": st.sampled_from([0.3, 1.0, 3.0]),
        "seed": st.integers(0, 2**31 - 1),
    }
)


def case_of(drawn: dict[str, Any], **fixed: Any) -> Case:
    """Any LSTM of a few units, with inputs of a few steps."""
    case = Case(name="drawn", **drawn | fixed)
    return replace(case, resets=case.resets and not case.bidirectional)


def masks_of(problem: Problem) -> dict[str, Any]:
    names = ("lengths", "resets", "reset_state")
    masks = {name: getattr(problem, name) for name in names}
    return {name: mask for name, mask in masks.items() if mask is not None}


@contextmanager
def uncompiled(case: Case) -> Iterator[None]:
    """The case's type, without compilation."""
    with jax.enable_x64(case.dtype == "float64"), jax.disable_jit():
        yield


def assert_exact(case: Case, exact: Any, values: dict[sides.Key, Any]) -> None:
    for key, value in values.items():
        far = case.distance(key[0], np.asarray(value), exact[key])
        assert far.error <= case.budget, (key, far)


def assert_same(case: Case, found: Any, expected: Any) -> None:
    """Equal but for the order in which XLA adds the numbers of another shape."""
    bound = 16 * tolerance.eps_of(case.dtype) * max(1.0, case.scale)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(wide(a), wide(b), atol=bound, rtol=bound)


def wide(array: Any) -> np.ndarray:
    return np.asarray(array).astype(np.float64)


@given(api=APIS, drawn=DRAWN)
def test_outputs_and_states_are_the_oracles(api: Any, drawn: Any) -> None:
    case = case_of(drawn)
    problem = case.draw()
    with uncompiled(case):
        run = api(problem.params)
        ys, (h, c) = run(problem.xs, problem.state, **masks_of(problem))
    values = {("ys", ""): ys, ("h_n", ""): h, ("c_n", ""): c}
    assert_exact(case, sides.of_oracle(problem), values)


@settings(max_examples=settings().max_examples // 3)  # five times as slow as others
@given(drawn=DRAWN)
def test_every_gradient_is_the_oracles(drawn: Any) -> None:
    case = case_of(drawn)
    problem = case.draw()
    masks = masks_of(problem)
    fresh = masks.pop("reset_state", None)

    def run(params: Any, xs: Any, state: Any, fresh: Any) -> Any:
        ys, (h, c) = lstm(params, xs, state, reset_state=fresh, **masks)
        return ys, h, c

    with uncompiled(case):
        _, pullback = jax.vjp(run, problem.params, problem.xs, problem.state, fresh)
        cotangents = tuple(jnp.asarray(a[0]) for a in problem.cotangents)
        d_params, d_xs, d_state, d_fresh = pullback(cotangents)
    values = {("d_xs", "all"): d_xs}
    values |= {(f"d_{name}", "all"): a for name, a in d_params.items()}
    for names, pair in (("h0", "c0"), d_state), (("reset_h", "reset_c"), d_fresh):
        if pair is not None:
            values |= {(f"d_{n}", "all"): a for n, a in zip(names, pair, strict=True)}
    assert_exact(case, sides.of_oracle(problem), values)


@pytest.mark.slow
@given(api=APIS, drawn=DRAWN, cut=st.integers(1, 4 if WIDE else 1))
def test_two_halves_are_the_whole(api: Any, drawn: Any, cut: int) -> None:
    case = case_of(drawn, bidirectional=False, lengths=False)
    case = replace(case, steps=case.steps + cut)
    problem = case.draw()
    masks = masks_of(problem)
    parts: list[Any] = [{**masks}, {**masks}]
    if problem.resets is not None:
        parts[0]["resets"], parts[1]["resets"] = np.split(problem.resets, [cut])
    first, second = np.split(problem.xs, [cut])
    with uncompiled(case):
        run = api(problem.params)
        head, state = run(first, problem.state, **parts[0])
        tail, state = run(second, state, **parts[1])
        whole = run(problem.xs, problem.state, **masks)
        assert_same(case, (jnp.concatenate([head, tail]), state), whole)


@pytest.mark.slow
@given(api=APIS, drawn=DRAWN, data=st.data())
def test_rows_stand_alone_and_batch_first_is_another_view(
    api: Any, drawn: Any, data: Any
) -> None:
    """One row of the batch, run alone with time last but one, is that row of all."""
    case = case_of(drawn)
    if 0 in case.batch or not case.batch:
        case = replace(case, batch=(2,))
    problem = case.draw()
    row = tuple(data.draw(st.integers(0, size - 1)) for size in case.batch)
    at = (slice(None), *row)

    def own(value: Any) -> Any:
        return jax.tree.map(lambda a: a[at][:, None], value)

    masks: dict[str, Any] = masks_of(problem)
    alone = {name: own(mask) for name, mask in masks.items() if name != "lengths"}
    if "lengths" in masks:
        alone["lengths"] = masks["lengths"][row][None]
    if "resets" in alone:
        alone["resets"] = alone["resets"].T
    with uncompiled(case):
        run = api(problem.params)
        ys, state = run(problem.xs, problem.state, **masks)
        xs = np.moveaxis(own(problem.xs), 0, 1)
        found = run(xs, own(problem.state), batch_first=True, **alone)
        expected = (jnp.moveaxis(own(ys), 0, 1), own(state))
        assert_same(case, found, expected)


@pytest.mark.slow
@given(drawn=DRAWN, data=st.data())
def test_a_reset_is_a_new_sequence(drawn: Any, data: Any) -> None:
    case = case_of(drawn, bidirectional=False, lengths=False, resets=True)
    problem = case.draw()
    start = data.draw(st.integers(0, case.steps - 1))
    resets = np.array(problem.resets)
    resets[start:] = False
    resets[start] = True
    with uncompiled(case):
        fresh = problem.reset_state
        ys, after = lstm(
            problem.params, problem.xs, problem.state, resets=resets, reset_state=fresh
        )
        state = fresh
        if fresh is None and problem.state is not None:
            state = jax.tree.map(np.zeros_like, problem.state)
        expected = lstm(problem.params, problem.xs[start:], state)
        assert_same(case, (ys[start:], after), expected)


@given(drawn=DRAWN)
def test_a_reversed_sequence_exchanges_the_directions(drawn: Any) -> None:
    case = case_of(drawn, bidirectional=True, num_layers=1, lengths=False)
    problem = case.draw()
    other = {
        name.removesuffix("_reverse")
        if name.endswith("_reverse")
        else f"{name}_reverse": a
        for name, a in problem.params.items()
    }
    with uncompiled(case):
        ys, state = lstm(problem.params, problem.xs, problem.state)
        turned = jax.tree.map(lambda a: a[::-1], problem.state)
        ys_turned, state_turned = lstm(other, problem.xs[::-1], turned)
        halves = jnp.split(ys_turned[::-1], 2, axis=-1)
        found = jnp.concatenate(halves[::-1], axis=-1)
        assert_same(case, found, ys)
        assert_same(case, jax.tree.map(lambda a: a[::-1], state_turned), state)
