"""Every gate and state, against the step and the outputs of the stack."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import Trace, lstm, lstm_step, trace
from tests.given.inputs import (
    B,
    H,
    P,
    T,
    assert_equal,
    assert_near,
    draw,
    layer_of,
    make_inputs,
    make_spec,
)

pytestmark = pytest.mark.usefixtures("float64")

LENGTHS = np.array([7, 0, 3])
RESETS = draw((T, B)) > 0.5


@pytest.mark.parametrize(
    ("stack", "options"),
    [
        ({"num_layers": 2, "bidirectional": True, "proj_size": P}, {}),
        ({"bidirectional": True}, {"lengths": LENGTHS}),
        ({"num_layers": 2}, {"lengths": LENGTHS, "resets": RESETS}),
    ],
    ids=["all", "lengths", "resets"],
)
def test_a_trace_ends_in_the_outputs_and_the_state_after(
    stack: Any, options: Any
) -> None:
    spec = make_spec(**stack)
    params, xs, state = make_inputs(spec)
    if "resets" in options:
        options = {**options, "reset_state": state}
    found = trace(params, xs, state, **options)
    ys, after = lstm(params, xs, state, **options)
    rows, directions = spec.num_layers * spec.num_directions, spec.num_directions
    assert found.h.shape == (rows, T, B, spec.output_size)
    assert found.i.shape == found.c.shape == (rows, T, B, H)
    valid = np.arange(T)[:, None] < options.get("lengths", T)
    last = jnp.concatenate(list(found.h[-directions:]), axis=-1)
    assert_near(jnp.where(valid[..., None], last, 0), ys)
    ends = [0 if row % directions else T - 1 for row in range(rows)]
    for name in ("h", "c"):
        states = [getattr(found, name)[row, end] for row, end in enumerate(ends)]
        assert_near(jnp.stack(states), getattr(after, name))


def test_the_gates_make_the_states() -> None:
    params, xs, state = make_inputs()
    found = trace(params, xs, state)
    i, f, g, o = (np.asarray(gate[0]) for gate in found[:4])
    before = np.concatenate([state.c, found.c[0, :-1]])
    assert_near(found.c[0], f * before + i * g)
    assert_near(found.h[0], o * np.tanh(found.c[0]))
    for t in range(T):
        new = lstm_step(layer_of(params), xs[t], type(state)(*(a[0] for a in state)))
        assert_near((found.h[0, t], found.c[0, t]), tuple(new))
        state = jax.tree.map(lambda a: a[None], new)


def test_a_gate_past_the_lengths_is_zero_and_nothing_is_nan() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, bidirectional=True))
    past = np.arange(T)[:, None] >= LENGTHS
    xs = np.where(past[..., None], np.nan, xs)
    found = trace(params, xs, state, lengths=LENGTHS)
    for gate in found[:4]:
        assert np.all(np.asarray(gate)[:, past] == 0)
        assert np.all(np.asarray(gate)[:, ~past] != 0)
    assert_equal(found.h[:, -1, 1], jnp.asarray(state.h[:, 1]))
    assert not any(np.isnan(array).any() for array in found)


def test_a_trace_has_the_layout_and_types_of_the_call() -> None:
    params, xs, _ = make_inputs(batch=(2, B))
    found = trace(params, np.moveaxis(xs, 0, -2), batch_first=True)
    assert found.i.shape == (1, 2, B, T, H)
    assert_near(
        jax.tree.map(lambda a: jnp.moveaxis(a, -2, 1), found), trace(params, xs)
    )
    half = trace(params, xs, dtype="bfloat16")
    types = {name: getattr(half, name).dtype.name for name in Trace._fields}
    assert types == dict.fromkeys("ifgoc", "float32") | {"h": "bfloat16"}


def test_a_trace_is_differentiable() -> None:
    params, xs, state = make_inputs()

    def traced(params: Any) -> Any:
        return jnp.sum(trace(params, xs, state).h ** 2)

    def run(params: Any) -> Any:
        return jnp.sum(lstm(params, xs, state)[0] ** 2)

    assert_near(jax.grad(traced)(params), jax.grad(run)(params))
