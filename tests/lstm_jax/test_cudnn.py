"""The backend cudnn: what it refuses, how it packs, and its results.

Where there is no GPU, jax's own reference of cuDNN's LSTM stands in for the kernel: the
packing, the layouts and the rows of length 0 are run, the kernel is not.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

import parity
from lstm_jax import LSTMSpec, LSTMState, backends, lstm
from lstm_jax.backends import cudnn
from tests.given.inputs import assert_equal, cast, like, make_inputs, make_spec

GPU = any(device.platform == "gpu" for device in jax.devices())
STACKS = [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True}]


def reference(
    x: Any,
    h: Any,
    c: Any,
    weights: Any,
    lengths: Any,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    bidirectional: bool,
    precision: Any,
) -> Any:
    """jax's reference under the signature of its kernel."""
    assert dropout == 0.0
    del precision
    sizes = (input_size, hidden_size, num_layers)
    unpacked = rnn.unpack_lstm_weights(weights, *sizes, bidirectional)
    return rnn.lstm_ref(x, h, c, *unpacked, lengths, *sizes, 0.0, bidirectional)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jax's reference run where the kernel would, on this device."""
    monkeypatch.setattr(rnn, "lstm", reference)
    monkeypatch.setattr(cudnn.CuDNN, "unsupported", lambda *_: None)
    jax.clear_caches()


def run_on(backend: str, inputs: Any, **options: Any) -> Any:
    return lstm(*inputs, **options, backend=backend)


def assert_close(found: Any, expected: Any) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("stack", "batch"),
    [
        (STACKS[0], (3,)),
        *(pytest.param(s, (3,), marks=pytest.mark.slow) for s in STACKS[1:]),
        *(pytest.param(STACKS[-1], b, marks=pytest.mark.slow) for b in [(), (2, 3)]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("stand_in")
def test_results_and_gradients_are_those_of_xla(stack: Any, batch: Any) -> None:
    inputs = cast(make_inputs(make_spec(**stack), batch=batch), "float32")
    lengths = np.resize([7, 0, 3, 1, 7, 5], batch)
    past = np.arange(7).reshape(-1, *(1,) * len(batch)) >= lengths
    padded = jnp.where(past[..., None], jnp.nan, inputs.xs)
    inputs = inputs._replace(xs=padded)
    results = []
    for backend in ("cudnn", "xla"):
        run = partial(run_on, backend, lengths=lengths)
        out, pullback = jax.vjp(run, inputs)
        results.append((out, pullback(cast(like(out), "float32"))))
    assert_close(*results)


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_with_dropout_each_layer_is_a_call_of_its_own_size() -> None:
    inputs = cast(make_inputs(make_spec(num_layers=3, bidirectional=True)), "float32")
    options: Any = {"dropout": 0.5, "dropout_key": jax.random.key(0)}
    found, expected = (run_on(name, inputs, **options) for name in ("cudnn", "xla"))
    assert_close(found, expected)


@pytest.mark.parametrize("shape", [(0, 3), (7, 0)])
@pytest.mark.usefixtures("stand_in")
def test_no_steps_and_no_rows_are_answered(shape: Any) -> None:
    steps, rows = shape
    stack = {"num_layers": 2, "bidirectional": True}
    inputs = cast(make_inputs(make_spec(**stack), steps, (rows,)), "float32")
    assert_equal(run_on("cudnn", inputs), run_on("xla", inputs))


def test_weights_are_packed_as_jax_unpacks_them() -> None:
    spec = make_spec(num_layers=2, bidirectional=True)
    params, *_ = cast(make_inputs(spec), "float32")
    layers: Any = tuple(
        tuple(
            cudnn.LayerParams(*(params.get(key) for key in spec.layer_keys(layer, d)))  # type: ignore[arg-type]
            for d in range(2)
        )
        for layer in range(2)
    )
    packed = cudnn.pack(layers)
    sizes = (spec.input_size, spec.hidden_size, 2)
    assert packed.shape == (rnn.get_num_params_in_lstm(*sizes, True),)
    kinds = rnn.unpack_lstm_weights(packed, *sizes, True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for name, found in zip(names, kinds, strict=True):
        for row, end in enumerate(("l0", "l0_reverse", "l1", "l1_reverse")):
            expected = params[f"{name}_{end}"].ravel()
            np.testing.assert_array_equal(found[row].ravel(), expected)


def test_every_reason_against_it_is_named() -> None:
    spec = LSTMSpec(
        input_size=5, hidden_size=4, proj_size=2, dtype="bfloat16", resets=True
    )
    assert cudnn.CuDNN().unsupported(spec) == (
        "no CUDA device, and cuDNN's products are float32 here, not bfloat16, and jax "
        "passes it no projection, and it has no resets."
    )
    spec = LSTMSpec(
        input_size=5, hidden_size=4, platform="gpu", remat=True, truncate=True
    )
    reason = cudnn.CuDNN().unsupported(spec)
    assert reason is not None
    assert reason.endswith(
        "it keeps what its own backward pass needs, without remat, and it cuts no "
        "gradient."
    )


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_it_is_refused_without_a_device_and_never_chosen() -> None:
    params, xs, state = cast(make_inputs(), "float32")
    with pytest.raises(NotImplementedError) as caught:
        _ = lstm(params, xs, state, backend="cudnn")
    assert str(caught.value) == (
        "backend='cudnn' cannot run this layer: no CUDA device. Use backend='auto', or "
        "ask `lstm_jax.backends.explain(spec)` which can."
    )
    spec = LSTMSpec(input_size=5, hidden_size=4, platform="gpu")
    assert backends.choose("auto", spec).name == "xla"


@pytest.mark.gpu
@pytest.mark.skipif(not GPU, reason="no GPU")
@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("lengths", [False, True])
def test_the_kernel_is_within_the_budget(stack: Any, lengths: bool) -> None:
    params = make_inputs(make_spec(**stack)).params

    def run(params: Any, xs: Any, state: Any, **masks: Any) -> Any:
        state = LSTMState(*state)
        return lstm(params, xs, state, backend="cudnn", precision="highest", **masks)

    report = parity.check(params, run=run, lengths=lengths)
    assert report.ok, str(report)


@pytest.mark.gpu
@pytest.mark.skipif(not GPU, reason="no GPU")
def test_the_kernel_runs_where_it_is_asked_for() -> None:
    params, xs, _ = cast(make_inputs(), "float32")
    program = jax.jit(partial(lstm, backend="cudnn")).lower(params, xs).compile()
    assert "rnn" in str(program.as_text()).lower()
