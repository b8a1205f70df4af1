"""Rows of different lengths, and rows that start anew."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import LSTMState, lengths_from_mask, lstm
from tests.given.inputs import (
    B,
    Inputs,
    P,
    T,
    assert_equal,
    assert_near,
    draw,
    like,
    make_inputs,
    make_spec,
    torch_lstm,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures("float64")

ALL = {"num_layers": 2, "bidirectional": True, "proj_size": P}
STACKS = [pytest.param({}, id="plain"), pytest.param(ALL, id="all")]


def padded(xs: np.ndarray, lengths: Any, padding: float = np.nan) -> np.ndarray:
    """The inputs with `padding` past the lengths."""
    times = np.arange(len(xs))[:, None]
    return np.where((times < np.asarray(lengths))[..., None], xs, padding)


def row_by_row(inputs: Inputs, lengths: Any, cotangents: Any) -> Any:
    """Each row run by itself over its own steps, results and gradients put together."""
    d_ys, d_state = cotangents
    ys = np.zeros(d_ys.shape)
    d_xs = np.zeros(inputs.xs.shape)
    states, d_states, d_params = [], [], []
    for b, n in enumerate(lengths):
        row = Inputs(
            inputs.params,
            inputs.xs[:n, b],
            LSTMState(*(a[:, b] for a in inputs.state)),
        )
        cotangent = (d_ys[:n, b], LSTMState(*(a[:, b] for a in d_state)))
        (ys[:n, b], state), gradients = value_and_gradients(row, cotangent)
        states.append(state)
        d_params.append(gradients.params)
        d_xs[:n, b] = gradients.xs
        d_states.append(gradients.state)

    def stack(*rows: Any) -> np.ndarray:
        return np.stack(rows, axis=1)

    params = jax.tree.map(lambda *rows: np.sum(rows, axis=0), *d_params)
    out = (ys, jax.tree.map(stack, *states))
    return out, Inputs(params, d_xs, jax.tree.map(stack, *d_states))


@pytest.mark.parametrize(
    ("steps", "lengths", "stack"),
    [
        pytest.param(T, [7, 0, 3], ALL, id="all"),
        pytest.param(18, [3, 18, 17], {"bidirectional": True}, id="chunks"),
    ],
)
def test_a_row_ends_at_its_length_whatever_lies_past_it(
    steps: int, lengths: Any, stack: Any
) -> None:
    inputs = make_inputs(make_spec(**stack), steps)
    cotangents = like(jax.eval_shape(lstm, *inputs))
    expected = row_by_row(inputs, lengths, cotangents)
    inputs = inputs._replace(xs=padded(inputs.xs, lengths))
    found = value_and_gradients(inputs, cotangents, lengths=np.array(lengths))
    assert_near(found, expected)
    past = np.isnan(inputs.xs)
    assert np.all(np.asarray(found[1].xs)[past] == 0)
    assert np.all(np.asarray(found[0][0])[past[..., 0]] == 0)


def test_lengths_are_those_of_torchs_packed_sequences(torch: Any) -> None:
    spec = make_spec(num_layers=2, bidirectional=True, proj_size=P)
    params, xs, state = make_inputs(spec)
    lengths = np.array([3, 7, 1])
    module = torch_lstm(spec, params)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(xs), torch.tensor(lengths), enforce_sorted=False
    )
    packed_ys, after = module(packed, tuple(torch.tensor(a) for a in state))
    ys, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_ys)
    expected = (ys.detach().numpy(), LSTMState(*(a.detach().numpy() for a in after)))
    assert_near(lstm(params, xs, state, lengths=lengths), expected)


@pytest.mark.parametrize("stack", STACKS)
def test_lengths_of_zero_return_the_state_and_gradients_of_zero(stack: Any) -> None:
    inputs = make_inputs(make_spec(**stack))
    inputs = inputs._replace(xs=np.full_like(inputs.xs, np.nan))
    cotangents = like(jax.eval_shape(lstm, *inputs))
    zeros = np.zeros(B, np.int32)
    (ys, state), gradients = value_and_gradients(inputs, cotangents, lengths=zeros)
    assert np.all(np.asarray(ys) == 0)
    assert_equal(state, jax.tree.map(jnp.asarray, inputs.state))
    assert_equal(gradients.state, jax.tree.map(jnp.asarray, cotangents[1]))
    for gradient in jax.tree.leaves((gradients.params, gradients.xs)):
        np.testing.assert_array_equal(gradient, 0)


def test_whole_lengths_change_nothing() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, bidirectional=True))
    whole = lstm(params, xs, state, lengths=np.full(B, T))
    assert_near(whole, lstm(params, xs, state))


def test_padding_changes_no_bit() -> None:
    inputs = make_inputs(make_spec(num_layers=2, bidirectional=True))
    lengths = np.array([7, 0, 3])
    cotangents = like(jax.eval_shape(lstm, *inputs))
    found = [
        value_and_gradients(
            inputs._replace(xs=padded(inputs.xs, lengths, padding)),
            cotangents,
            lengths=lengths,
        )
        for padding in (0.0, np.nan, np.inf)
    ]
    assert_equal(found[1], found[0])
    assert_equal(found[2], found[0])


def test_lengths_have_the_batch_shape_in_every_layout() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2), batch=(2, 3))
    lengths = np.array([[7, 0, 3], [1, 6, 2]])
    ys, after = lstm(params, xs, state, lengths=lengths)
    first = np.moveaxis(xs, 0, -2)
    ys_first, after_first = lstm(
        params, first, state, lengths=lengths, batch_first=True
    )
    assert_equal((jnp.moveaxis(ys_first, -2, 0), after_first), (ys, after))
    row, row_after = lstm(
        params,
        xs[:, 1, 2],
        LSTMState(*(a[:, 1, 2] for a in state)),
        lengths=np.array(2),
    )
    assert_near(ys[:, 1, 2], row)
    assert_near(LSTMState(*(a[:, 1, 2] for a in after)), row_after)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "uint32"])
def test_lengths_are_of_any_integer_type(dtype: str) -> None:
    """Also of one that cannot count to T."""
    params, xs, state = make_inputs(steps=300, batch=(2,))
    found = lstm(params, xs, state, lengths=np.array([120, 5], dtype))
    assert_equal(found, lstm(params, xs, state, lengths=np.array([120, 5])))


def test_traced_lengths_are_clamped() -> None:
    params, xs, state = make_inputs()

    @jax.jit
    def run(lengths: Any) -> Any:
        return lstm(params, xs, state, lengths=lengths)

    assert_equal(run(np.array([-2, 99, 3])), run(np.array([0, T, 3])))


def segments(
    resets: np.ndarray, params: Any, xs: Any, state: Any, reset_state: Any
) -> Any:
    """Each row cut at its resets, every piece run as a sequence of its own."""
    ys, finals = [], []
    for b in range(xs.shape[1]):
        now = LSTMState(*(a[:, b] for a in state))
        new = LSTMState(*(a[:, b] for a in reset_state))
        pieces, cuts = [], [0, *(t for t in range(1, len(xs)) if resets[t, b]), len(xs)]
        for start, stop in pairwise(cuts):
            now = new if resets[start, b] else now
            piece, now = lstm(params, xs[start:stop, b], now)
            pieces.append(piece)
        ys.append(jnp.concatenate(pieces))
        finals.append(now)
    return jnp.stack(ys, 1), jax.tree.map(lambda *rows: jnp.stack(rows, 1), *finals)


RESETS = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]], bool)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(False, id="zeros", marks=pytest.mark.slow),
        pytest.param(True, id="reset_state"),
    ],
)
def test_a_reset_is_a_fresh_start(given: bool) -> None:
    """Row 0 restarts twice running, row 1 at the first step, row 2 never."""
    spec = make_spec(num_layers=2, proj_size=P)
    params, xs, state = make_inputs(spec, steps=len(RESETS))
    reset_state = jax.tree.map(lambda a: draw(a.shape, 8) * given, state)

    def with_resets(params: Any, xs: Any, state: Any, reset_state: Any) -> Any:
        new = reset_state if given else None
        return lstm(params, xs, state, resets=RESETS, reset_state=new)

    def in_pieces(*arguments: Any) -> Any:
        return segments(RESETS, *arguments)

    arguments: Any = (params, xs, state, reset_state)
    out, transpose = jax.vjp(with_resets, *arguments)
    expected, transpose_expected = jax.vjp(in_pieces, *arguments)
    assert_near(out, expected)
    gradients, expected = transpose(like(out)), transpose_expected(like(out))
    assert_near(gradients[: 3 + given], expected[: 3 + given])
    d_h, _ = gradients[2]
    assert np.all(np.asarray(d_h[:, 1]) == 0)
    assert np.all(np.asarray(d_h[:, 2]) != 0)


def test_resets_beyond_a_chunk_lie_batch_first_as_the_inputs_do() -> None:
    params, xs, state = make_inputs(steps=18)
    resets = np.zeros((18, B), bool)
    resets[16, 0] = resets[17, 1] = True
    ys, after = lstm(params, xs, state, resets=resets)
    first = np.moveaxis(xs, 0, 1)
    ys_first, after_first = lstm(
        params, first, state, resets=resets.T, batch_first=True
    )
    assert_equal((jnp.moveaxis(ys_first, 1, 0), after_first), (ys, after))
    fresh, _ = lstm(params, xs[16:, 0])
    assert_near(ys[16:, 0], fresh)
    assert_near(ys[:17, 1], lstm(params, xs[:17], state)[0][:, 1])


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_a_reset_state_is_of_any_type(dtype: str) -> None:
    params, xs, state = make_inputs(steps=2)
    resets = np.array([[True] * B, [False] * B])
    options: Any = {"dtype": dtype, "resets": resets, "reset_state": state}
    ys, _ = lstm(params, xs, **options)
    expected, _ = lstm(params, xs, state, dtype=dtype)
    assert_equal(ys, expected)


def test_a_reset_past_a_rows_length_changes_nothing() -> None:
    params, xs, state = make_inputs()
    lengths = np.array([7, 0, 3])
    resets = np.zeros((T, B), bool)
    inside = resets.copy()
    inside[4, 0] = resets[4] = True
    found = lstm(params, padded(xs, lengths), state, lengths=lengths, resets=resets)
    expected = lstm(params, padded(xs, lengths), state, lengths=lengths, resets=inside)
    assert_equal(found, expected)
    assert_equal(expected[1].h[:, 1], jnp.asarray(state.h[:, 1]))


def test_the_gradient_of_the_state_given_is_the_type_of_the_state_given() -> None:
    params, xs, state = make_inputs()
    h, c = (jnp.asarray(a, jnp.float32) for a in state)
    resets = np.ones((T, B), bool)

    def loss(state: Any, reset_state: Any) -> Any:
        ys, _ = lstm(params, xs, state, resets=resets, reset_state=reset_state)
        return jnp.sum(ys**2)

    d_state, d_reset = jax.grad(loss, (0, 1))(LSTMState(h, c), LSTMState(h, c))
    assert [a.dtype for a in (*d_state, *d_reset)] == ["float32"] * 4
    np.testing.assert_array_equal(d_state.h, 0)
    assert np.all(np.asarray(d_reset.h) != 0)


@pytest.mark.parametrize("shape", [(T,), (T, B), (T, 2, B)])
def test_a_mask_of_lengths_gives_the_lengths_in_either_layout(shape: Any) -> None:
    lengths = np.random.default_rng(0).integers(0, T + 1, shape[1:])
    times = np.arange(T).reshape(T, *(1,) * (len(shape) - 1))
    mask = times < lengths
    for found in (
        lengths_from_mask(mask),
        lengths_from_mask(np.moveaxis(mask, 0, -1), batch_first=True),
        jax.jit(lengths_from_mask)(mask),
    ):
        assert found.dtype == jnp.int32
        np.testing.assert_array_equal(found, lengths)


def test_a_mask_of_no_steps_gives_zeros() -> None:
    np.testing.assert_array_equal(lengths_from_mask(np.ones((0, B), bool)), [0] * B)


def test_a_traced_mask_with_a_hole_counts_what_is_true() -> None:
    found = jax.jit(lengths_from_mask)(np.array([False, True, True]))
    np.testing.assert_array_equal(found, 2)
