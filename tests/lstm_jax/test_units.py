"""Units divided among devices: the numbers of one device, and what is sent."""

import re
from collections.abc import Iterable
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from numpy.testing import assert_allclose

from lstm_jax import LSTM, gather_units, init_params, lstm, shard_units
from tests.given.many import finish, start

T, B, INPUTS, H, P = 7, 4, 5, 16, 3
BOUND = 32 * np.finfo(np.float32).eps  # of the largest
STACKS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "projected": {"proj_size": P},
    "no bias": {"bias": False},
    "of two units": {"hidden_size": 4, "input_size": 4},
}
CALLS: dict[str, dict[str, Any]] = {
    "lengths": {"lengths": np.array([3, 7, 0, 5])},
    "resets": {"resets": np.arange(T * B).reshape(T, B) % 5 == 0},
    "remat": {"remat": 2},
    "truncate": {"truncate": 3},
    "dropout": {"dropout": 0.3, "dropout_key": jax.random.key(3)},
}
Sent = list[list[tuple[str, list[int]]]]


def mesh_of(*sizes: int) -> Mesh:
    devices = np.array(jax.devices()[: prod(sizes)]).reshape(sizes)
    names = ("batch", "units")[-len(sizes) :]
    return Mesh(devices, names, axis_types=(AxisType.Auto,) * len(sizes))


def drawn(**stack: Any) -> dict[str, jax.Array]:
    sizes = {"input_size": INPUTS, "hidden_size": H, **stack}
    return init_params(jax.random.key(0), **sizes)


def inputs(mesh: Mesh, features: int = INPUTS, steps: int = T) -> jax.Array:
    rows = "batch" if "batch" in mesh.axis_names else None
    xs = jax.random.normal(jax.random.key(1), (steps, B, features))
    return jax.device_put(xs, NamedSharding(mesh, PartitionSpec(None, rows)))


def run(params: Any, xs: Any, **call: Any) -> tuple[Any, Any, Any]:
    """Outputs and states, and the gradients of a sum of them."""

    def of(params: Any, xs: Any) -> Any:
        out = lstm(params, xs, **call)
        return sum((a * jnp.cos(a)).sum() for a in jax.tree.leaves(out)), out

    (_, out), gradients = jax.value_and_grad(of, (0, 1), has_aux=True)(params, xs)
    return out, *gradients


def assert_same(found: Any, expected: Any) -> None:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for one, other in pairs:
        bound = BOUND * np.abs(other).max(initial=0)
        assert_allclose(one, other, rtol=0, atol=bound)


def compare(mesh: Mesh, stack: dict[str, Any], call: dict[str, Any]) -> None:
    whole = drawn(**stack)
    xs = inputs(mesh, whole["weight_ih_l0"].shape[1])
    divided = shard_units(whole, mesh)
    out, gradients, of_inputs = jax.jit(partial(run, **call))(divided, xs)
    for name, gradient in gradients.items():
        assert gradient.sharding == divided[name].sharding, name
    expected = run(whole, np.asarray(xs), **call)
    assert_same((out, gather_units(gradients), of_inputs), expected)


def quick(cases: Iterable[str], names: str) -> list[Any]:
    """The cases; those that have no name here are slow."""
    return [
        case
        if case in names.split(", ")
        else pytest.param(case, marks=pytest.mark.slow)
        for case in cases
    ]


@pytest.mark.parametrize("stack", quick(STACKS, "two layers, projected"))
def test_two_devices_compute_the_numbers_of_one(stack: str) -> None:
    compare(mesh_of(2), STACKS[stack], {})


@pytest.mark.parametrize("call", quick(CALLS, "lengths, truncate"))
def test_so_they_do_with_every_option_of_a_call(call: str) -> None:
    layers = {"num_layers": 2} if call == "dropout" else {}
    compare(mesh_of(2), layers, CALLS[call])


def test_gathered_are_the_parameters_that_were_divided() -> None:
    whole = drawn(num_layers=2, bidirectional=True, proj_size=P)
    divided = shard_units(whole, mesh_of(2))
    for array in divided.values():
        (rows,) = {part.data.shape[1] for part in array.addressable_shards}
        assert rows == H // 2, "a device has half of the units"
    back = gather_units(divided)
    assert list(back) == list(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(back[name], array)


def test_they_are_gathered_within_jit_and_grad() -> None:
    whole, mesh = drawn(), mesh_of(2)
    divided, xs = shard_units(whole, mesh), inputs(mesh)

    def loss(params: Any) -> Any:
        return (lstm(params, xs)[0] ** 2).sum()

    expected = jax.grad(loss)(whole)
    found = jax.grad(lambda params: loss(gather_units(params)))(divided)
    assert_same(gather_units(found), expected)
    assert_same(jax.jit(gather_units)(divided), whole)


@pytest.mark.slow
def test_an_optimizer_moves_each_device_s_units() -> None:
    whole, mesh = drawn(), mesh_of(2)
    xs, optimizer = (
        inputs(mesh),
        optax.chain(optax.clip_by_global_norm(1), optax.adam(0.01)),
    )

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        def loss(params: Any) -> Any:
            return (lstm(params, xs)[0] ** 2).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    found, alone = shard_units(whole, mesh), whole
    states = optimizer.init(found), optimizer.init(alone)
    for _ in range(5):
        found, first = step(found, states[0])
        alone, second = step(alone, states[1])
        states = first, second
    place = NamedSharding(mesh, PartitionSpec(None, "units"))
    assert found["weight_hh_l0"].sharding == place
    assert_same(gather_units(found), alone)


def sent(call: Any, *arguments: Any) -> Sent:
    return sent_by(jax.jit(call), *arguments)


def sent_by(program: Any, *arguments: Any) -> Sent:
    """What a program sends in its loops, and outside: its kind, and numbers of each."""
    text = program.lower(*arguments).compile().as_text()
    at = text.index("\nENTRY")
    kinds = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
    found = [
        re.findall(rf"= (.*?) ({kinds})(?:-start)?\(", part)
        for part in (text[:at], text[at:])
    ]
    return [[(kind, sizes(shapes)) for shapes, kind in part] for part in found]


def sizes(shapes: str) -> list[int]:
    found = re.findall(r"\w+\[([\d,]*)\]", shapes)
    return [prod(int(n) for n in dims.split(",") if n) for dims in found]


def gradient(params: Any, xs: Any) -> Any:
    return jax.grad(lambda p: (lstm(p, xs)[0] ** 2).sum())(params)


def check_sent(mesh: Mesh) -> None:
    """What docs/scale.md says."""
    xs, state = inputs(mesh), B * H
    params = shard_units(drawn(), mesh)
    assert sent(lstm, params, xs) == [[("all-gather", [state])], []]
    assert sent(gradient, params, xs) == [
        [("all-gather", [state]), ("all-reduce", [state])],
        [("all-gather", [T * state])],
    ]
    projected = shard_units(drawn(proj_size=P), mesh)
    assert sent(lstm, projected, xs) == [[("all-reduce", [B * P])], []]


def test_a_step_gathers_the_state_once() -> None:
    check_sent(mesh_of(2))


def test_a_layer_of_two_gathers_the_outputs_of_the_first_outside_its_steps() -> None:
    mesh = mesh_of(2)
    params = shard_units(drawn(num_layers=2), mesh)
    within, outside = sent(lstm, params, inputs(mesh))
    assert within == [("all-gather", [B * H])] * 2
    assert outside == [("all-gather", [T * B * H])]


REFUSED: dict[str, tuple[Any, str]] = {
    "another axis": (
        lambda: shard_units(drawn(), mesh_of(2), "rows"),
        r"shard_units: axis='rows' must be an axis of the mesh, .* \('units',\)\.",
    ),
    "an explicit mesh": (
        lambda: shard_units(
            drawn(), jax.make_mesh((2,), ("units",), axis_types=(AxisType.Explicit,))
        ),
        r"must be of the kind Auto: .* axis_types=\(jax.sharding.AxisType.Auto,\) \* 1",
    ),
    "units that the devices do not divide": (
        lambda: shard_units(drawn(hidden_size=5), mesh_of(2)),
        "hidden_size=5 must be a multiple of the 2 devices on 'units'",
    ),
    "gathered twice": (
        lambda: gather_units(drawn()),
        r"params must have an axis of gates, as weight_ih_l0 \(4, H, I\)",
    ),
    "a model that is given them": (
        lambda: LSTM(INPUTS, H, rngs=nnx.Rngs(0)).load_params(
            shard_units(drawn(), mesh_of(2))
        ),
        r"must be \(64, 5\): .* Use lstm_jax.gather_units on the weights of the LSTM\.",
    ),
    "divided twice": (
        lambda: shard_units(shard_units(drawn(proj_size=P), mesh_of(2)), mesh_of(2)),
        r"weight_hh_l0.shape=\(4, 16, 3\) .* Use lstm_jax.gather_units\(params\)\.",
    ),
    "a layer as it was": (
        lambda: lstm(
            {**drawn(num_layers=2), **shard_units(drawn(), mesh_of(2))},
            jnp.ones((T, B, INPUTS)),
        ),
        "weight_hh_l1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    call, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=sentence):
        _ = call()


@pytest.mark.usefixtures("no_jaxtyping")
def test_what_is_no_mesh_is_refused() -> None:
    devices: Any = jax.devices()
    with pytest.raises(
        TypeError, match=r"mesh must be a jax\.sharding\.Mesh, not list"
    ):
        _ = shard_units(drawn(), devices)


def test_the_kernel_by_name_refuses_divided_units() -> None:
    mesh = mesh_of(2)
    sentence = r"its weights are \(4H, K\), not \(4, H, K\)\. Use backend='auto'"
    with pytest.raises(NotImplementedError, match=sentence):
        _ = lstm(shard_units(drawn(), mesh), inputs(mesh), backend="native")


@pytest.mark.slow
def test_four_devices_compute_the_numbers_of_one() -> None:
    ((code, _, said),) = finish(start(1, lambda _: ["tests.lstm_jax.test_units"], 4))
    assert code == 0, said


def main() -> None:
    assert jax.device_count() == 4
    both = {"num_layers": 2, "bidirectional": True}
    compare(mesh_of(4), both, CALLS["lengths"])
    compare(mesh_of(2, 2), {"proj_size": P}, CALLS["remat"])
    check_sent(mesh_of(4))


if __name__ == "__main__":
    main()
