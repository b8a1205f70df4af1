"""`jax.export`: one program for every platform, batch size and number of steps.

Stored as bytes, it runs in a process that has imported `lstm_jax`.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax import export

from lstm_jax import LSTM, LayerParams, LSTMState, Trace, linen, lstm
from tests.given import ROOT
from tests.given.inputs import (
    H,
    I,
    P,
    assert_near,
    draw,
    make_inputs,
    make_params,
    make_spec,
)

pytestmark = pytest.mark.usefixtures("float64")


def needed_flatbuffers() -> Any:
    """What `serialize` needs; the test that asks for it is skipped without."""
    return pytest.importorskip("flatbuffers", reason="flatbuffers is not installed")


PLATFORMS = ["cpu", "cuda", "rocm", "tpu"]
STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"num_layers": 2, "bidirectional": True, "proj_size": P}, id="all"),
]


def symbolic(spec: Any, *, masked: bool = False) -> Any:
    """Parameters, inputs and state of any batch and any number of steps."""
    steps, batch = export.symbolic_shape("t, b")
    rows = spec.num_layers * spec.num_directions
    shapes = [(steps, batch, I), (rows, batch, spec.output_size), (rows, batch, H)]
    arrays: Any = (jax.ShapeDtypeStruct(shape, "float64") for shape in shapes)
    xs, *state = arrays
    params = jax.eval_shape(lambda: make_params(spec))
    state = LSTMState(*state)
    masks = (
        jax.ShapeDtypeStruct((batch,), "int32"),
        jax.ShapeDtypeStruct((steps, batch), "bool"),
    )
    return params, xs, state, *(masks if masked else ())


def forward_and_gradient(params: Any, xs: Any, state: Any) -> Any:
    """Outputs, and gradients for the outputs as cotangents."""
    out, transpose = jax.vjp(lstm, params, xs, state)
    return out, transpose(out)


@pytest.mark.parametrize("stack", STACKS)
def test_forward_and_gradient_lower_for_every_platform_and_any_size(stack: Any) -> None:
    spec = make_spec(**stack)
    program = export.export(jax.jit(forward_and_gradient), platforms=PLATFORMS)
    exported = program(*symbolic(spec))
    assert exported.platforms == tuple(PLATFORMS)
    for steps, batch in ((7, 3), (18, 1)):
        inputs = tuple(make_inputs(spec, steps, (batch,)))
        assert_near(exported.call(*inputs), forward_and_gradient(*inputs))


@pytest.mark.parametrize("remat", [5, pytest.param("sqrt", marks=pytest.mark.slow)])
def test_masks_and_remat_lower_for_any_size(remat: Any) -> None:
    spec = make_spec()

    def run(params: Any, xs: Any, state: Any, lengths: Any, resets: Any) -> Any:
        options: Any = {"lengths": lengths, "resets": resets, "remat": remat}
        out, transpose = jax.vjp(lambda *a: lstm(*a, **options), params, xs, state)
        return out, transpose(out)

    program = export.export(jax.jit(run), platforms=PLATFORMS)
    exported = program(*symbolic(spec, masked=True))
    for steps, batch in ((7, 3), (18, 1)):
        lengths = np.arange(batch, dtype="int32") * 2
        resets = draw((steps, batch)) > 1
        inputs: Any = (*make_inputs(spec, steps, (batch,)), lengths, resets)
        assert_near(exported.call(*inputs), run(*inputs))


def test_a_cut_every_so_many_steps_needs_a_number_of_steps() -> None:
    with pytest.raises(ValueError, match="truncate") as caught:
        _ = jax.eval_shape(lambda *a: lstm(*a, truncate=2), *symbolic(make_spec()))
    assert str(caught.value).splitlines()[0] == (
        "lstm: truncate must be None where T=t is symbolic: the cuts are part of the "
        "program. Export with a T that is a number."
    )


@pytest.mark.parametrize("kind", [LSTMState, LayerParams, Trace])
def test_what_a_call_takes_and_returns_is_registered_by_name(kind: Any) -> None:
    said = f"Duplicate serialization registration for type `{kind!r}`"
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        _ = export.register_namedtuple_serialization(kind, serialized_name="another")
    assert f"lstm_jax.{kind.__name__}" in str(caught.value)


def by_lstm(params: Any, xs: Any, state: Any, lengths: Any) -> Any:
    return lstm(params, xs, state, lengths=lengths)


def by_nnx(params: Any, xs: Any, state: Any, lengths: Any) -> Any:
    return LSTM.from_params(params)(xs, state, lengths=lengths)


def by_linen(params: Any, xs: Any, state: Any, lengths: Any) -> Any:
    module = linen.LSTM.from_params(params)
    return module.apply({"params": params}, xs, state, lengths=lengths)


RUNS = {"lstm": by_lstm, "nnx": by_nnx, "linen": by_linen}


def exported(run: Any) -> export.Exported:
    """A run of any batch, any number of steps and any lengths."""
    *arrays, _ = symbolic(make_spec(), masked=True)
    return export.export(jax.jit(run))(*arrays)


def test_a_program_has_no_effect_that_could_not_be_stored() -> None:
    program = exported(by_lstm)
    assert not program.ordered_effects
    assert not program.unordered_effects


def test_a_program_goes_through_bytes() -> None:
    _ = needed_flatbuffers()
    inputs: Any = (*make_inputs(), np.array([7, 0, 3], "int32"))
    found = export.deserialize(exported(by_lstm).serialize()).call(*inputs)
    assert isinstance(found[1], LSTMState)
    assert_near(found, by_lstm(*inputs))


IN_ANOTHER_PROCESS = """
import pathlib, sys
import jax, numpy as np

jax.config.update("jax_enable_x64", True)
import lstm_jax

folder = pathlib.Path(sys.argv[1])
arrays = np.load(folder / "arrays.npz")
params = {name: arrays[name] for name in arrays.files if "_l0" in name}
state = lstm_jax.LSTMState(arrays["h"], arrays["c"])
rest = arrays["xs"], state, arrays["lengths"]
for name in ("lstm", "nnx", "linen"):
    program = jax.export.deserialize(bytearray((folder / name).read_bytes()))
    ys, (h, c) = program.call(params, *rest)
    np.savez(folder / f"{name}.npz", ys=ys, h=h, c=c)
"""


@pytest.mark.slow
def test_programs_of_both_apis_run_from_bytes_in_another_process(
    tmp_path: Path,
) -> None:
    _ = needed_flatbuffers()
    params, xs, state = make_inputs()
    lengths = np.array([7, 0, 3], "int32")
    for name, run in RUNS.items():
        _ = (tmp_path / name).write_bytes(exported(run).serialize())
    named = {"xs": xs, "h": state.h, "c": state.c, "lengths": lengths}
    np.savez(tmp_path / "arrays.npz", **params, **named)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path)]
    _ = subprocess.run(command, cwd=ROOT, check=True)
    expected = lstm(params, xs, state, lengths=lengths)
    for name in RUNS:
        with np.load(tmp_path / f"{name}.npz") as held:
            found = held["ys"], LSTMState(held["h"], held["c"])
        assert_near(found, expected)
