"""`jax.export`: one program for every platform, batch size and number of steps."""

from typing import Any

import jax
import numpy as np
import pytest
from jax import export

from lstm_jax import LSTMState, lstm
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
