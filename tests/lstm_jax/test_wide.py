"""Wide layers: which they are, and that only a CPU's program depends on the machine."""

import re
import subprocess
import sys
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from lstm_jax import LSTMSpec, init_params, lstm
from lstm_jax._types import Steps
from lstm_jax.backends import XLA
from lstm_jax.backends.wide import divided_here, transposed_of
from tests.given import ROOT

ONE, SEVERAL = XLA(divided=False), XLA(divided=True)
# T, B, I, H: wide layers, a narrow one and a single row.
LAYERS = [(100, 32, 128, 256), (64, 4, 512, 512), (64, 16, 128, 128), (50, 1, 64, 256)]
WIDE, NARROW = LAYERS[:2], LAYERS[2:]
LARGE = [pytest.param(layer, marks=pytest.mark.slow) for layer in LAYERS[1:3]]


def steps_of(*shape: Any) -> Steps:
    xs: Any = jax.ShapeDtypeStruct(shape, "float32")
    return Steps(xs)


@pytest.mark.parametrize(
    ("rows", "units", "sizes", "wide"),
    [
        ((4,), 256, {}, True),
        ((2, 2), 257, {}, True),
        ((3,), 512, {}, False),
        ((64,), 255, {}, False),
        ((64,), 512, {"gate_axis": True}, False),
    ],
)
def test_a_layer_is_wide_by_its_sizes(
    rows: tuple[int, ...], units: int, sizes: Any, wide: bool
) -> None:
    spec = LSTMSpec(input_size=5, hidden_size=units, **sizes)
    for count in (1, 1000):
        steps = steps_of(count, *rows, 5)
        found = [transposed_of(steps, spec, divided) for divided in (False, True)]
        assert found == ([True, False] if wide else [None, None])


def test_a_symbolic_size_is_not_wide() -> None:
    (count,) = jax.export.symbolic_shape("t")
    steps = steps_of(count, 32, 5)
    assert transposed_of(steps, LSTMSpec(input_size=5, hidden_size=256), False) is None


def test_several_devices_divide_a_batch_outside_of_shard_map() -> None:
    assert divided_here() is (jax.local_device_count() > 1)
    within = []

    def part(xs: Any) -> Any:
        within.append(divided_here())
        return xs

    mesh, rows = Mesh(np.array(jax.devices()[:1]), ("batch",)), PartitionSpec("batch")
    _ = jax.eval_shape(
        jax.shard_map(part, mesh=mesh, in_specs=rows, out_specs=rows), jnp.ones(8)
    )
    assert within == [False]


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
@pytest.mark.parametrize("layer", [LAYERS[0], *LARGE, LAYERS[3]], ids=str)
def test_only_the_program_of_a_cpu_depends_on_the_machine(
    layer: Any, function: Any
) -> None:
    for platform in ("tpu", "cuda"):
        one, several = (exported(function, layer, platform, x) for x in (ONE, SEVERAL))
        assert one == several


@pytest.mark.parametrize("layer", [LAYERS[0], *LARGE, LAYERS[3]], ids=str)
def test_the_program_of_a_wide_layer_on_a_cpu_is_that_of_the_machine_given(
    layer: Any,
) -> None:
    one, several = (exported(forward, layer, "cpu", x) for x in (ONE, SEVERAL))
    assert (one != several) == (layer in WIDE)


SCRIPT = """
import hashlib, sys
import jax
from lstm_jax.backends import XLA
from tests.lstm_jax.test_wide import LAYERS, exported, forward, gradient
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
backends = {"tpu": "auto", "cuda": "auto", "cpu": XLA(divided=False)}
for platform, backend in backends.items():
    for layer in LAYERS:
        for function in (forward, gradient):
            text = exported(function, layer, platform, backend)
            print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.slow
def test_what_is_exported_does_not_depend_on_this_process() -> None:
    """On one core, on all and with two devices; for a CPU if the machine is given."""
    said = set()
    for devices, cores in ((1, "0"), (1, ""), (2, "")):
        pinned = ["taskset", "-c", cores] if cores else []
        command = [*pinned, sys.executable, "-c", SCRIPT, str(devices)]
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
        said.add(ran.stdout)
        assert len(ran.stdout.split()) == 24
    assert len(said) == 1
