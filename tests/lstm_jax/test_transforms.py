"""Every transform of JAX and Flax, what is compiled, and how much."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.core import jaxprs_in_params
from jax.test_util import check_grads

from lstm_jax import LSTM, LSTMState, lstm
from tests.given.inputs import (
    B,
    H,
    P,
    T,
    assert_equal,
    assert_near,
    like,
    make_inputs,
    make_params,
    make_spec,
    plain_scan,
)

pytestmark = pytest.mark.usefixtures("float64")

KEY = jax.random.key(0)
COMPILED = "/jax/core/compile/backend_compile_duration"
DROPOUT = pytest.mark.parametrize("dropout", [0.0, 0.5], ids=["kept", "dropped"])


def stack_inputs() -> Any:
    return make_inputs(make_spec(num_layers=2, proj_size=P))


def make_loss(dropout: float = 0.0, cotangents: Any = None) -> Callable[..., Any]:
    """A loss of parameters, inputs and state that every output enters."""

    def loss(params: Any, xs: Any, state: Any) -> Any:
        options: Any = {"dropout": dropout, "dropout_key": KEY} if dropout else {}
        out = lstm(params, xs, state, **options)
        weights = like(out) if cotangents is None else cotangents
        return sum(
            jnp.sum(a * w)
            for a, w in zip(jax.tree.leaves(out), jax.tree.leaves(weights), strict=True)
        )

    return loss


def make_module(dropout: float = 0.0) -> LSTM:
    params = make_params(make_spec(num_layers=2, proj_size=P))
    return LSTM.from_params(params, dropout=dropout)


def run_module(module: LSTM, xs: Any) -> Any:
    return module(xs, rngs=KEY)


@DROPOUT
def test_jit_takes_a_module_as_argument_and_as_closure(dropout: float) -> None:
    module, xs = make_module(dropout), stack_inputs().xs
    expected = run_module(module, xs)
    assert_near(jax.jit(run_module)(module, xs), expected)
    assert_near(jax.jit(lambda xs: run_module(module, xs))(xs), expected)
    assert_near(nnx.jit(run_module)(module, xs), expected)


@DROPOUT
def test_grad_of_a_module_is_grad_of_the_function(dropout: float) -> None:
    module, xs = make_module(dropout), stack_inputs().xs

    def module_loss(module: LSTM) -> Any:
        return jnp.sum(run_module(module, xs)[0] ** 2)

    def loss(params: Any) -> Any:
        options: Any = {"dropout": dropout, "dropout_key": KEY} if dropout else {}
        return jnp.sum(lstm(params, xs, **options)[0] ** 2)

    expected = jax.grad(loss)(module.params())
    found = nnx.grad(module_loss)(module)
    assert_near({name: found[name].get_value() for name in expected}, expected)
    assert_near(jax.jit(jax.grad(module_loss))(module).params(), expected)


@DROPOUT
def test_vmap_over_inputs_is_a_loop(dropout: float) -> None:
    """One dropout key for all: the same masks in each."""
    params, xs, state = stack_inputs()
    many = np.stack([xs, xs * 0.5, xs - 1.0])
    gradient = jax.grad(make_loss(dropout, like(lstm(params, xs))), (0, 1))
    found = jax.vmap(gradient, (None, 0, None))(params, many, state)
    loop = [gradient(params, one, state) for one in many]
    assert_near(found, jax.tree.map(lambda *a: jnp.stack(a), *loop))


@DROPOUT
def test_vmap_over_parameters_is_a_loop(dropout: float) -> None:
    _, xs, state = stack_inputs()
    spec = make_spec(num_layers=2, proj_size=P)
    members = [make_params(spec, seed) for seed in range(3)]
    params = jax.tree.map(lambda *a: np.stack(a), *members)
    gradient = jax.grad(make_loss(dropout, like(lstm(members[0], xs))), (0, 1))
    found = jax.vmap(gradient, (0, None, None))(params, xs, state)
    loop = [gradient(member, xs, state) for member in members]
    assert_near(found, jax.tree.map(lambda *a: jnp.stack(a), *loop))


@pytest.mark.slow
def test_derivatives_over_chunks_are_finite_differences_to_second_order() -> None:
    """More than a chunk; test_derivatives.py has every kind within one."""
    inputs = make_inputs(make_spec(proj_size=P), 17)
    check_grads(jax.jit(lstm), tuple(inputs), order=2, modes=["fwd", "rev"])


def test_checkpoint_changes_nothing() -> None:
    inputs = tuple(stack_inputs())
    loss = make_loss(0.5, like(lstm(*inputs)))
    expected = jax.value_and_grad(loss, (0, 1, 2))(*inputs)
    found = jax.value_and_grad(jax.checkpoint(loss), (0, 1, 2))(*inputs)  # pyright: ignore[reportPrivateImportUsage]
    assert_near(found, expected)


@contextmanager
def compilations() -> Iterator[list[str]]:
    """The programs compiled meanwhile."""
    found: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == COMPILED:
            found.append(str(kwargs))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def run_eagerly(params: Any, xs: Any, state: Any) -> Any:
    return lstm(params, xs, state)


def run_masked(params: Any, xs: Any, state: Any) -> Any:
    lengths, resets = np.array([7, 0, 3]), np.zeros((T, B), bool)
    return lstm(params, xs, state, lengths=lengths, resets=resets, reset_state=state)


def run_dropped(params: Any, xs: Any, state: Any) -> Any:
    return lstm(params, xs, state, dropout=0.5, dropout_key=KEY, dtype="float32")


def run_new_module(params: Any, xs: Any, state: Any) -> Any:
    return LSTM.from_params(params)(xs, state)


def run_gradient(params: Any, xs: Any, state: Any) -> Any:
    return jax.grad(lambda params: jnp.sum(lstm(params, xs, state)[0]))(params)


def run_steps(params: Any, xs: Any, state: Any) -> Any:
    module = LSTM.from_params(params)
    for x in xs:
        _, state = module.step(x, state)
    return state


@pytest.mark.parametrize(
    ("run", "hidden_size"),
    [
        (run_eagerly, 6),
        (run_masked, 7),
        (run_dropped, 8),
        (run_new_module, 9),
        (run_gradient, 10),
        (run_steps, 11),
    ],
)
def test_a_second_eager_call_compiles_nothing(run: Any, hidden_size: int) -> None:
    """Each with a size of its own: the first call must be seen to compile."""
    inputs = make_inputs(make_spec(num_layers=2, hidden_size=hidden_size))
    params, xs, state = inputs
    with compilations() as first:
        expected = run(params, xs, state)
    with compilations() as second:
        other = run(dict(params), xs.copy(), LSTMState(*state))
    assert first
    assert not second
    assert_equal(other, expected)


def lowered_gradient(steps: int) -> Any:
    spec = make_spec(num_layers=2, bidirectional=True, proj_size=P)
    inputs = make_inputs(spec, steps)
    cotangents = jax.eval_shape(lstm, *inputs)

    def gradient(inputs: Any, cotangents: Any) -> Any:
        return jax.vjp(lambda i: lstm(*i), inputs)[1](cotangents)

    return jax.jit(gradient).lower(inputs, cotangents)


def test_the_program_does_not_grow_with_the_number_of_steps() -> None:
    short, long = (lowered_gradient(steps) for steps in (1024, 8192))
    assert len(long.as_text()) < 1.02 * len(short.as_text())
    texts = [program.compile().as_text() for program in (short, long)]
    assert len(texts[1]) < 1.1 * len(texts[0])


def carried_shapes(jaxpr: Any) -> Iterator[tuple[int, ...]]:
    """Shapes of everything that a scan within a jaxpr carries from step to step."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            (body,) = jaxprs_in_params(equation.params)
            pairs: Any = zip(equation.outvars, body.outvars, strict=True)
            shapes = [(whole.aval.shape, step.aval.shape) for whole, step in pairs]
            # What is not carried is stacked: it has one axis more than at a step.
            yield from (whole for whole, step in shapes if whole == step)
        for inner in jaxprs_in_params(equation.params):
            yield from carried_shapes(inner)


@pytest.mark.parametrize("steps", [T, 16])
def test_no_weight_gradient_is_summed_step_by_step(steps: int) -> None:
    """One chunk: its scans carry states; those of the step scanned plainly, weights."""
    inputs = tuple(make_inputs(make_spec(proj_size=P), steps))
    cotangents = jax.eval_shape(lstm, *inputs)

    def carried(run: Any) -> set:
        def gradient(cotangents: Any, *inputs: Any) -> Any:
            return jax.vjp(run, *inputs)[1](cotangents)

        return set(carried_shapes(jax.make_jaxpr(gradient)(cotangents, *inputs).jaxpr))

    states, weight = {(B, P), (B, H)}, (4 * H, P)
    assert carried(lstm) == states
    assert weight in carried(plain_scan)
