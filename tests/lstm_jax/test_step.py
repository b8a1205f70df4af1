"""`lstm_step` against its docstring's equations, and the recurrence against it."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import LayerParams, LSTMState, lstm, lstm_step
from tests.given.inputs import (
    B,
    H,
    P,
    assert_near,
    cast,
    draw,
    layer_of,
    like,
    make_inputs,
    make_params,
    make_spec,
    plain_scan,
)

pytestmark = pytest.mark.usefixtures("float64")

FORMS = [
    pytest.param({}, id="plain"),
    pytest.param({"input_size": H}, id="I=H"),
    pytest.param({"proj_size": P}, id="projection"),
    pytest.param({"bias": False}, id="no_bias"),
]


def layer_params(**changes: Any) -> LayerParams:
    return layer_of(make_params(make_spec(**changes)))


def step_inputs(params: LayerParams, batch: tuple[int, ...] = (B,)) -> Any:
    x = draw((*batch, params.weight_ih.shape[1]), seed=1)
    h = draw((*batch, params.weight_hh.shape[1]), seed=2)
    return x, LSTMState(h, draw((*batch, H), seed=3))


def docstring_step(params: Any, x: Any, h: Any, c: Any) -> Any:
    """The docstring's equations for one row, as a student would type them."""
    W_ii, W_if, W_ig, W_io = params.weight_ih.reshape(4, H, -1)
    W_hi, W_hf, W_hg, W_ho = params.weight_hh.reshape(4, H, -1)
    zeros = np.zeros((4, H))
    b_ii, b_if, b_ig, b_io = (
        zeros if params.bias_ih is None else params.bias_ih.reshape(4, H)
    )
    b_hi, b_hf, b_hg, b_ho = (
        zeros if params.bias_hh is None else params.bias_hh.reshape(4, H)
    )

    def sigma(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    i = sigma(W_ii @ x + b_ii + W_hi @ h + b_hi)
    f = sigma(W_if @ x + b_if + W_hf @ h + b_hf)
    g = np.tanh(W_ig @ x + b_ig + W_hg @ h + b_hg)
    o = sigma(W_io @ x + b_io + W_ho @ h + b_ho)
    c = f * c + i * g
    W_hr = np.eye(H) if params.weight_hr is None else params.weight_hr
    return W_hr @ (o * np.tanh(c)), c


@pytest.mark.parametrize("form", FORMS)
def test_a_step_is_the_docstrings_equations(form: Any) -> None:
    params = layer_params(**form)
    x, state = step_inputs(params)
    rows = [docstring_step(params, x[b], state.h[b], state.c[b]) for b in range(B)]
    expected = [np.stack(part) for part in zip(*rows, strict=True)]
    assert_near(tuple(lstm_step(params, x, state)), tuple(expected))


@pytest.mark.parametrize("form", [FORMS[0], FORMS[1], FORMS[3]])
def test_a_step_and_its_gradients_are_those_of_torchs_cell(
    form: Any, torch: Any
) -> None:
    params = layer_params(**form)
    x, state = step_inputs(params)
    cotangents = like(state)
    out, transpose = jax.vjp(lstm_step, params, x, state)
    d_params, d_x, d_state = transpose(cotangents)

    bias = params.bias_ih is not None
    cell = torch.nn.LSTMCell(x.shape[1], H, bias=bias, dtype=torch.float64)
    for name, parameter in cell.named_parameters():
        parameter.data = torch.tensor(getattr(params, name))
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, *state)]
    expected = cell(leaves[0], tuple(leaves[1:]))
    torch.autograd.backward(expected, [torch.tensor(a) for a in cotangents])

    assert_near(tuple(out), tuple(a.detach().numpy() for a in expected))
    assert_near((d_x, *d_state), tuple(leaf.grad.numpy() for leaf in leaves))  # pyright: ignore[reportOptionalMemberAccess]
    for name, parameter in cell.named_parameters():
        assert parameter.grad is not None
        assert_near(getattr(d_params, name), parameter.grad.numpy())


@pytest.mark.parametrize("form", FORMS)
def test_each_row_of_any_batch_axes_is_a_step_of_its_own(form: Any) -> None:
    params = layer_params(**form)
    x, state = step_inputs(params, batch=(2, 3))
    together = lstm_step(params, x, state)
    for index in np.ndindex(2, 3):
        alone = lstm_step(params, x[index], LSTMState(state.h[index], state.c[index]))
        assert_near(alone, jax.tree.map(lambda a, index=index: a[index], together))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_a_step_keeps_the_type_of_its_arguments(dtype: str) -> None:
    params = layer_params(proj_size=P)
    arguments = cast((params, *step_inputs(params)), dtype)
    assert [a.dtype for a in lstm_step(*arguments)] == [dtype, dtype]


def second_order(run: Any, inputs: Any, cotangents: Any, tangents: Any) -> Any:
    """Outputs, tangents, gradients, and the tangents of the gradients."""

    def gradients(*inputs: Any) -> Any:
        out, transpose = jax.vjp(run, *inputs)
        return out, transpose(cotangents)

    return jax.jvp(gradients, inputs, tangents)


@pytest.mark.parametrize(
    ("form", "steps"),
    [
        pytest.param({"input_size": H}, 18, id="I=H"),
        pytest.param({"proj_size": P}, 18, id="projection"),
        pytest.param({"bias": False}, 3, id="no_bias"),
    ],
)
def test_the_recurrence_is_a_plain_scan_of_the_step_to_second_order(
    form: Any, steps: int
) -> None:
    inputs = tuple(make_inputs(make_spec(**form), steps))
    cotangents = like(jax.eval_shape(plain_scan, *inputs), seed=4)
    tangents = like(inputs, seed=5)
    ours, plain = (
        jax.jit(partial(second_order, run))(inputs, cotangents, tangents)
        for run in (lstm, plain_scan)
    )
    assert_near(ours, plain)


def test_the_second_derivative_of_the_weights_is_that_of_a_plain_scan() -> None:
    params, xs, state = make_inputs(make_spec(proj_size=P), steps=3)
    weight = draw((), seed=6)

    def loss(run: Any, params: Any) -> Any:
        ys, (h, c) = run(params, xs, state)
        return jnp.sum(ys**2) * weight + jnp.sum(h * c[..., :P])

    ours, plain = (
        jax.jit(jax.hessian(partial(loss, run)))(params) for run in (lstm, plain_scan)
    )
    assert_near(ours, plain)
