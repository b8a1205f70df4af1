"""A CPU multiplies in the order that is fastest for the sizes: the same numbers."""

from dataclasses import replace

import jax
import jax.export
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import lstm_jax
from lstm_jax.backends import xla
from lstm_jax.scan.gates import Options
from parity.judge.cases import Case
from parity.verify import sides

OPTIONS = (
    {},
    {"bias": False},
    {"num_layers": 2, "bidirectional": True, "proj_size": 2},
    {"dtype": "bfloat16", "proj_size": 2},
    {"dtype": "float16"},
    {"dtype": "float64", "bidirectional": True},
    {"steps": 1},
    {"lengths": True, "bidirectional": True},
    {"resets": True, "reset_state": True, "num_layers": 2},
    {"batch": (4,), "hidden_size": 3, "input_size": 1},
)


# Small layers in the orders of large ones: cores, thresholds of `xla`, and the order.
ORDERS = {
    "features": (2, {"WIDE": 1}, Options(alone="features", blocks=2)),
    "features, a core": (
        1,
        {"WIDE": 1, "MANY_ROWS": 1},
        Options(by_gate=True, alone="features"),
    ),
    "joined": (1, {}, Options(joined=True, alone="joined")),
    "gates": (1, {"BY_GATE": 1}, Options(joined=True, by_gate=True, alone="joined")),
    "gates, apart": (1, {"WIDE": 1}, Options(by_gate=True, alone="joined")),
    "gates, hoisted": (1, {"WIDE": 1, "GAINS_ALONE": 0}, Options(by_gate=True)),
    "hoisted": (2, {"GAINS": 0, "LARGE": 0}, Options()),
    "as on a GPU": (
        2,
        {"_order": lambda *_: xla.DEVICES["gpu"]},
        Options(unroll=4, together=True),
    ),
}


def other(name):
    """An order with other products than that of a name, where gradients are made."""
    return Options() if name == "joined" else Options(joined=True)


@pytest.fixture(params=ORDERS)
def name(request, monkeypatch):
    """The name of an order that every layer of at least four rows is in."""
    cores, thresholds, _ = ORDERS[request.param]
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setattr(xla, "_cores", lambda: cores)
    for threshold, value in thresholds.items():
        monkeypatch.setattr(xla, threshold, value)
    jax.clear_caches()
    yield request.param
    jax.clear_caches()


@pytest.fixture
def with_order(monkeypatch):
    """A function that runs something with all layers in an order."""

    def run(chosen, function, *arguments):
        monkeypatch.setattr(xla, "_order", lambda *_: chosen)
        jax.clear_caches()
        return function(*arguments)

    yield run
    jax.clear_caches()


@pytest.fixture(scope="module")
def kept():
    """What other orders give, since most are compared with the same one."""
    return {}


def order(case):
    xs = jnp.zeros((case.steps, *case.batch, case.input_size))
    spec = replace(case.spec, lengths=case.lengths, resets=case.resets)
    return xla._order(spec, xs)


def test_the_orders_are_those_of_their_names(name):
    case = Case(name="", batch=(2, 3), steps=7)
    assert order(case) == ORDERS[name][2]


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_they_are_within_the_budget(options, name):
    case = Case(**{"name": "", "batch": (2, 3), "given_state": True} | options)
    problem = case.draw()
    exact = sides.of_oracle(problem)
    alone = sides.outputs_of_jax(lstm_jax.lstm, problem)
    found = sides.of_jax(lstm_jax.lstm, problem)
    for key, array in (*alone.items(), *found.items()):
        assert case.distance(key[0], array, exact[key]).error <= case.budget


def test_there_may_be_no_steps(name):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    ys, state = lstm_jax.lstm(params, jnp.zeros((0, 6, 3)))
    assert ys.shape == (0, 6, 4)
    np.testing.assert_array_equal(state.c, np.zeros((1, 6, 4)))


@pytest.mark.parametrize("axes", [(None, 1), (0, None)], ids=["xs", "params"])
def test_they_may_be_mapped(axes, name):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    xs = jax.random.normal(jax.random.key(1), (7, 5, 6, 3))
    if axes[0] == 0:
        xs, params = xs[:, 0], jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    ys, _ = jax.jit(jax.vmap(lstm_jax.lstm, axes))(params, xs)
    for k, y in enumerate(ys):
        one = params if axes[0] is None else jax.tree.map(lambda a, k=k: a[k], params)
        alone, _ = lstm_jax.lstm(one, xs[:, k] if axes[1] else xs)
        np.testing.assert_allclose(y, alone, atol=4 * float(jnp.finfo(y.dtype).eps))


@pytest.mark.usefixtures("unoptimised")
def test_they_have_every_derivative(name):
    case = Case(name="", batch=(4,), hidden_size=2, steps=3, dtype="float64")
    with jax.enable_x64(True):
        problem = case.draw()
        params, xs = jax.tree.map(jnp.asarray, (problem.params, problem.xs))

        def loss(params, xs):
            ys, (h, c) = lstm_jax.lstm(params, xs)
            return jnp.sum(ys**2) + jnp.sum(jnp.sin(h) * c)

        jax.test_util.check_grads(loss, (params, xs), order=2)


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("options", [{}, {"remat": 2}, {"truncate": 3}], ids=str)
def test_gradients_are_those_of_another_order(options, name, with_order, kept):
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    xs = jax.random.normal(jax.random.key(1), (7, 6, 3))

    def gradients():
        _, pullback = jax.vjp(
            lambda p, xs: lstm_jax.lstm(p, xs, **options)[0], params, xs
        )
        return pullback(jnp.ones((7, 6, 4)))

    ours, key = gradients(), (other(name), *options)
    if key not in kept:
        kept[key] = with_order(other(name), gradients)
    pairs = ours, kept[key]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), *pairs)


def temporary(steps, function):
    """Bytes that a program takes beside its inputs and outputs."""
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    compiled = jax.jit(function).lower(params, jnp.ones((steps, 4, 3))).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_outputs_alone_take_no_more_memory_for_more_steps(name):
    short, long = (temporary(steps, lstm_jax.lstm) for steps in (1500, 150000))
    assert short == long


@pytest.mark.parametrize("remat", [None, "sqrt"])
def test_a_gradient_keeps_no_more_than_in_another_order(remat, name, with_order, kept):
    def gradient(params, xs):
        return jax.grad(lambda p: lstm_jax.lstm(p, xs, remat=remat)[1].c.sum())(params)

    ours, key = temporary(50000, gradient), (other(name), "bytes", remat)
    if key not in kept:
        kept[key] = with_order(other(name), temporary, 50000, gradient)
    assert ours < 1.05 * kept[key]


FEATURES = Options(alone="features", blocks=2)
GATES = Options(by_gate=True, alone="joined")
JOINED = Options(joined=True, alone="joined")
JOINED_GATES = Options(joined=True, by_gate=True, alone="joined")
# Sizes, cores, and the order that they are computed in on one device.
CHOSEN = (
    ({}, 2, FEATURES),
    ({}, 1, Options(by_gate=True, alone="features")),
    ({"lengths": True}, 2, Options(alone="joined")),
    ({"resets": True, "input_size": 512}, 2, Options()),
    ({"batch": (31,)}, 2, FEATURES),
    ({"batch": (31,)}, 1, GATES),
    ({"batch": (31,), "input_size": 512}, 1, Options(by_gate=True)),
    ({"batch": (31,), "input_size": 511}, 1, GATES),
    ({"hidden_size": 257}, 2, Options(alone="features")),
    ({"hidden_size": 255, "input_size": 63}, 2, JOINED_GATES),
    ({"hidden_size": 255, "input_size": 64}, 2, Options()),
    ({"hidden_size": 32}, 2, JOINED),
    ({"hidden_size": 64, "input_size": 32}, 2, Options()),
    ({"hidden_size": 63, "input_size": 32}, 2, JOINED),
    ({"hidden_size": 128, "input_size": 128, "batch": (4,)}, 2, Options()),
    ({"hidden_size": 255}, 1, JOINED_GATES),
    ({"hidden_size": 128}, 1, JOINED_GATES),
    ({"hidden_size": 127, "input_size": 127}, 1, JOINED),
    ({"hidden_size": 127, "batch": (4,)}, 1, JOINED),
    ({"hidden_size": 127, "batch": (3,)}, 1, Options()),
    ({"batch": ()}, 1, Options()),
)


@pytest.mark.parametrize(("changes", "cores", "chosen"), CHOSEN, ids=str)
def test_the_order_is_chosen_by_size(changes, cores, chosen, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    monkeypatch.setattr(xla, "_cores", lambda: cores)
    case = Case(**{"name": "", "batch": (2, 16), "hidden_size": 256} | changes)
    assert order(case) == chosen


@pytest.mark.parametrize(
    ("platform", "chosen"),
    [("gpu", Options(unroll=4, together=True)), ("tpu", Options())],
)
def test_sizes_do_not_decide_on_other_devices(platform, chosen):
    spec = lstm_jax.LSTMSpec(input_size=3, hidden_size=4, platform=platform)
    assert xla._order(spec, jnp.zeros((7, 8, 3))) == chosen


def test_a_loop_of_a_gpu_may_have_any_number_of_steps(monkeypatch):
    """A symbolic T, of which nobody knows whether four divides it."""
    steps, rows = jax.export.symbolic_shape("t, b")
    params = lstm_jax.init_params(jax.random.key(0), input_size=3, hidden_size=4)
    chosen = xla._order
    monkeypatch.setattr(
        xla, "_order", lambda spec, xs: chosen(replace(spec, platform="gpu"), xs)
    )
    jax.clear_caches()
    shape = jax.ShapeDtypeStruct((steps, rows, 3), "float32")
    program = jax.export.export(jax.jit(lstm_jax.lstm))(params, shape)
    xs = jax.random.normal(jax.random.key(1), (6, 5, 3))
    ys, _ = program.call(params, xs)
    np.testing.assert_allclose(ys, lstm_jax.lstm(params, xs)[0], atol=5e-7)
    jax.clear_caches()


@pytest.mark.parametrize("lengths", [[7, 0, 3, 1, 5, 2], None])
def test_directions_together_are_one_loop(lengths, with_order):
    params = lstm_jax.init_params(
        jax.random.key(0), input_size=3, hidden_size=4, num_layers=2, bidirectional=True
    )
    xs = jax.random.normal(jax.random.key(1), (7, 6, 3))
    lengths = None if lengths is None else jnp.array(lengths)

    def run(params, xs):
        return lstm_jax.lstm(params, xs, lengths=lengths)

    orders = [Options(together=together) for together in (False, True)]
    apart, together = (with_order(order, run, params, xs) for order in orders)
    np.testing.assert_array_equal(apart[0] == 0, together[0] == 0)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=5e-7), apart, together
    )
    loops = [
        str(with_order(order, jax.make_jaxpr(run), params, xs)) for order in orders
    ]
    assert [text.count(" scan[") for text in loops] == [4, 2]


def test_devices_that_share_the_cores_do_it_where_each_has_its_rows(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    monkeypatch.setattr(xla, "_cores", lambda: 2)
    case, found = Case(name="", batch=(32,), hidden_size=256), []

    def within(xs):
        found.append(order(case))
        return xs

    mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
    split = PartitionSpec("batch")
    _ = jax.eval_shape(
        jax.shard_map(within, mesh=mesh, in_specs=split, out_specs=split), jnp.ones(8)
    )
    assert found == [Options(by_gate=True, alone="features")]
    assert order(case) == GATES
