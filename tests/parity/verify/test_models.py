"""A whole model is checked: predictions and gradients, by its twin and the oracle."""

import numpy as np
import pytest
from flax import nnx

import lstm_jax
import parity
from parity.verify.sides import has_torch

pytestmark = pytest.mark.usefixtures("unoptimised")

MODELS = [
    {"num_layers": 2, "activation": "relu"},
    {"bidirectional": True, "outputs": "final", "activation": "softmax"},
    {"num_embeddings": 9, "outputs": "mean", "activation": "sigmoid"},
    {
        "num_embeddings": 9,
        "outputs": "all",
        "bidirectional": True,
        "activation": "tanh",
        "proj_size": 2,
    },
]
CASES = [
    pytest.param(options, dtype, marks=() if dtype == "float32" else pytest.mark.slow)
    for options in MODELS
    for dtype in ("float32", "float64", "bfloat16", "float16")
]


def made(**options):
    return lstm_jax.LSTMModel(5, 4, 3, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(("options", "dtype"), CASES)
def test_a_model_is_within_the_budget(options, dtype):
    for lengths in (False, True):
        report = parity.check(made(**options), dtype=dtype, lengths=lengths)
        assert report.verdict == "ok", str(report)
        assert ("torch" in report.sides) == has_torch()
        names = [row.tensor for row in report.rows]
        assert names[0] == "predictions"
        assert names[-2:] == ["d_fc.weight", "d_fc.bias"]
        assert ("d_xs" in names) != ("num_embeddings" in options)


def test_a_twin_is_checked_as_its_model(torch):
    model = made()
    rows = [parity.check(m).to_dict()["rows"] for m in (model, parity.to_torch(model))]
    assert rows[0] == rows[1]


def test_inputs_and_tokens_of_ones_own_are_run():
    xs = np.random.default_rng(1).standard_normal((2, 4, 5))
    assert parity.check(made(), xs=xs).facts["parameters"] == 191
    tokens = np.array([[1, 0, 8], [3, 3, 3]])
    assert parity.check(made(num_embeddings=9), xs=tokens).ok


def test_wrong_weights_are_named():
    model = made()
    params = {**model.params(), "fc.bias": model.params()["fc.bias"] + 0.01}
    report = parity.check(model, params)
    assert report.verdict == "FAIL"
    assert report.advice == [
        "The weights given differ in fc.bias.",
        "Use check(model.lstm) for the LSTM alone.",
    ]


def test_a_dead_head_has_nothing_to_tell():
    params = {**made().params(), "fc.bias": np.full(3, -9, np.float32)}
    dead = lstm_jax.LSTMModel.from_params(params, activation="relu")
    report = parity.check(dead)
    assert report.verdict == "nothing to tell"
    (said,) = report.messages()
    assert said == (
        "nothing to tell: no weight of the LSTM has a gradient larger than its "
        "rounding. Give weights or inputs at which its gates and the head's activation "
        "still move."
    )


def test_what_does_not_fit_a_model_is_refused():
    with pytest.raises(ValueError, match="resets") as caught:
        _ = parity.check(made(), resets=True)
    assert str(caught.value) == (
        "check: resets and run must be left out for an LSTMModel: its own call is "
        "checked, and that takes no resets. Use check(model.lstm, ...) for them."
    )
    params = {name: a for name, a in made().params().items() if name != "fc.bias"}
    with pytest.raises(ValueError, match="bias") as caught:
        _ = parity.check(made(), params)
    assert str(caught.value) == (
        "check: params['fc.bias'].shape=None must be (3,): these are the parameters of "
        "the model. Give all of them, and no others."
    )
