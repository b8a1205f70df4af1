"""Batches over two devices: `shard_map`, and `jit` under Auto and Explicit meshes."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec as Spec

from lstm_jax import LSTMState, lstm
from tests.given.inputs import (
    P,
    assert_near,
    like,
    make_inputs,
    make_spec,
    value_and_gradients,
)

pytestmark = pytest.mark.usefixtures("float64")

B = 8
ALL = {"num_layers": 2, "bidirectional": True, "proj_size": P}
AXES = [AxisType.Auto, AxisType.Explicit]


def make_mesh(kind: AxisType) -> jax.sharding.Mesh:
    return jax.make_mesh((2,), ("data",), axis_types=(kind,))


def cotangents_of(inputs: Any) -> Any:
    return like(jax.eval_shape(lstm, *inputs))


def forward_and_gradients(params: Any, xs: Any, state: Any, cotangents: Any) -> Any:
    out, transpose = jax.vjp(lstm, params, xs, state)
    return out, transpose(cotangents)


@pytest.mark.parametrize(("stack", "steps"), [({}, 18), (ALL, 7)], ids=["plain", "all"])
def test_shard_map_over_the_batch_is_the_whole_batch(stack: Any, steps: int) -> None:
    """Replicated parameters: shard_map itself sums their gradient over the devices."""
    inputs = make_inputs(make_spec(**stack), steps, (B,))
    rows, replicated = Spec(None, "data"), Spec()
    out = (rows, LSTMState(rows, rows))  # pyright: ignore[reportArgumentType]

    @jax.jit
    @partial(
        jax.shard_map,
        mesh=make_mesh(AxisType.Auto),
        in_specs=(replicated, rows, out[1], out),
        out_specs=(out, (replicated, rows, out[1])),
    )
    def run(params: Any, xs: Any, state: Any, cotangents: Any) -> Any:
        return forward_and_gradients(params, xs, state, cotangents)

    cotangents = cotangents_of(inputs)
    (expected, gradients) = value_and_gradients(inputs, cotangents)
    found = run(*inputs, cotangents)
    assert_near(found, (expected, tuple(gradients)))


@pytest.mark.parametrize(
    "dtype",
    [pytest.param(None, marks=pytest.mark.slow), "float16"],
    ids=["one type", "two types"],
)
def test_gradients_of_all_parameters_are_one_sum_over_the_devices(dtype: Any) -> None:
    """Each sum is a wait for the other devices; the types of parameters may differ."""
    params, xs, _ = make_inputs(make_spec(num_layers=2, bidirectional=True), 5, (B,))
    params = {
        k: v.astype(dtype or v.dtype) if "bias" in k else v for k, v in params.items()
    }

    def gradients(params: Any, xs: Any) -> Any:
        return jax.grad(lambda params: (lstm(params, xs)[0] ** 2).sum())(params)

    sharded = jax.jit(
        jax.shard_map(
            gradients,
            mesh=make_mesh(AxisType.Auto),
            in_specs=(Spec(), Spec(None, "data")),
            out_specs=Spec(),
        )
    )
    assert sharded.lower(params, xs).as_text().count("all_reduce") == 1
    found, expected = sharded(params, xs), gradients(params, xs)
    types = jax.tree.map(lambda a: a.dtype, (found, expected))
    assert types[0] == types[1]
    rounded = [name for name in params if types[0][name] != jnp.float64]
    assert_near(
        *({k: v for k, v in of.items() if k not in rounded} for of in (found, expected))
    )


@pytest.mark.slow
def test_devices_may_have_weights_of_their_own_and_share_others() -> None:
    """An LSTM on each device, the biases shared: what is not shared is not summed."""
    one, xs, _ = make_inputs(make_spec(), 5, (B,))
    shared = {name: array for name, array in one.items() if "bias" in name}
    own = {k: np.stack([v, 2 * v]) for k, v in one.items() if k not in shared}

    def loss(own: Any, shared: Any, xs: Any) -> Any:
        return (lstm({**own, **shared}, xs)[0] ** 2).sum()

    def of_each(own: Any, shared: Any, xs: Any) -> Any:
        mine = jax.tree.map(lambda a: a[0], own)
        return jax.lax.psum(loss(mine, shared, xs), "data")

    sharded = jax.shard_map(
        of_each,
        mesh=make_mesh(AxisType.Auto),
        in_specs=(Spec("data"), Spec(), Spec()),
        out_specs=Spec(),
    )
    both = jax.vmap(loss, (0, None, None))
    assert_near(
        jax.jit(jax.grad(sharded, (0, 1, 2)))(own, shared, xs),
        jax.grad(lambda *a: both(*a).sum(), (0, 1, 2))(own, shared, xs),
    )


@pytest.mark.parametrize(
    ("given", "masked"),
    [(False, False), (True, True)],
    ids=["none", "replicated_masked"],
)
def test_shard_map_takes_no_state_or_a_replicated_one(
    given: bool, masked: bool
) -> None:
    params, xs, _ = make_inputs(steps=18, batch=(B,))
    state = make_inputs(batch=(B // 2,)).state if given else None
    options: Any = {}
    if masked:
        options = {"lengths": np.arange(B) * 2, "resets": like(xs[..., 0]) > 1}
    spec = {"lengths": Spec("data"), "resets": Spec(None, "data")}
    rows = Spec(None, "data")

    def run(params: Any, xs: Any, state: Any, options: Any) -> Any:
        return lstm(params, xs, state, **options)

    def loss(params: Any, state: Any, xs: Any, options: Any) -> Any:
        return jax.lax.psum((run(params, xs, state, options)[0] ** 2).sum(), "data")

    sharded = jax.jit(
        jax.shard_map(
            lambda *a: (run(*a), jax.grad(loss, (0, 1))(a[0], a[2], a[1], a[3])),
            mesh=make_mesh(AxisType.Auto),
            in_specs=(Spec(), rows, Spec(), {name: spec[name] for name in options}),
            out_specs=((rows, rows), Spec()),
        )
    )
    both = None
    if state is not None:
        both = LSTMState(*(np.concatenate([a, a], axis=1) for a in state))  # pyright: ignore[reportArgumentType]
    out, (d_params, d_state) = sharded(params, xs, state, options)
    assert_near(out, run(params, xs, both, options))
    expected, d_both = jax.grad(
        lambda p, s: (run(p, xs, s, options)[0] ** 2).sum(), (0, 1)
    )(params, both)
    assert_near(d_params, expected)
    if state is not None:
        halves = jax.tree.map(lambda a: a[:, : B // 2] + a[:, B // 2 :], d_both)
        assert_near(d_state, halves)


@pytest.mark.parametrize("kind", AXES, ids=str)
@pytest.mark.parametrize(
    ("stack", "steps", "state_of"),
    [({}, 18, "none"), ({}, 18, "replicated"), ({}, 18, "sharded"), (ALL, 7, "none")],
    ids=["none", "replicated", "sharded", "all"],
)
def test_jit_of_a_sharded_batch_is_the_whole_batch(
    stack: Any, steps: int, state_of: str, kind: AxisType
) -> None:
    inputs = make_inputs(make_spec(**stack), steps, (B,))
    mesh = make_mesh(kind)
    rows, everywhere = (NamedSharding(mesh, Spec(*s)) for s in ((None, "data"), ()))
    state = None if state_of == "none" else inputs.state
    cotangents = cotangents_of(inputs)
    expected = forward_and_gradients(inputs.params, inputs.xs, state, cotangents)
    with jax.set_mesh(mesh):
        found = jax.jit(forward_and_gradients)(
            jax.device_put(inputs.params, everywhere),
            jax.device_put(inputs.xs, rows),
            state
            and jax.device_put(state, rows if state_of == "sharded" else everywhere),
            jax.device_put(cotangents, rows),
        )
    assert_near(found, expected)
    (ys, after), (_, d_xs, _) = found
    for array in (ys, *after, d_xs):
        assert array.sharding.is_equivalent_to(rows, array.ndim)


@pytest.mark.slow
@pytest.mark.parametrize("kind", AXES, ids=str)
def test_every_option_takes_a_sharded_batch(kind: AxisType) -> None:
    params, xs, _ = make_inputs(make_spec(num_layers=2), 18, (B,))
    mesh = make_mesh(kind)
    rows = NamedSharding(mesh, Spec(None, "data"))
    options: Any = {
        "lengths": np.arange(B) * 2,
        "resets": like(xs[..., 0]) > 1,
        "dropout": 0.5,
        "dropout_key": jax.random.key(0),
        "remat": 5,
    }

    def run(params: Any, xs: Any) -> Any:
        return jax.value_and_grad(
            lambda params: (lstm(params, xs, **options)[0] ** 2).sum()
        )(params)

    expected = run(params, xs)
    with jax.set_mesh(mesh):
        everywhere = jax.device_put(params, NamedSharding(mesh, Spec()))
        found = jax.jit(run)(everywhere, jax.device_put(xs, rows))
    assert_near(found, expected)
