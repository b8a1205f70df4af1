"""`lstm` against `torch.nn.LSTM`, and the laws that need no reference."""

import re
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import LSTMState, lstm
from tests.given.inputs import (
    B,
    H,
    I,
    Inputs,
    P,
    T,
    assert_equal,
    assert_near,
    cast,
    draw,
    like,
    make_inputs,
    make_spec,
    torch_value_and_gradients,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures("float64")

SLOW_FLOAT16 = pytest.param("float16", marks=pytest.mark.slow)
STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"num_layers": 2, "bidirectional": True, "proj_size": P}, id="all"),
]


def assert_is_torchs(spec: Any, inputs: Inputs, **options: Any) -> None:
    """Outputs, states and every gradient; each cotangent alone, then all together."""
    ys, state = jax.eval_shape(lambda i: lstm(*i, **options), inputs)
    together = like((ys, state))
    nothing = jax.tree.map(np.zeros_like, together)
    d_ys, (d_h, d_c) = together
    none_ys, (none_h, none_c) = nothing
    for cotangents in (
        (d_ys, LSTMState(none_h, none_c)),
        (none_ys, LSTMState(d_h, none_c)),
        (none_ys, LSTMState(none_h, d_c)),
        together,
    ):
        assert_near(
            value_and_gradients(inputs, cotangents, **options),
            torch_value_and_gradients(spec, inputs, cotangents, **options),
        )


# Half of all combinations; any three options meet in every way.
ALL = (3, True, P, True, False)
COMBINATIONS = [
    pytest.param(
        *flags,
        id="-".join(map(str, flags)),
        marks=() if flags[0] == 1 or flags == ALL else pytest.mark.slow,
    )
    for flags in product([1, 3], [False, True], [0, P], [False, True], [False, True])
    if sum(map(bool, flags[1:])) % 2 == flags[0] // 3
]


@pytest.mark.parametrize(
    ("num_layers", "bidirectional", "proj_size", "bias", "batch_first"), COMBINATIONS
)
def test_outputs_states_and_every_gradient_are_torchs(
    num_layers: int, bidirectional: bool, proj_size: int, bias: bool, batch_first: bool
) -> None:
    spec = make_spec(
        num_layers=num_layers,
        bidirectional=bidirectional,
        proj_size=proj_size,
        bias=bias,
    )
    inputs = make_inputs(spec)
    if batch_first:
        inputs = inputs._replace(xs=inputs.xs.swapaxes(0, 1))
    assert_is_torchs(spec, inputs, batch_first=batch_first)


def test_equal_sizes_are_torchs() -> None:
    spec = make_spec(input_size=H, num_layers=2)
    assert_is_torchs(spec, make_inputs(spec, steps=H, batch=(H,)))


@pytest.mark.parametrize("steps", [1, 16, 17])
def test_every_number_of_steps_around_a_chunk_is_torchs(steps: int) -> None:
    spec = make_spec(bidirectional=True, proj_size=P)
    assert_is_torchs(spec, make_inputs(spec, steps))


@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched_inputs_are_torchs(batch_first: bool) -> None:
    spec = make_spec(num_layers=2, bidirectional=True)
    assert_is_torchs(spec, make_inputs(spec, batch=()), batch_first=batch_first)


def test_no_state_is_a_state_of_zeros() -> None:
    params, xs, state = make_inputs(make_spec(bidirectional=True))
    zeros = jax.tree.map(np.zeros_like, state)
    assert_equal(lstm(params, xs), lstm(params, xs, zeros))


def test_a_plain_pair_is_a_state() -> None:
    params, xs, state = make_inputs()
    assert_equal(lstm(params, xs, (state.h, state.c)), lstm(params, xs, state))


@pytest.mark.parametrize("stack", STACKS)
def test_no_steps_return_the_state(stack: Any) -> None:
    spec = make_spec(**stack)
    inputs = make_inputs(spec, steps=0)
    cotangents = like(jax.eval_shape(lstm, *inputs))
    (ys, state), gradients = value_and_gradients(inputs, cotangents)
    assert ys.shape == (0, B, spec.output_size * spec.num_directions)
    assert_equal(state, cast(inputs.state, "float64"))
    assert_equal(gradients.state, cast(cotangents[1], "float64"))
    zeros = jax.tree.map(jnp.zeros_like, (inputs.params, inputs.xs))
    assert_equal((gradients.params, gradients.xs), zeros)


@pytest.mark.parametrize("steps", [0, 1, 18])
def test_an_empty_batch_has_empty_outputs_and_gradients_of_zero(steps: int) -> None:
    spec = make_spec(num_layers=2, bidirectional=True, proj_size=P)
    inputs = make_inputs(spec, steps, batch=(0,))
    (ys, state), gradients = value_and_gradients(inputs)
    assert ys.shape == (steps, 0, 2 * P)
    assert (state.h.shape, state.c.shape) == ((4, 0, P), (4, 0, H))
    assert_equal(gradients, jax.tree.map(jnp.zeros_like, inputs))


@pytest.mark.parametrize("cut", [3, 20])
def test_two_halves_are_the_whole(cut: int) -> None:
    inputs = make_inputs(make_spec(num_layers=2, proj_size=P), steps=20)

    def halves(params: Any, xs: Any, state: Any) -> Any:
        first, state = lstm(params, xs[:cut], state)
        second, state = lstm(params, xs[cut:], state)
        return jnp.concatenate([first, second]), state

    out, transpose = jax.vjp(halves, *inputs)
    cotangents = like(out)
    expected, gradients = value_and_gradients(inputs, cotangents)
    assert_near(out, expected)
    assert_near(Inputs(*transpose(cotangents)), gradients)


def test_every_batch_axis_is_a_batch_axis() -> None:
    inputs = make_inputs(make_spec(num_layers=2, bidirectional=True), batch=(2, 3, 1))
    flat = inputs._replace(
        xs=inputs.xs.reshape(T, 6, I),
        state=LSTMState(*(a.reshape(4, 6, H) for a in inputs.state)),
    )
    (ys, (h, c)), gradients = value_and_gradients(inputs)
    assert (ys.shape, h.shape) == ((T, 2, 3, 1, 2 * H), (4, 2, 3, 1, H))
    cotangents = like((ys, LSTMState(h, c)))
    cotangents = (
        cotangents[0].reshape(T, 6, 2 * H),
        LSTMState(*(a.reshape(4, 6, H) for a in cotangents[1])),
    )
    (flat_ys, flat_state), flat_gradients = value_and_gradients(flat, cotangents)
    assert_near(ys, flat_ys.reshape(ys.shape))
    assert_near((h, c), tuple(a.reshape(h.shape) for a in flat_state))
    assert_near(gradients.params, flat_gradients.params)
    assert_near(gradients.xs, flat_gradients.xs.reshape(inputs.xs.shape))


def test_batch_first_moves_time_behind_every_batch_axis() -> None:
    params, xs, state = make_inputs(make_spec(bidirectional=True), batch=(2, 3))
    ys, after = lstm(params, np.moveaxis(xs, 0, -2), state, batch_first=True)
    assert ys.shape == (2, 3, T, 2 * H)
    assert_equal((jnp.moveaxis(ys, -2, 0), after), lstm(params, xs, state))


def test_permuted_rows_are_permuted_results() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, bidirectional=True))
    order = np.array([2, 0, 1])
    ys, after = lstm(params, xs, state)
    permuted = LSTMState(*(a[:, order] for a in state))
    expected = (ys[:, order], LSTMState(*(a[:, order] for a in after)))
    assert_equal(lstm(params, xs[:, order], permuted), expected)


def test_no_gradient_crosses_rows() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, bidirectional=True))
    (ys, after), transpose = jax.vjp(lambda *a: lstm(params, *a), xs, state)
    row = jax.tree.map(lambda a: like(a) * (np.arange(B) == 1)[:, None], (ys, after))
    for gradient in jax.tree.leaves(transpose(row)):
        np.testing.assert_array_equal(gradient[:, [0, 2]], 0)
        assert np.all(np.asarray(gradient[:, 1]) != 0)


def test_a_step_depends_on_no_later_one() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2))
    changed = xs.copy()
    changed[4:] = draw(xs[4:].shape, seed=9)
    ys, _ = lstm(params, xs, state)
    other, _ = lstm(params, changed, state)
    np.testing.assert_array_equal(other[:4], ys[:4])
    assert np.all(np.asarray(other[4:] != ys[4:]))
    assert np.all(
        np.asarray(jax.grad(lambda x: lstm(params, x)[0][3].sum())(xs)[4:]) == 0
    )


def exchanged(params: dict) -> dict:
    """The same single layer with its directions exchanged."""

    def other(name: str) -> str:
        return name.removesuffix("_reverse") if "reverse" in name else f"{name}_reverse"

    return {name: params[other(name)] for name in params}


@pytest.mark.parametrize("steps", [T, 18])
def test_reversed_inputs_exchange_the_directions(steps: int) -> None:
    params, xs, state = make_inputs(make_spec(bidirectional=True), steps)
    ys, after = lstm(params, xs, state)
    backwards = LSTMState(*(a[::-1] for a in state))
    reverse_ys, reverse_after = lstm(exchanged(params), xs[::-1], backwards)
    forward, reverse = jnp.split(reverse_ys[::-1], 2, axis=-1)
    assert_near(jnp.concatenate([reverse, forward], -1), ys)
    assert_near(LSTMState(*(a[::-1] for a in reverse_after)), after)


def test_the_parameters_given_are_not_changed() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2))
    before = {name: array.copy() for name, array in params.items()}
    shuffled = dict(sorted(params.items()))
    names = list(shuffled)
    assert_equal(lstm(shuffled, xs, state), lstm(params, xs, state))
    assert list(shuffled) == names
    assert_equal(params, before)


DTYPES = ["bfloat16", "float16", "float32", "float64"]


def wide(dtype: Any) -> Any:
    return jnp.promote_types(dtype, jnp.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of", ["params", "xs", "dtype"])
def test_types_out_without_a_state(of: str, dtype: str) -> None:
    """`h` has the type of the products, `c` at least float32."""
    params, xs, _ = make_inputs()
    types = {"params": "bfloat16", "xs": "bfloat16", "dtype": None, of: dtype}
    products = types["dtype"] or jnp.promote_types(types["params"], types["xs"])
    arrays = cast(params, types["params"]), cast(xs, types["xs"])
    ys, (h, c) = jax.eval_shape(partial(lstm, dtype=types["dtype"]), *arrays)
    assert (ys.dtype, h.dtype, c.dtype) == (products, products, wide(products))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("types", [("bfloat16", "float16"), ("float32", "float64")])
def test_a_state_keeps_the_types_of_the_one_given(dtype: str, types: Any) -> None:
    params, xs, state = make_inputs()
    arrays = params, xs, LSTMState(*map(cast, state, types))
    ys, after = jax.eval_shape(partial(lstm, dtype=dtype), *arrays)
    assert ys.dtype == dtype
    assert (after.h.dtype, after.c.dtype) == types


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_have_the_types_of_the_arguments(dtype: str) -> None:
    inputs = make_inputs(make_spec(num_layers=2, bidirectional=True, proj_size=P), 18)
    inputs = inputs._replace(params=cast(inputs.params, dtype))

    def gradients(inputs: Any) -> Any:
        out, transpose = jax.vjp(lambda i: lstm(*i), inputs)
        return transpose(out)[0]

    types = jax.tree.map(lambda a: a.dtype, (inputs, jax.eval_shape(gradients, inputs)))
    assert types[0] == types[1]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near_float64(dtype: str) -> None:
    """Within the budget of 32 roundings of outputs of size 1."""
    inputs = make_inputs(make_spec(num_layers=2, bidirectional=True), steps=40)
    exact = lstm(*inputs)
    ys, after = lstm(*cast(inputs, dtype), dtype=dtype)
    for a, e in zip(jax.tree.leaves((ys, after)), jax.tree.leaves(exact), strict=True):
        error = np.max(np.abs(np.asarray(a, np.float64) - e)) / np.max(np.abs(e))
        assert 0 < error < 32 * float(jnp.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["bfloat16", SLOW_FLOAT16])
def test_half_precision_gradients_of_weights_are_sums_in_float32(dtype: str) -> None:
    """Within 2 roundings after 256 chunks: 0.4 and 0.9, where half sums miss 8 and 5.

    All outputs have cotangents of one sign: what the chunks add does not cancel.
    """
    params, xs, _ = make_inputs(make_spec(bidirectional=True), steps=4096)
    cotangent = 1 + np.abs(draw((B, 2 * H)))

    def gradients(params: Any, dtype: str | None = None) -> Any:
        def loss(params: Any) -> Any:
            ys, _ = lstm(params, xs, dtype=dtype)
            return jnp.mean(ys.astype("float64") * cotangent)

        return jax.grad(loss)(params)

    exact, found = gradients(params), gradients(cast(params, "float32"), dtype)
    for name, gradient in found.items():
        error = np.max(np.abs(gradient - exact[name])) / np.max(np.abs(exact[name]))
        assert 0 < error < 2 * float(jnp.finfo(dtype).eps), name


def test_backward_products_of_half_precision_run_in_float32() -> None:
    """Chosen for the numbers: docs/sequences.md says why, and what it may cost."""
    inputs = cast(make_inputs(make_spec(proj_size=P)), "float32")

    def total(inputs: Any) -> Any:
        return jnp.sum(lstm(*inputs, dtype="bfloat16")[0].astype("float32"))

    def operands(run: Any) -> list[str]:
        text = jax.jit(run).lower(inputs).as_text()
        pattern = r"dot_general.*: \(tensor<[\dx]+x(\w+)>, tensor<[\dx]+x(\w+)>\)"
        found = re.findall(pattern, text)
        assert all(left == right for left, right in found)
        return sorted(left for left, _ in found)

    assert operands(total) == ["bf16"] * 3
    assert operands(jax.grad(total)) == ["bf16"] * 3 + ["f32"] * 6


def test_numpy_arrays_are_jax_arrays() -> None:
    inputs = make_inputs(make_spec(num_layers=2))
    assert_equal(lstm(*inputs), lstm(*cast(inputs, "float64")))


def test_float64_arrays_without_x64_are_float32() -> None:
    inputs = make_inputs()
    with jax.enable_x64(False):
        ys, after = lstm(*inputs)
        assert {a.dtype for a in (ys, *after)} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("dtype", "options"),
    list(product(["float32", "float64"], [None, "bfloat16", "float32", "float64"])),
)
def test_strict_promotion_finds_nothing(dtype: str, options: Any) -> None:
    spec = make_spec(num_layers=2, proj_size=P)
    inputs = cast(make_inputs(spec, steps=18), dtype)
    resets = draw((18, B)) > 1

    def run(inputs: Any) -> Any:
        return lstm(
            *inputs,
            lengths=np.array([18, 0, 5], np.int16),
            resets=resets,
            dropout=0.5,
            dropout_key=jax.random.key(0),
            dtype=options,
        )

    def gradients(inputs: Any) -> Any:
        out, transpose = jax.vjp(run, inputs)
        return transpose(out)[0]

    with jax.numpy_dtype_promotion("strict"):
        found = jax.eval_shape(gradients, inputs)
    assert jax.tree.map(lambda a: a.shape, found) == jax.tree.map(np.shape, inputs)
