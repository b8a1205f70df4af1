"""One suite for every backend, and for the programs of XLA that a CPU has.

A backend that is added to `BACKENDS` of this file inherits all of it. Where a backend
says that it cannot run something, it must refuse it by name.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from jax.experimental import rnn

import lstm_jax
from lstm_jax.backends import XLA, CuDNN, Native, cudnn
from lstm_jax.native import library
from lstm_jax.scan.layer import run_layers
from parity.judge.cases import Case
from parity.judge.exact import of_oracle
from parity.verify import sides
from tests.given.toy_backend import Toy
from tests.lstm_jax.test_cudnn import reference


@dataclass(frozen=True, kw_only=True)
class Transposed(XLA):
    """XLA's program of wide layers on a CPU, for layers of any width."""

    def run(
        self, loop: Any, spec: Any, layers: Any, steps: Any, states: Any
    ) -> tuple[Any, Any]:
        del spec
        loop = replace(loop, transposed=True)
        return run_layers(lambda _: loop, layers, steps, states)


BACKENDS = {
    "xla": XLA(),
    "xla, transposed": Transposed(),
    **({} if library.missing() else {"native": Native()}),
    "cudnn": CuDNN(),
    "toy": Toy(),
}
# What another order of products may get wrong, and then what else a backend may.
OF_ORDERS = (
    {"num_layers": 2, "bidirectional": True, "proj_size": 2},
    {"dtype": "bfloat16", "proj_size": 2},
    {"resets": True, "reset_state": True, "lengths": True},
)
CASES = (
    *OF_ORDERS,
    {"bias": False, "steps": 1},
    {"num_layers": 2, "bidirectional": True},
    {"dtype": "float16"},
    {"dtype": "float64", "bidirectional": True},
    {"lengths": True, "bidirectional": True},
    {"batch": (4,), "hidden_size": 3, "input_size": 1},
)
PAIRS = [
    pytest.param(
        name,
        options,
        id=f"{name}-{options}",
        marks=() if options in OF_ORDERS else pytest.mark.slow,
    )
    for name in BACKENDS
    for options in (OF_ORDERS if name.startswith("xla,") else CASES)
]


# What is transposed has the derivatives of what is not.
DERIVED = [name for name in BACKENDS if name != "xla, transposed"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A backend; for cudnn, jax's own reference in the place of the kernel."""
    if request.param == "cudnn":
        reasons = cudnn._reasons  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(rnn, "lstm", reference)
        monkeypatch.setattr(rnn, "gpu_rnn", object())
        monkeypatch.setattr(
            cudnn, "_reasons", lambda spec: reasons(replace(spec, platform="gpu"))
        )
        jax.clear_caches()
    return BACKENDS[request.param]


def refuses(backend: Any, function: Any, *arrays: Any, **flags: Any) -> bool:
    """Whether the backend cannot run a spec; then it must say so, by its name."""
    spec = lstm_jax.LSTMSpec(input_size=5, hidden_size=4, **flags)
    if not backend.unsupported(spec):
        return False
    message = f"backend='{backend.name}' cannot run this layer: "
    with pytest.raises(NotImplementedError, match=message):
        function(*arrays)
    return True


def small(batch: tuple[int, ...] = (6,)) -> Any:
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    return params, jax.random.normal(jax.random.key(1), (7, *batch, 3))


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize(("backend", "options"), PAIRS, indirect=["backend"])
def test_values_and_gradients_are_within_the_budget(options: Any, backend: Any) -> None:
    case = Case(**{"name": "", "batch": (2, 3)} | options)
    problem, run = case.draw(), partial(lstm_jax.lstm, backend=backend)
    flags = {
        k: v for k, v in options.items() if k in ("proj_size", "lengths", "resets")
    }
    flags["dtype"] = case.dtype
    if refuses(backend, sides.outputs_of_jax, run, problem, **flags):
        return
    exact = of_oracle(problem)
    values, found = sides.outputs_of_jax(run, problem), sides.of_jax(run, problem)
    assert len(found) == len(exact)
    for key, array in (*values.items(), *found.items()):
        assert case.distance(key[0], array, exact[key]).error <= case.budget


def test_there_may_be_no_steps(backend: Any) -> None:
    params, xs = small()
    ys, state = lstm_jax.lstm(params, xs[:0], backend=backend)
    assert ys.shape == (0, 6, 4)
    np.testing.assert_array_equal(state.c, np.zeros((1, 6, 4)))


def test_there_may_be_no_rows(backend: Any) -> None:
    params, xs = small()
    ys, state = lstm_jax.lstm(params, xs[:, :0], backend=backend)
    assert (ys.shape, state.c.shape) == ((7, 0, 4), (1, 0, 4))


def test_every_row_is_in_this_suite() -> None:
    tested = {backend.name for backend in BACKENDS.values()}
    away = {"native"} if library.missing() else set()
    assert lstm_jax.backends.BACKENDS.keys() - away <= tested


def test_two_halves_are_the_whole(backend: Any) -> None:
    params, xs = small()
    run = partial(lstm_jax.lstm, params, backend=backend)
    whole, state = run(xs)
    first, between = run(xs[:3])
    second, after = run(xs[3:], between)
    found = jnp.concatenate([first, second]), after
    jax.tree.map(partial(np.testing.assert_allclose, atol=5e-7), found, (whole, state))


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("options", [{"remat": 2}], ids=str)
def test_gradients_are_those_of_xla(options: Any, backend: Any) -> None:
    def gradients(backend: Any) -> Any:
        def run(*arrays: Any) -> Any:
            return lstm_jax.lstm(*arrays, **options, backend=backend)[0]

        ys, pullback = jax.vjp(run, *small())
        return pullback(jnp.ones_like(ys))

    flags = dict.fromkeys(options, True)
    if not refuses(backend, gradients, backend, **flags):
        both = gradients(backend), gradients(XLA())
        jax.tree.map(partial(np.testing.assert_allclose, atol=2e-6), *both)


@pytest.mark.parametrize("axes", [(None, 1), (0, None)], ids=["xs", "params"])
def test_a_backend_with_every_transform_maps(axes: Any, backend: Any) -> None:
    if not backend.every_transform:
        return
    params, xs = small((5, 6))
    if axes[0] == 0:
        xs, params = xs[:, 0], jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    run = partial(lstm_jax.lstm, backend=backend)
    ys, _ = jax.jit(jax.vmap(run, axes))(params, xs)
    for k, y in enumerate(ys):
        one = params if axes[0] is None else jax.tree.map(lambda a, k=k: a[k], params)
        alone, _ = run(one, xs[:, k] if axes[1] else xs)
        np.testing.assert_allclose(y, alone, atol=4 * float(jnp.finfo(y.dtype).eps))


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("backend", DERIVED, indirect=True)
def test_a_backend_with_every_transform_has_every_derivative(backend: Any) -> None:
    if not backend.every_transform:
        return
    case = Case(name="", batch=(4,), hidden_size=2, steps=3, dtype="float64")
    with jax.enable_x64(True):
        problem = case.draw()
        params, xs = jax.tree.map(jnp.asarray, (problem.params, problem.xs))
        run = partial(lstm_jax.lstm, backend=backend)
        if refuses(backend, run, params, xs, dtype="float64"):
            return

        def loss(params: Any, xs: Any) -> Any:
            ys, (h, c) = run(params, xs)
            return jnp.sum(ys**2) + jnp.sum(jnp.sin(h) * c)

        jax.test_util.check_grads(loss, (params, xs), order=2)


def temporary(steps: int, backend: Any, function: Any) -> int:
    """Bytes that a program takes beside its inputs and outputs."""
    params, _ = small()
    run = jax.jit(partial(function, backend=backend))
    memory = run.lower(params, jnp.ones((steps, 4, 3))).compile().memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_outputs_take_no_more_memory_for_more_steps(backend: Any) -> None:
    if backend.name == "xla":
        short, long = (temporary(n, backend, lstm_jax.lstm) for n in (1500, 150000))
        assert short == long


@pytest.mark.slow
def test_a_gradient_keeps_no_more_than_that_of_rows_first(backend: Any) -> None:
    def gradient(params: Any, xs: Any, *, backend: Any) -> Any:
        def loss(params: Any) -> Any:
            return lstm_jax.lstm(params, xs, backend=backend)[1].c.sum()

        return jax.grad(loss)(params)

    if backend.name == "xla":
        plain = temporary(5000, XLA(), gradient)
        assert temporary(5000, backend, gradient) < 1.05 * plain


def test_a_backend_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lstm_jax.backends.BACKENDS, "toy", Toy())
    monkeypatch.delenv("LSTM_JAX_NATIVE", raising=False)
    params, xs = small()
    ys, _ = lstm_jax.lstm(params, xs, backend="toy")
    np.testing.assert_allclose(ys, lstm_jax.lstm(params, xs)[0], atol=5e-7)
    spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4, lengths=True)
    assert lstm_jax.backends.explain(spec).splitlines() == [
        'native: yes (chosen by "auto")',
        "xla: yes",
        "cudnn: no, no CUDA device.",
        "toy: no, it is a toy.",
    ]


@pytest.mark.usefixtures("no_jaxtyping")
def test_what_is_no_backend_is_refused() -> None:
    for wrong in (XLA, 3):
        with pytest.raises(TypeError) as caught:
            _ = lstm_jax.lstm(*small(), backend=wrong)  # pyright: ignore
        assert str(caught.value) == (
            f"lstm: backend must be a name or a backend, not {wrong!r}: it runs the "
            "stack. Use 'auto'."
        )
