"""The table of orders: what is chosen, and that only a CPU's program depends on it."""

import os
import re
import subprocess
import sys
from itertools import product
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from lstm_jax import init_params, lstm
from lstm_jax.backends import XLA, Machine, Order, orders
from tests.given import ROOT

ONE, TWO = Machine(cores=1), Machine(cores=2)
SHARED = Machine(cores=2, devices=2)
FUSED = Order(fused_input=True)
FUSED_PER_GATE = Order(fused_input=True, per_gate=True)
# Machine, rows, inputs, units, and the order that is chosen.
CHOSEN = [
    (TWO, 32, 5, 256, Order(transposed=2)),
    (TWO, 31, 5, 257, Order(transposed=2)),
    (ONE, 32, 5, 256, Order(per_gate=True, transposed=1)),
    (ONE, 31, 5, 256, Order(per_gate=True)),
    (SHARED, 32, 5, 256, Order(per_gate=True, transposed=1)),
    (Machine(cores=2, devices=2, split=True), 32, 5, 256, Order(per_gate=True)),
    (Machine(cores=4, devices=2, split=True), 32, 5, 256, Order()),
    (TWO, 32, 63, 255, FUSED_PER_GATE),
    (TWO, 32, 64, 255, Order()),
    (TWO, 32, 5, 32, FUSED),
    (TWO, 32, 32, 64, Order()),
    (TWO, 32, 32, 63, FUSED),
    (TWO, 4, 128, 128, Order()),
    (ONE, 32, 255, 255, FUSED_PER_GATE),
    (ONE, 4, 127, 127, FUSED),
    (ONE, 3, 127, 127, None),
    (TWO, 1, 5, 256, None),
]
# T, B, I, H: a layer that is fused, wide or a single row on some machine.
LAYERS = [(100, 32, 128, 256), (64, 16, 128, 128), (50, 1, 64, 64)]
LARGE = [pytest.param(layer, marks=pytest.mark.slow) for layer in LAYERS[:2]]
SPLIT = [Machine(cores=n, devices=2, split=True) for n in (2, 4)]
MACHINES = [ONE, TWO, SHARED, *SPLIT]


@pytest.mark.parametrize(("machine", "rows", "inputs", "units", "order"), CHOSEN)
def test_the_order_is_chosen_by_machine_and_sizes(
    machine: Machine, rows: int, inputs: int, units: int, order: Order | None
) -> None:
    for steps in (1, 1000):
        assert orders.order_of(machine, (steps, rows, inputs), units) == order


def test_every_row_is_chosen_by_some_layer() -> None:
    sizes = product((1, 16, 64), (1, 64, 512), (32, 128, 512))
    layers = [orders.LayerSizes(*one) for one in sizes]
    taken = {
        next(k for k, row in enumerate(orders.ROWS) if row.holds(machine, layer))
        for machine in MACHINES
        for layer in layers
    }
    assert taken == set(range(len(orders.ROWS)))


def test_no_order_is_none_on_one_machine_only() -> None:
    """It would show in what is exported for another device."""
    for sizes in product((1, 3, 4, 64), (1, 512), (32, 128, 512)):
        layer = orders.LayerSizes(*sizes)
        found = [orders.order_of(m, (7, *layer[:2]), layer.units) for m in MACHINES]
        assert len({order is None for order in found}) == 1


def test_a_symbolic_size_has_the_plain_order() -> None:
    (steps,) = jax.export.symbolic_shape("t")
    assert orders.order_of(TWO, (steps, 32, 5), 256) is None


def test_the_machine_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})
    devices = jax.local_device_count()
    found = Machine.here()
    assert found == Machine(cores=3, devices=devices, split=devices > 1)
    within = []

    def part(xs: Any) -> Any:
        within.append(Machine.here())
        return xs

    mesh, rows = Mesh(np.array(jax.devices()[:1]), ("batch",)), PartitionSpec("batch")
    _ = jax.eval_shape(
        jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=rows), jnp.ones(8)
    )
    assert within == [Machine(cores=3, devices=devices, split=False)]


def gradient(params: Any, xs: Any, backend: Any) -> Any:
    return jax.grad(lambda *a: lstm(*a, backend=backend)[0].sum(), (0, 1))(params, xs)


def forward(params: Any, xs: Any, backend: Any) -> Any:
    return lstm(params, xs, backend=backend)


def exported(function: Any, layer: tuple[int, ...], platform: str, backend: Any) -> str:
    """The text of the exported program, without places in source code."""
    *shape, inputs, units = layer
    params = jax.eval_shape(lambda: init_params(jax.random.key(0), inputs, units))
    xs = jax.ShapeDtypeStruct((*shape, inputs), "float32")

    def run(params: Any, xs: Any) -> Any:
        return function(params, xs, backend)

    program = jax.export.export(jax.jit(run), platforms=[platform])
    text = program(params, xs).mlir_module()
    return re.sub(r' loc\((#?\w+|"[^"]*")\)|^#loc.*\n', "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("function", [forward, gradient])
@pytest.mark.parametrize("layer", [*LARGE, *LAYERS[2:]], ids=str)
def test_only_the_program_of_a_cpu_depends_on_the_machine(
    layer: Any, function: Any
) -> None:
    for platform in ("tpu", "cuda"):
        texts = {exported(function, layer, platform, XLA(machine=m)) for m in MACHINES}
        assert len(texts) == 1


def test_the_program_of_a_cpu_is_that_of_the_machine_given() -> None:
    layer = LAYERS[0]
    texts = [exported(forward, layer, "cpu", XLA(machine=m)) for m in MACHINES]
    chosen = [orders.order_of(m, layer[:3], layer[3]) for m in MACHINES]
    assert texts == [exported(forward, layer, "cpu", XLA(order=o)) for o in chosen]
    assert len(set(texts)) == len(set(chosen)) == 4


SCRIPT = """
import hashlib, sys
import jax
from lstm_jax.backends import XLA, Machine
from tests.lstm_jax.test_orders import LAYERS, exported, forward, gradient
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
backends = {"tpu": "auto", "cuda": "auto", "cpu": XLA(machine=Machine(cores=8))}
for platform, backend in backends.items():
    for layer in LAYERS:
        for function in (forward, gradient):
            text = exported(function, layer, platform, backend)
            print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_what_is_exported_does_not_depend_on_this_process() -> None:
    """On one core, on all and with two devices; for a CPU with a machine given."""
    said = set()
    for devices, cores in ((1, "0"), (1, ""), (2, "")):
        pinned = ["taskset", "-c", cores] if cores else []
        command = [*pinned, sys.executable, "-c", SCRIPT, str(devices)]
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
        said.add(ran.stdout)
        assert len(ran.stdout.split()) == 18
    assert len(said) == 1
