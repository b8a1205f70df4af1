"""Flax's modules and variables: their conventions, and what is refused."""

from functools import partial
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_array_equal

import lstm_jax
import parity
from tests.given.routes.route import drawn, with_weights

XS = np.random.default_rng(0).standard_normal((2, 7, 3), np.float32)
# One rounding of a sum of eight products, on each side of a value below one.
NEAR = 1e-6

pytestmark = pytest.mark.usefixtures("unoptimised")


def cell_of(kind: str = "LSTMCell", inputs: int = 3, **options: Any) -> Any:
    """A cell of nnx with random weights, the bias's too."""
    make = partial(getattr(nnx, kind), inputs, 4, **options)
    return with_weights(0, make)


def both_of(**options: Any) -> Any:
    rnns = nnx.RNN(cell_of()), nnx.RNN(cell_of("OptimizedLSTMCell"))
    return nnx.Bidirectional(*rnns, **options)


def linen_rnn(**options: Any) -> Any:
    module = flax.linen.RNN(flax.linen.LSTMCell(4, **options))
    return module, drawn(1, jax.eval_shape(module.init, jax.random.key(0), XS))


def assert_near(found: Any, expected: Any) -> None:
    assert np.shape(found) == np.shape(expected)
    assert np.abs(np.asarray(found) - np.asarray(expected)).max() < NEAR


def assert_equal(found: Any, expected: Any) -> None:
    assert list(found) == list(expected)
    for name in found:
        assert_array_equal(found[name], expected[name])


def message(error: type[Exception], function: Any, *values: Any, **options: Any) -> str:
    with pytest.raises(error) as caught:
        _ = function(*values, **options)
    return str(caught.value)


# Conventions.


def test_an_rnn_is_batch_first_unless_it_is_time_major() -> None:
    cell = cell_of()
    for time_major in (False, True):
        rnn: Any = nnx.RNN(cell, time_major=time_major)
        ours = parity.from_flax(rnn)
        assert ours.batch_first is not time_major
        xs = np.swapaxes(XS, 0, 1) if time_major else XS
        assert_near(ours(xs)[0], rnn(xs))
        assert parity.to_flax(ours).time_major is time_major


def test_a_cells_carry_is_turned() -> None:
    cell = cell_of("OptimizedLSTMCell")
    c, h = np.random.default_rng(1).standard_normal((2, 2, 4), np.float32)
    (after_c, after_h), _ = cell((c, h), XS[:, 0])
    state = parity.from_flax(cell).step(XS[:, 0], (h, c))
    assert_near(state.c, after_c)
    assert_near(state.h, after_h)


def test_reverse_and_time_major_inside_of_bidirectional_count_for_nothing() -> None:
    both = both_of(return_carry=True)
    (_, (c, h)), expected = both(XS)
    for rnn in (both.forward_rnn, both.backward_rnn):
        rnn.reverse, rnn.time_major, rnn.keep_order = True, True, False
    assert_array_equal(both(XS)[1], expected)
    ours = parity.from_flax(both)
    ys, state = ours(XS)
    assert_near(ys, expected)
    assert_near(state.h[1], h)
    assert_near(state.c[1], c)


@pytest.mark.parametrize("api", ["nnx", "linen"])
def test_the_type_of_the_products_is_kept(api: Any) -> None:
    lstm = lstm_jax.LSTM(3, 4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    written = parity.to_flax(lstm, api=api)
    module = written if api == "nnx" else written[0]
    assert module.cell.dtype == jnp.bfloat16
    back = parity.from_flax(written)
    assert back.dtype == jnp.bfloat16
    assert back.params()["weight_ih_l0"].dtype == jnp.float32


def test_weights_of_half_precision_stay_so() -> None:
    params = lstm_jax.init_params(jax.random.key(0), 3, 4, dtype=jnp.bfloat16)
    lstm = lstm_jax.LSTM.from_params(params)
    module, variables = parity.to_flax(lstm, api="linen")
    assert module.cell.param_dtype == jnp.bfloat16
    assert variables["params"]["cell"]["hi"]["bias"].dtype == jnp.bfloat16
    assert parity.to_flax(lstm).cell.param_dtype == jnp.bfloat16


def test_the_source_is_copied_and_not_changed() -> None:
    rnn: Any = nnx.RNN(cell_of("OptimizedLSTMCell"))
    before = np.array(rnn.cell.dense_h.bias[...])
    ours = parity.from_flax(rnn)
    written = parity.to_flax(ours)
    ours.load_params({n: a + 1 for n, a in ours.params().items()})
    assert_array_equal(rnn.cell.dense_h.bias[...], before)
    assert_array_equal(written.cell.dense_h.bias[...], before)


# Mappings.


def test_variables_and_states_give_the_names_of_torch() -> None:
    module, variables = linen_rnn()
    params = parity.from_flax((module, variables)).params()
    assert_equal(parity.from_flax(variables), params)
    assert_equal(parity.from_flax(variables["params"]), params)
    cell = variables["params"]["cell"]
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert list(parity.from_flax(cell)) == names
    rnn = nnx.RNN(cell_of())
    params = parity.from_flax(rnn).params()
    assert_equal(parity.from_flax(nnx.state(rnn)), params)
    assert_equal(parity.from_flax(nnx.to_pure_dict(nnx.state(rnn, nnx.Param))), params)


def test_a_mapping_is_written_as_the_module_would_be() -> None:
    both = both_of()
    params = parity.from_flax(both).params()
    written: Any = parity.to_flax(params, cell="LSTMCell")
    module: Any = parity.to_flax(parity.from_flax(both), cell="LSTMCell")
    pure = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    jax.tree.map(assert_array_equal, written, pure)
    nnx.update(module, written)
    variables: Any = parity.to_flax(params, api="linen")
    module, expected = parity.to_flax(parity.from_flax(both), api="linen")
    jax.tree.map(assert_array_equal, variables, expected)
    assert_near(module.apply(variables, XS), both(XS))


def test_cells_of_a_larger_model_are_a_stack_where_they_are_listed() -> None:
    class Model(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, xs: Any) -> Any:
            for _ in range(2):
                xs = flax.linen.RNN(flax.linen.OptimizedLSTMCell(4))(xs)
            return flax.linen.Dense(2)(xs)

    model = Model()
    variables = drawn(2, jax.eval_shape(model.init, jax.random.key(0), XS))
    params = variables["params"]
    layers = [params["OptimizedLSTMCell_0"], params["OptimizedLSTMCell_1"]]
    ours = lstm_jax.LSTM.from_params(parity.from_flax(layers), batch_first=True)
    ys = ours(XS)[0] @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    assert_near(ys, model.apply(variables, XS))
    pair = parity.from_flax((params["OptimizedLSTMCell_0"],) * 2)
    assert_array_equal(pair["weight_ih_l0_reverse"], pair["weight_ih_l0"])
    assert message(ValueError, parity.from_flax, variables) == (
        "from_flax: source must be the weights of one layer, not 'Dense_0.bias', "
        "'Dense_0.kernel', 'OptimizedLSTMCell_0', 'OptimizedLSTMCell_1': each layer of "
        "a stack is a mapping. Give a part of it, such as "
        "source['params']['OptimizedLSTMCell_0']; a list is a stack."
    )


def test_boxed_variables_are_read() -> None:
    _, variables = linen_rnn()
    boxed = jax.tree.map(
        lambda a: flax.linen.Partitioned(a, (None,) * a.ndim), variables
    )
    assert_equal(parity.from_flax(boxed), parity.from_flax(variables))
