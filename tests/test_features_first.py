"""Outputs alone are computed in another order of axes on a CPU: the same numbers."""

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import lstm_jax
from lstm_jax.backends import xla
from lstm_jax.gates import Options
from parity import sides
from parity.cases import Case

OPTIONS = (
    {},
    {"bias": False},
    {"num_layers": 2, "bidirectional": True, "proj_size": 2},
    {"dtype": "bfloat16", "proj_size": 2},
    {"dtype": "float16"},
    {"dtype": "float64", "bidirectional": True},
    {"steps": 1},
    {"batch": (4,), "hidden_size": 3, "input_size": 1},
)


@pytest.fixture
def everywhere(monkeypatch):
    """As wide layers are on one device of two cores; the tests have more devices."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(xla, "WIDE", 1)
    monkeypatch.setattr(xla, "_cores", lambda: 2)
    jax.clear_caches()
    yield
    jax.clear_caches()


def order(case):
    xs = jnp.zeros((case.steps, *case.batch, case.input_size))
    return xla._order(case.spec, xs)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_they_are_within_the_budget(options, everywhere):
    case = Case(**{"name": "", "batch": (2, 3), "given_state": True} | options)
    assert order(case).feature_blocks == (1 if case.hidden_size % 2 else 2)
    problem = case.draw()
    exact = sides.of_oracle(problem)
    found = sides.outputs_of_jax(lstm_jax.lstm, problem)
    for key, array in found.items():
        assert case.distance(key[0], array, exact[key]).error <= case.budget


def test_there_may_be_no_steps(everywhere):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    ys, state = lstm_jax.lstm(params, jnp.zeros((0, 6, 3)))
    assert ys.shape == (0, 6, 4)
    np.testing.assert_array_equal(state.c, np.zeros((1, 6, 4)))


@pytest.mark.parametrize("axes", [(None, 1), (0, None)], ids=["xs", "params"])
def test_they_may_be_mapped(axes, everywhere):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    xs = jax.random.normal(jax.random.key(1), (7, 5, 6, 3))
    if axes[0] == 0:
        xs, params = xs[:, 0], jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    ys, _ = jax.jit(jax.vmap(lstm_jax.lstm, axes))(params, xs)
    for k, y in enumerate(ys):
        one = params if axes[0] is None else jax.tree.map(lambda a, k=k: a[k], params)
        alone, _ = lstm_jax.lstm(one, xs[:, k] if axes[1] else xs)
        np.testing.assert_allclose(y, alone, atol=4 * float(jnp.finfo(y.dtype).eps))


def test_they_have_every_derivative(everywhere):
    case = Case(name="", batch=(4,), hidden_size=2, steps=3, dtype="float64")
    assert order(case).feature_blocks
    with jax.enable_x64(True):
        problem = case.draw()
        params, xs = jax.tree.map(jnp.asarray, (problem.params, problem.xs))

        def loss(params, xs):
            ys, (h, c) = lstm_jax.lstm(params, xs)
            return jnp.sum(ys**2) + jnp.sum(jnp.sin(h) * c)

        jax.test_util.check_grads(loss, (params, xs), order=2)


@pytest.mark.parametrize("options", [{}, {"remat": 2}, {"truncate": 3}], ids=str)
def test_gradients_are_those_of_rows_first(options, everywhere, monkeypatch):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    xs = jax.random.normal(jax.random.key(1), (7, 6, 3))
    found = []
    for wide in (1, 5):
        monkeypatch.setattr(xla, "WIDE", wide)
        jax.clear_caches()
        _, pullback = jax.vjp(
            lambda p, xs: lstm_jax.lstm(p, xs, **options)[0], params, xs
        )
        found.append(pullback(jnp.ones((7, 6, 4))))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), *found)


def temporary(steps, function):
    """Bytes that a program takes beside its inputs and outputs."""
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    compiled = jax.jit(function).lower(params, jnp.ones((steps, 4, 3))).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_they_take_no_more_memory_for_more_steps(everywhere):
    short, long = (temporary(steps, lstm_jax.lstm) for steps in (500, 50000))
    assert short == long


@pytest.mark.parametrize("remat", [None, "sqrt"])
def test_a_gradient_keeps_no_more_than_with_rows_first(remat, everywhere, monkeypatch):
    def gradient(params, xs):
        return jax.grad(lambda p: lstm_jax.lstm(p, xs, remat=remat)[1].c.sum())(params)

    ours = temporary(50000, gradient)
    monkeypatch.setattr(xla, "WIDE", 5)
    jax.clear_caches()
    assert ours < 1.05 * temporary(50000, gradient)


@pytest.mark.parametrize(
    ("changes", "cores", "blocks", "joined"),
    [
        ({}, 2, 2, False),
        ({}, 1, 1, False),
        ({"hidden_size": 257}, 2, 1, False),
        ({"hidden_size": 255}, 2, 0, True),
        ({"batch": (3,)}, 2, 0, False),
        ({"batch": ()}, 2, 0, False),
    ],
    ids=str,
)
def test_the_order_is_chosen_by_size(changes, cores, blocks, joined, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(xla, "_cores", lambda: cores)
    case = Case(**{"name": "", "batch": (2, 2), "hidden_size": 256} | changes)
    found = order(case)
    assert (found.feature_blocks, found.joined) == (blocks, joined)


def test_other_devices_keep_their_order():
    spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4, platform="gpu")
    assert xla._order(spec, jnp.zeros((7, 8, 3))) == Options()


def test_devices_that_share_the_cores_do_it_where_each_has_its_rows(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    case = Case(name="", batch=(8,), hidden_size=256)
    found = []

    def within(xs):
        found.append(order(case).feature_blocks > 0)
        return xs

    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    split = PartitionSpec("batch")
    _ = jax.eval_shape(
        jax.shard_map(within, mesh=mesh, in_specs=split, out_specs=split), jnp.ones(8)
    )
    assert found == [True]
    assert not order(case).feature_blocks
