"""`init_params`: torch's names in torch's order, and the draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import (
    LSTM,
    LSTMCell,
    LSTMModel,
    LSTMState,
    init_params,
    linen,
    lstm,
)
from tests.given.inputs import H, I, P, draw

KEY = jax.random.key(0)
STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"bias": False}, id="no_bias"),
    pytest.param({"num_layers": 3, "bidirectional": True, "proj_size": P}, id="all"),
]


@pytest.mark.parametrize("stack", STACKS)
def test_keys_and_shapes_are_torchs_in_torchs_order(stack: Any, torch: Any) -> None:
    params = init_params(KEY, I, H, **stack)
    state_dict = torch.nn.LSTM(I, H, **stack).state_dict()
    assert [(name, array.shape) for name, array in params.items()] == [
        (name, tuple(array.shape)) for name, array in state_dict.items()
    ]


def test_every_number_is_uniform_within_torchs_bound() -> None:
    params = init_params(KEY, 33, 64, 2, bidirectional=True, proj_size=21)
    bound = 64**-0.5
    for array in params.values():
        values = np.sort(np.asarray(array, np.float64).ravel())
        assert -bound <= values[0] < values[-1] <= bound
        # Kolmogorov and Smirnov: passed by a uniform draw but for one in ten thousand.
        ranks = np.arange(1, values.size + 1) / values.size
        distance = np.max(np.abs(ranks - (values + bound) / (2 * bound)))
        assert distance < 2.3 / np.sqrt(values.size)


def test_every_parameter_and_every_key_has_a_draw_of_its_own() -> None:
    params = init_params(KEY, H, H, 2, bidirectional=True)
    draws = [np.ravel(array)[: 4 * H] for array in params.values()]
    draws += [
        np.ravel(a)[: 4 * H] for a in init_params(jax.random.key(1), H, H).values()
    ]
    for first in range(len(draws)):
        for second in range(first):
            assert np.all(draws[first] != draws[second])


def test_the_same_key_gives_the_same_parameters() -> None:
    first, second = (init_params(jax.random.key(5), I, H) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize("proj_size", [0, P])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_each_gates_recurrent_block_is_orthogonal(proj_size: int, dtype: str) -> None:
    options: Any = {"proj_size": proj_size, "dtype": dtype, "recurrent": "orthogonal"}
    params = init_params(KEY, I, H, 2, **options)
    bound = 8 * float(jnp.finfo(dtype).eps)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        blocks = np.asarray(params[name], np.float64).reshape(4, H, proj_size or H)
        for block in blocks:
            error = block.T @ block - np.eye(proj_size or H)
            assert np.max(np.abs(error)) < bound
        assert np.mean(blocks[0] != blocks[1]) > 0.5
    assert np.max(np.abs(np.asarray(params["weight_ih_l0"], np.float64))) <= H**-0.5


@pytest.mark.parametrize("recurrent", ["uniform", "orthogonal"])
def test_a_forget_bias_is_the_sum_of_the_two(recurrent: Any) -> None:
    options: Any = {"recurrent": recurrent, "num_layers": 2, "bidirectional": True}
    params = init_params(KEY, I, H, forget_bias=1.5, **options)
    plain = init_params(KEY, I, H, **options)
    for name, array in params.items():
        expected = np.asarray(plain[name]).copy()
        if name.startswith("bias"):
            expected[H : 2 * H] = 1.5 if "ih" in name else 0
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_parameters_have_the_type_asked_for(dtype: str) -> None:
    with jax.enable_x64(True):
        for recurrent in ("uniform", "orthogonal"):
            params = init_params(KEY, I, H, dtype=dtype, recurrent=recurrent)
            assert {array.dtype.name for array in params.values()} == {dtype}


def test_float64_draws_have_more_bits_than_float32() -> None:
    with jax.enable_x64(True):
        params = init_params(KEY, I, H, dtype="float64")
        for array in params.values():
            assert np.any(np.asarray(array) != np.asarray(array, np.float32))


def test_initial_parameters_run_and_init_runs_under_jit() -> None:
    params = jax.jit(lambda key: init_params(key, I, H, 2, forget_bias=1.0))(KEY)
    ys, _ = lstm(params, draw((3, I)).astype("float32"))
    assert ys.shape == (3, H)


KINDS = [
    pytest.param(LSTM, "weight_hh_l0", "bias_ih_l0", id="LSTM"),
    pytest.param(LSTMCell, "weight_hh", "bias_ih", id="LSTMCell"),
    pytest.param(LSTMModel, "lstm.weight_hh_l0", "lstm.bias_ih_l0", id="LSTMModel"),
    pytest.param(linen.LSTM, "weight_hh_l0", "bias_ih_l0", id="linen.LSTM"),
    pytest.param(linen.LSTMCell, "weight_hh", "bias_ih", id="linen.LSTMCell"),
]


@pytest.mark.parametrize(("kind", "weight", "bias"), KINDS)
def test_a_module_is_drawn_as_init_params_draws(
    kind: Any, weight: str, bias: str
) -> None:
    sizes: Any = (I, H, 2) if kind is LSTMModel else (I, H)
    draws: Any = {"recurrent": "orthogonal", "forget_bias": 1.5}
    if kind in (linen.LSTM, linen.LSTMCell):
        module, xs = kind(*sizes, **draws), jnp.ones((3, I))
        state = LSTMState(jnp.ones((3, H)), jnp.ones((3, H)))
        given = (xs,) if kind is linen.LSTM else (state, xs)
        params = module.init(KEY, *given)["params"]
    else:
        params = kind(*sizes, **draws, rngs=nnx.Rngs(0)).params()
    np.testing.assert_array_equal(params[bias][H : 2 * H], 1.5)
    assert np.all(np.asarray(params[bias][:H]) != 1.5)
    for block in np.asarray(params[weight], np.float64).reshape(4, H, H):
        assert np.max(np.abs(block.T @ block - np.eye(H))) < 8 * 2.0**-23
