"""Sequences in pieces: streams, cut gradients, and what they take of memory."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lstm_jax import LSTM, LSTMModel, LSTMState, linen, lstm
from lstm_jax.native import library
from tests.given.inputs import (
    B,
    H,
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
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures("float64")


def in_windows(inputs: Inputs, window: int, **masks: Any) -> Any:
    """A call for each window, the gradient of the state cut in between."""
    params, xs, state = inputs
    outputs = []
    for start in range(0, len(xs), window):
        if start:
            state = jax.lax.stop_gradient(state)
        part = slice(start, start + window)
        own = {name: mask[part] for name, mask in masks.items()}
        ys, state = lstm(params, xs[part], state, **own)
        outputs.append(ys)
    return jnp.concatenate(outputs), state


@pytest.mark.parametrize(
    ("steps", "window", "options"),
    [
        (T, 3, {}),
        pytest.param(40, 17, {"remat": 4}, marks=pytest.mark.slow),
        pytest.param(T, 1, {"remat": "sqrt"}, marks=pytest.mark.slow),
        (T, 100, {}),
    ],
)
def test_truncation_is_a_call_for_each_window_with_the_state_cut(
    steps: int, window: int, options: Any
) -> None:
    inputs = make_inputs(make_spec(num_layers=2, proj_size=P), steps)
    resets = draw((steps, B)) > 1
    cotangents = like(jax.eval_shape(lstm, *inputs))
    out, transpose = jax.vjp(
        lambda inputs: in_windows(inputs, window, resets=resets), inputs
    )
    found = value_and_gradients(
        inputs, cotangents, resets=resets, truncate=window, **options
    )
    assert_near(found, (out, transpose(cotangents)[0]))


def test_truncation_keeps_the_gradients_of_the_first_and_last_state() -> None:
    params, xs, state = make_inputs()

    def final(xs: Any, state: Any) -> Any:
        return jnp.sum(lstm(params, xs, state, truncate=3)[1].c)

    def early(xs: Any, state: Any) -> Any:
        return jnp.sum(lstm(params, xs, state, truncate=3)[0][2])

    d_xs, d_state = jax.grad(final, (0, 1))(xs, state)
    np.testing.assert_array_equal(np.any(np.asarray(d_xs) != 0, (1, 2)), [0] * 6 + [1])
    assert not any(np.any(a) for a in d_state)
    d_xs, d_state = jax.grad(early, (0, 1))(xs, state)
    assert np.all(np.asarray(d_xs[:3]) != 0)
    assert all(np.all(np.asarray(a) != 0) for a in d_state)


def test_truncation_takes_no_steps() -> None:
    inputs = make_inputs(steps=0)
    assert_equal(value_and_gradients(inputs, truncate=2), value_and_gradients(inputs))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_in_whole_chunks_is_the_whole_to_the_last_bit(dtype: str) -> None:
    """A chunk of the program is 16 steps; so are these."""
    params, xs, state = cast(make_inputs(make_spec(num_layers=2), steps=48), dtype)
    whole = lstm(params, xs, state)
    outputs = []
    for part in jnp.split(xs, 3):
        ys, state = lstm(params, part, state)
        outputs.append(ys)
    assert_equal((jnp.concatenate(outputs), state), whole)


@pytest.mark.parametrize("api", ["nnx", "linen"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_stream_of_steps_is_the_sequence(api: str, dtype: str) -> None:
    params, xs, state = cast(make_inputs(make_spec(num_layers=2)), dtype)
    resets = draw((T, B)) > 0.5
    if api == "nnx":
        step = LSTM.from_params(params).step
    else:
        module = linen.LSTM.from_params(params)
        step = partial(module.apply, {"params": params}, method="step")
    ys, after = lstm(params, xs, state, resets=resets, reset_state=state)
    stream: Any = state
    # The same six equations; a product of one row may be summed in another order.
    bound = 4 * float(jnp.finfo(dtype).eps)
    for t in range(T):
        y, stream = step(xs[t], stream, resets[t], reset_state=state)
        np.testing.assert_allclose(
            np.asarray(y, float), np.asarray(ys[t], float), atol=bound
        )
    assert isinstance(stream, LSTMState)
    np.testing.assert_allclose(
        np.asarray(stream.c, float), np.asarray(after.c, float), atol=8 * bound
    )


def test_the_state_of_a_stream_is_donated() -> None:
    """The state lives on in the same memory: the one before is gone."""
    model = LSTM(5, 4, 2, rngs=nnx.Rngs(0))
    step = jax.jit(LSTM.step, donate_argnums=2)
    state = model.initial_state((B,))
    _, after = step(model, jnp.ones((B, 5)), state)
    assert state.h.is_deleted()
    assert state.c.is_deleted()
    assert not after.h.is_deleted()
    program = step.lower(model, jnp.ones((B, 5)), after).compile()
    memory = program.memory_analysis()
    assert memory is not None
    assert memory.alias_size_in_bytes >= after.h.nbytes + after.c.nbytes


def memory_of(steps: int, **stack: Any) -> Any:
    """What the forward pass takes, beside its inputs."""
    params, xs, _ = cast(make_inputs(make_spec(**stack), steps=steps), "float32")
    memory = jax.jit(lstm).lower(params, xs).compile().memory_analysis()
    assert memory is not None
    return memory


def test_the_forward_pass_takes_inputs_outputs_and_a_chunk() -> None:
    """One layer, whole chunks: ten times the steps, and not a byte of memory more."""
    short, long = (memory_of(steps) for steps in (5120, 51200))
    assert long.output_size_in_bytes > 9 * short.output_size_in_bytes
    assert long.temp_size_in_bytes == short.temp_size_in_bytes
    assert long.temp_size_in_bytes < long.output_size_in_bytes / 4


def kept_of(steps: int, backend: str) -> float:
    """Bytes of a gradient that has no other use of the outputs, beside its inputs."""
    params, xs, _ = cast(make_inputs(make_spec(), steps=steps), "float32")
    run = partial(lstm, backend=backend)
    gradient = jax.grad(lambda params: run(params, xs)[1].c.sum())
    memory = jax.jit(gradient).lower(params).compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


NO_KERNEL = pytest.mark.skipif(bool(library.missing()), reason="no C++ compiler")


@pytest.mark.parametrize(
    ("backend", "kept"), [("xla", 5), pytest.param("native", 7, marks=NO_KERNEL)]
)
def test_the_backward_pass_is_given_gates_and_cell(backend: str, kept: int) -> None:
    """Five sequences `(T, B, H)`: what else it needs it makes of them, by chunks.

    The kernel is given the outputs and their gradients too.
    """
    few, many = 5120, 51200
    sequence = 4 * B * H * (many - few)
    assert kept_of(many, backend) - kept_of(few, backend) < (kept + 0.1) * sequence


def test_a_stack_and_a_remainder_take_inputs_and_outputs_once_more() -> None:
    """The whole chunks of the inputs are cut off, the remainder put behind the rest."""
    memory = memory_of(100003, num_layers=2)
    copies = memory.argument_size_in_bytes + memory.output_size_in_bytes
    assert memory.temp_size_in_bytes < 1.05 * copies


def test_donated_inputs_of_a_chunk_are_reused() -> None:
    """Where outputs are as large as inputs, a chunk needs no memory of its own."""
    spec = make_spec(input_size=4)
    params, xs, state = cast(make_inputs(spec, steps=64), "float32")
    run = jax.jit(lstm, donate_argnums=(1, 2))
    _ = run(params, xs, state)
    assert xs.is_deleted()
    assert state.c.is_deleted()


@pytest.mark.parametrize(
    "remat", [5, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 100, "sqrt"))]
)
def test_remat_changes_no_output_and_no_gradient(remat: Any) -> None:
    inputs = make_inputs(make_spec(bidirectional=True), steps=18)
    assert_near(value_and_gradients(inputs, remat=remat), value_and_gradients(inputs))


def test_remat_takes_a_fraction_of_the_memory() -> None:
    """A thirteenth, measured; without `jax.checkpoint` it takes more than None does."""
    inputs = make_inputs(steps=2048)

    def memory(remat: Any) -> int:
        def last(params: Any) -> Any:
            return jnp.sum(lstm(params, *inputs[1:], remat=remat)[1].h)

        program = jax.jit(jax.grad(last)).lower(inputs.params).compile()
        analysis = program.memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert 5 * memory("sqrt") < memory(None)


def test_a_model_of_the_last_step_keeps_neither_outputs_nor_their_gradients() -> None:
    """A twentieth of what it keeps without `remat`, measured; else it was a half."""
    xs = jnp.zeros((1, 10_000, 2), "float32")

    def memory(**options: Any) -> int:
        model = LSTMModel(2, 8, 1, **options, rngs=nnx.Rngs(0))
        graph, params = nnx.split(model)

        def loss(params: Any) -> Any:
            return (nnx.merge(graph, params)(xs) ** 2).mean()

        program = jax.jit(jax.grad(loss)).lower(params).compile()
        analysis = program.memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert 10 * memory(remat="sqrt") < memory()


@pytest.mark.parametrize("remat", [1, "sqrt"])
def test_remat_takes_no_steps(remat: Any) -> None:
    inputs = make_inputs(steps=0)
    assert_equal(value_and_gradients(inputs, remat=remat), value_and_gradients(inputs))
