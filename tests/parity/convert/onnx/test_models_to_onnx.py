"""`to_onnx` of a whole `LSTMModel`: every option of it, and the model comes back."""

from typing import Any

import numpy as np
import onnx
import pytest

import lstm_jax
import parity
from parity.convert.onnx.graph.lstm import Form
from parity.convert.onnx.target import model_of
from parity.frameworks.portable import Portable
from tests.given.onnx_models import B, H, I, T, drawn, same, session

pytestmark = pytest.mark.usefixtures("unoptimised")
EPS = float(np.finfo("f").eps)
MOST = 16.0  # roundings: of an LSTM, and of a head on top
ROWS = 9
HEADS = [
    *((outputs, "tanh") for outputs in ("last", "final", "mean", "all")),
    *(("last", activation) for activation in (None, "relu", "sigmoid")),
    *((outputs, "softmax") for outputs in ("final", "all")),
]


def params_of_model(tokens: bool = False, **options: Any) -> dict[str, Any]:
    """Torch's names of a whole model to random arrays."""
    rng, lstm = np.random.default_rng(2), drawn(**options)
    features = H * (1 + options.get("bidirectional", False))
    shapes = {"embedding.weight": (ROWS, I)} if tokens else {}
    shapes |= {"fc.weight": (2, features), "fc.bias": (2,)}
    held = {n: rng.uniform(-1, 1, s).astype("f") for n, s in shapes.items()}
    return held | {f"lstm.{name}": array for name, array in lstm.items()}


def inputs(tokens: bool) -> np.ndarray:
    rng = np.random.default_rng(3)
    if tokens:
        return rng.integers(0, ROWS, (B, T))
    return rng.standard_normal((B, T, I), np.float32)


@pytest.mark.parametrize(("outputs", "activation"), HEADS)
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("tokens", [False, True])
def test_every_head_gives_its_numbers_and_comes_back(
    outputs, activation, lengths, tokens
):
    params = params_of_model(tokens, bidirectional=True, num_layers=2)
    options = {"outputs": outputs, "activation": activation, "dropout": 0.25}
    module = lstm_jax.LSTMModel.from_params(params, deterministic=True, **options)
    model = parity.to_onnx(module, lengths=lengths)
    onnx.checker.check_model(model, full_check=True)
    steps = np.array([T, 0, 4], np.int32) if lengths else None
    given = {"xs": inputs(tokens)} | ({"lengths": steps} if lengths else {})
    outcome: Any = session(model).run(None, given)
    (found,) = outcome
    exact = module(inputs(tokens), lengths=steps)
    assert found.shape == exact.shape
    assert np.abs(found - np.asarray(exact)).max() < MOST * EPS
    back = parity.from_onnx(model)
    assert isinstance(back, lstm_jax.LSTMModel)
    assert {name: getattr(back, name) for name in options} == options
    assert back.num_embeddings == (ROWS if tokens else 0)
    assert same(back.params(), params)


def test_no_row_of_length_0_is_turned_around():
    """onnxruntime 1.20 does not write the outputs of such a row."""
    model = parity.to_onnx(
        lstm_jax.LSTMModel.from_params(params_of_model()), lengths=True
    )
    (turned,) = (n for n in model.graph.node if n.op_type == "ReverseSequence")
    steps = onnx.helper.make_tensor_value_info(turned.input[1], 7, [None])
    model.graph.output.append(steps)
    given = {"xs": inputs(tokens=False), "lengths": np.array([T, 0, 4], np.int32)}
    found: Any = session(model).run(None, given)
    assert found[1].tolist() == [T, 1, 4]


@pytest.mark.parametrize("outputs", ["last", "final", "all"])
def test_a_model_goes_on_from_a_state(outputs):
    """A row without a step keeps its state, and a head that reads it gets it."""
    params = params_of_model(num_layers=2)
    module = lstm_jax.LSTMModel.from_params(params, outputs=outputs)
    run = session(parity.to_onnx(module, lengths=True, state=True))
    xs, steps = inputs(tokens=False), np.array([T, 0, 4], np.int32)
    rng = np.random.default_rng(4)
    h, c = rng.uniform(-1, 1, (2, 2, B, H)).astype("f")
    found: Any = run.run(None, {"xs": xs, "lengths": steps, "h": h, "c": c})
    ys, state = module.with_state(xs, (h, c), lengths=steps)
    for array, exact in zip(found, (ys, *state), strict=True):
        assert np.abs(array - np.asarray(exact)).max() < MOST * EPS
    assert np.array_equal(found[1][:, 1], h[:, 1])


def test_a_model_streams_as_its_step():
    params = params_of_model(tokens=True)
    module = lstm_jax.LSTMModel.from_params(params, activation="softmax")
    run = session(parity.to_onnx(module, streaming=True))
    h = c = np.zeros((1, B, H), np.float32)
    state = module.initial_state((B,))
    for tokens in inputs(tokens=True).T:
        found: Any = run.run(None, {"xs": tokens[:, None], "h": h, "c": c})
        y, h, c = found
        exact, state = module.step(tokens, state)
        assert np.abs(y - np.asarray(exact)).max() < MOST * EPS


def test_a_mean_does_not_stream():
    module = lstm_jax.LSTMModel.from_params(params_of_model(), outputs="mean")
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.to_onnx(module, streaming=True)
    assert str(caught.value) == (
        "to_onnx: streaming=True must be of outputs that one piece has: a mean is over "
        "the whole sequence. Leave streaming out, and give whole sequences."
    )


def test_an_unknown_head_is_refused():
    params = params_of_model()
    for name, given, known in (
        ("outputs", "first", "'last', 'final', 'mean', 'all'"),
        ("activation", "gelu", "'relu', 'sigmoid', 'softmax', 'tanh', None"),
    ):
        portable = Portable(kind="LSTMModel", params=params, options={name: given})
        with pytest.raises(NotImplementedError) as caught:
            _ = model_of(portable, Form())
        assert str(caught.value) == (
            f"to_onnx: {name}={given!r} must be one of {known}: these are written as "
            "operators of ONNX. Use one of these, or give the LSTM alone."
        )
