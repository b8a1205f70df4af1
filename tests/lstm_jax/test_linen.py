"""`lstm_jax.linen`: variables that are a state dict, and the numbers of `lstm`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx as flax_nnx

import lstm_jax
from lstm_jax import LSTMState, lstm
from lstm_jax.linen import LSTM, LSTMCell
from tests.given.inputs import (
    B,
    H,
    I,
    P,
    T,
    assert_equal,
    assert_near,
    cast,
    draw,
    make_inputs,
    make_params,
    make_spec,
)

pytestmark = pytest.mark.usefixtures("float64")

STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"bias": False, "num_layers": 3}, id="no_bias"),
    pytest.param({"num_layers": 2, "bidirectional": True, "proj_size": P}, id="all"),
]


def cell_params(seed: int = 0) -> dict[str, Any]:
    """Parameters of one cell, without the `_l0`."""
    params = make_params(make_spec(), seed)
    return {name.removesuffix("_l0"): array for name, array in params.items()}


@pytest.mark.parametrize("stack", STACKS)
def test_the_variables_are_a_state_dict(stack: Any) -> None:
    spec = make_spec(**stack)
    params, xs, state = make_inputs(spec)
    module = LSTM.from_params(params)
    variables: Any = module.init(jax.random.key(0), jnp.asarray(xs))
    assert list(variables) == ["params"]
    assert list(variables["params"]) == list(params)
    shapes = {name: array.shape for name, array in variables["params"].items()}
    assert shapes == spec.shapes()
    assert_equal(module.apply({"params": params}, xs, state), lstm(params, xs, state))


def test_a_linen_module_is_the_nnx_one() -> None:
    arguments: Any = (I, H, 2, True, True, 0.0, True, P)
    nnx_module = lstm_jax.LSTM(*arguments, rngs=flax_nnx.Rngs(0))
    xs = draw((B, T, I)).astype("float32")
    found: Any = LSTM(*arguments).apply({"params": nnx_module.params()}, xs)
    assert_equal(found, nnx_module(xs))


@pytest.mark.parametrize("param_dtype", ["bfloat16", "float16", "float64"])
def test_every_parameter_type_initialises(param_dtype: str) -> None:
    xs = draw((T, B, I)).astype("float32")
    for module, argument in (
        (LSTM(I, H, 2, param_dtype=param_dtype), (xs,)),
        (
            LSTMCell(I, H, param_dtype=param_dtype),
            (LSTMCell(I, H).initialize_carry(None, (B, I)), xs[0]),
        ),
    ):
        params = module.init(jax.random.key(0), *argument)["params"]
        assert {array.dtype.name for array in params.values()} == {param_dtype}
        assert all(np.any(np.asarray(array != 0)) for array in params.values())
    state = LSTM(I, H, 2, param_dtype=param_dtype).initial_state((B,))
    assert (state.h.shape, state.h.dtype) == ((2, B, H), param_dtype)
    assert state.c.dtype == jnp.promote_types(param_dtype, jnp.float32)


def test_each_parameter_has_a_draw_of_its_own() -> None:
    module = LSTM(H, H, 2)
    params = module.init(jax.random.key(0), jnp.ones((T, B, H)))["params"]
    kinds = [
        np.asarray(params[f"weight_{k}_l{n}"]) for k in ("ih", "hh") for n in (0, 1)
    ]
    for first in range(4):
        for second in range(first):
            assert np.all(kinds[first] != kinds[second])


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_from_params_takes_the_type_of_the_parameters(dtype: str) -> None:
    params = cast(make_params(make_spec()), dtype)
    module, cell = (
        LSTM.from_params(params),
        LSTMCell.from_params(cast(cell_params(), dtype)),
    )
    assert module.initial_state((B,)).h.dtype == dtype
    assert cell.initialize_carry(None, (B, I)).h.dtype == dtype
    wider = LSTM.from_params(params, param_dtype="float32")
    assert wider.initial_state((B,)).h.dtype == "float32"


def test_options_are_handed_on() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2))
    lengths, resets = np.array([7, 0, 3]), np.arange(T)[:, None] > np.array([2, 9, 4])
    module = LSTM.from_params(params, batch_first=True, dtype="float32", remat=3)
    options: Any = {"lengths": lengths, "resets": resets.T, "reset_state": state}
    first = xs.swapaxes(0, 1)
    expected = lstm(
        params, first, state, **options, batch_first=True, dtype="float32", remat=3
    )
    assert_equal(module.apply({"params": params}, first, state, **options), expected)


def test_dropout_draws_from_the_stream_dropout() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))
    module, variables = LSTM.from_params(params, dropout=0.5), {"params": params}
    one, two = ({"dropout": jax.random.key(seed)} for seed in (1, 2))
    ys: Any = module.apply(variables, xs, rngs=one)
    assert_equal(module.apply(variables, xs, rngs=one), ys)
    other: Any = module.apply(variables, xs, rngs=two)
    assert np.any(np.asarray(other[0] != ys[0]))
    kept = module.apply(variables, xs, deterministic=True)
    assert_equal(kept, lstm(params, xs))
    assert np.any(np.asarray(ys[0] != lstm(params, xs)[0]))


def test_steps_are_the_sequence() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, proj_size=P))
    resets = np.arange(T)[:, None] == np.array([0, 3, 9])
    module = LSTM.from_params(params)
    expected: Any = module.apply({"params": params}, xs, state, resets=resets)
    ys, after = [], state
    for x, reset in zip(xs, resets, strict=True):
        result: Any = module.apply({"params": params}, x, after, reset, method="step")
        y, after = result
        ys.append(y)
    assert_near((jnp.stack(ys), after), expected)


def test_jit_and_grad_take_the_variables() -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2))
    module = LSTM.from_params(params)

    def loss(params: Any) -> Any:
        result: Any = module.apply({"params": params}, xs)
        return jnp.sum(result[0] ** 2)

    found = jax.jit(jax.grad(loss))(params)
    assert_near(found, jax.grad(lambda p: jnp.sum(lstm(p, xs)[0] ** 2))(params))


def test_parameters_may_be_boxed_for_sharding() -> None:
    params, xs, _ = make_inputs()
    boxed = {k: linen.Partitioned(a, (None,) * a.ndim) for k, a in params.items()}
    module = LSTM.from_params(params)
    assert_equal(module.apply({"params": boxed}, xs), lstm(params, xs))


def test_a_stack_is_a_layer_of_a_larger_module() -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, xs: Any) -> Any:
            ys, _ = LSTM(I, H, name="lstm")(xs)
            return linen.Dense(2)(ys[-1])

    xs = jnp.asarray(draw((T, B, I)))
    variables = Model().init(jax.random.key(0), xs)
    assert list(variables["params"]["lstm"]) == list(make_spec().shapes())
    found: Any = Model().apply(variables, xs)
    assert found.shape == (B, 2)


def test_a_cell_is_the_nnx_one() -> None:
    params, x = cell_params(), draw((B, I))
    arrays: Any = (draw((B, H), 1), draw((B, H), 2))
    state = LSTMState(*arrays)
    cell, theirs = LSTMCell.from_params(params), lstm_jax.LSTMCell.from_params(params)
    variables = {"params": params}
    assert_equal(cell.apply(variables, state, x), theirs(state, x))
    found = cell.apply(variables, x, state, method="step")
    assert_equal(found, theirs.step(x, state))
    assert_equal(cell.apply(variables, x, method="step"), theirs.step(x))
    assert list(cell.init(jax.random.key(0), state, x)["params"]) == list(params)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_a_cell_runs_in_linen_rnn(time_major: bool, reverse: bool) -> None:
    params, xs, state = make_inputs()
    rnn = linen.RNN(
        LSTMCell(I, H, param_dtype="float64"),
        time_major=time_major,
        reverse=reverse,
        return_carry=True,
    )
    first = LSTMState(jnp.asarray(state.h[0]), jnp.asarray(state.c[0]))
    found: Any = rnn.apply(
        {"params": {"cell": cast(cell_params(), "float64")}},
        jnp.asarray(xs if time_major else xs.swapaxes(0, 1)),
        initial_carry=first,
    )
    carry, ys = found
    expected, after = lstm(params, xs[::-1] if reverse else xs, state)
    assert isinstance(carry, LSTMState)
    assert_near(ys if time_major else ys.swapaxes(0, 1), expected)
    assert_near(carry, jax.tree.map(lambda a: a[0], after))


def test_linen_rnn_starts_from_zeros() -> None:
    params, xs, _ = make_inputs()
    rnn = linen.RNN(LSTMCell(I, H, param_dtype="float64"), time_major=True)
    variables = {"params": {"cell": cast(cell_params(), "float64")}}
    state = jax.tree.map(lambda a: a[0], make_inputs().state)
    assert_near(rnn.apply(variables, jnp.asarray(xs)), lstm(params, xs)[0])
    zeros = LSTMCell(I, H).initialize_carry(None, (B, I))
    assert [a.shape for a in zeros] == [a.shape for a in state]


def test_two_cells_run_in_linen_bidirectional() -> None:
    forward, reverse = cell_params(0), cell_params(1)
    cells: Any = (LSTMCell.from_params(params) for params in (forward, reverse))
    module = linen.Bidirectional(linen.RNN(next(cells)), linen.RNN(next(cells)))
    xs = jnp.asarray(draw((B, T, I), 4))
    variables = cast(
        {"forward_rnn": {"cell": forward}, "backward_rnn": {"cell": reverse}}, "float64"
    )
    both = {f"{name}_l0": array for name, array in forward.items()}
    both |= {f"{name}_l0_reverse": array for name, array in reverse.items()}
    found = module.apply({"params": variables}, xs)
    assert_near(found, lstm(both, xs, batch_first=True)[0])
