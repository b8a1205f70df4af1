"""Outputs alone are computed in another order of axes on a CPU: the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import lstm_jax
from lstm_jax.backends import xla
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
def one_device(monkeypatch):
    """As where JAX is started plainly: the tests have several devices."""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    jax.clear_caches()
    yield
    jax.clear_caches()


def taken(case):
    xs = jnp.zeros((case.steps, *case.batch, case.input_size))
    return xla._features_first(case.spec, xs)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_they_are_within_the_budget(options, one_device):
    case = Case(**{"name": "", "batch": (2, 3), "given_state": True} | options)
    assert taken(case)
    problem = case.draw()
    exact = sides.of_oracle(problem)
    found = sides.outputs_of_jax(lstm_jax.lstm, problem)
    for key, array in found.items():
        assert case.distance(key[0], array, exact[key]).error <= case.budget


def test_there_may_be_no_steps(one_device):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    ys, state = lstm_jax.lstm(params, jnp.zeros((0, 6, 3)))
    assert ys.shape == (0, 6, 4)
    np.testing.assert_array_equal(state.c, np.zeros((1, 6, 4)))


@pytest.mark.parametrize("axes", [(None, 1), (0, None)], ids=["xs", "params"])
def test_they_may_be_mapped(axes, one_device):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    xs = jax.random.normal(jax.random.key(1), (7, 5, 6, 3))
    if axes[0] == 0:
        xs, params = xs[:, 0], jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    ys, _ = jax.jit(jax.vmap(lstm_jax.lstm, axes))(params, xs)
    for k, y in enumerate(ys):
        one = params if axes[0] is None else jax.tree.map(lambda a, k=k: a[k], params)
        alone, _ = lstm_jax.lstm(one, xs[:, k] if axes[1] else xs)
        np.testing.assert_allclose(y, alone, atol=4 * float(jnp.finfo(y.dtype).eps))


def test_few_rows_and_other_devices_keep_their_order(one_device):
    assert not taken(Case(name="", batch=(3,)))
    assert not taken(Case(name="", batch=()))
    spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4, platform="gpu")
    assert not xla._features_first(spec, jnp.zeros((7, 8, 3)))


@pytest.mark.parametrize("hidden_size", [255, 256])
def test_devices_that_share_the_cores_do_it_for_wide_layers(hidden_size, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    case = Case(name="", batch=(8,), hidden_size=hidden_size)
    found = []

    def within(xs):
        found.append(taken(case))
        return xs

    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    split = PartitionSpec("batch")
    _ = jax.eval_shape(
        jax.shard_map(within, mesh=mesh, in_specs=split, out_specs=split), jnp.ones(8)
    )
    assert found == [hidden_size == 256]
    assert not taken(case)
