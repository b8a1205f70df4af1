"""Models and files of Keras itself: what it predicts, its gradients, and back."""

import json
import re
from importlib import import_module

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lstm_jax
import parity
from parity.__main__ import main
from parity.judge.exact import of_model
from parity.judge.tolerance import BUDGETS, distance
from parity.judge.whole import Model
from parity.verify import runtimes
from tests.given.inputs import H, I
from tests.given.keras_models import (
    MODELS,
    OPTIONS,
    TARGETS,
    TOKENS,
    inputs,
    made,
    saved,
    weights_of,
    with_weights,
)

pytestmark = pytest.mark.slow


def arrays_in(module):
    return {name: np.asarray(array) for name, array in module.params().items()}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert_array_equal(array, expected[name], err_msg=name)


def judged(name, module, xs):
    """What Keras's model is judged by: the exact predictions and gradients of ours."""
    rng = np.random.default_rng(8)
    cotangent = rng.standard_normal(module(xs).shape).astype(np.float32)
    model = Model(arrays_in(module), xs, None, cotangent, *OPTIONS[name])
    return cotangent, of_model(model, "float32")


def derived(model, xs, cotangent):
    """Keras's own predictions, and gradients of its weights under our names."""
    weights = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]

    def run(weights):
        return model.stateless_call(weights, others, xs)[0]

    ys, pullback = jax.vjp(run, weights)
    (gradients,) = pullback(cotangent)
    return np.asarray(ys), parity.from_keras(with_weights(model, gradients))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_as_keras_does_and_goes_back(name):
    model, xs = made(name), inputs(name)
    ours = parity.from_keras(model)
    assert isinstance(ours, lstm_jax.LSTMModel)
    assert (ours.outputs, ours.activation) == OPTIONS[name]
    back = parity.to_keras(ours)
    assert_same(arrays_in(parity.from_keras(back)), arrays_in(ours))
    cotangent, exact = judged(name, ours, xs)
    for keras in (model, back):
        ys, gradients = derived(keras, xs, cotangent)
        found = {("predictions", ""): ys, ("predictions", "ours"): ours(xs)}
        for parameter, array in arrays_in(gradients).items():
            if not parameter.startswith("lstm.bias_hh"):  # there is one bias
                found[f"d_{parameter}", "all"] = array
        for (tensor, which), array in found.items():
            key = next(k for k in exact if k[0] == tensor)
            error = distance(np.asarray(array), exact[key], "float32").error
            assert error <= BUDGETS["float32"], (tensor, which)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_read_as_its_model(name, suffix, tmp_path):
    model = made(name)
    path = saved(model, tmp_path / f"x{suffix}")
    config = {"config": model.to_json()} if suffix == ".weights.h5" else {}
    assert_same(
        arrays_in(parity.from_keras(path, **config)),
        arrays_in(parity.from_keras(model)),
    )


def padded(front):
    """Rows of tokens 1 to 8 and zeros, before them or after, and how many there are."""
    rng, lengths = np.random.default_rng(9), np.array([6, 3, 1])
    tokens = np.zeros((3, 6), int)
    for row, length in zip(tokens, lengths, strict=True):
        place = slice(6 - length, None) if front else slice(length)
        row[place] = rng.integers(1, TOKENS, length)
    return tokens, lengths


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("mean", [False, True])
def test_padding_in_front_is_masked_as_lengths_are(both, mean):
    keras = import_module("keras")
    la = keras.layers
    lstm = la.LSTM(H, return_sequences=mean)
    layers = [la.Embedding(TOKENS, I, mask_zero=True)]
    layers.append(la.Bidirectional(lstm) if both else lstm)
    layers += [la.GlobalAveragePooling1D()] * mean + [la.Dense(TARGETS)]
    model = keras.Sequential([keras.Input((None,)), *layers])
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(-0.7, 0.7, w.shape) for w in model.weights])
    ours = parity.from_keras(model, allow="masking")
    end, lengths = padded(front=False)
    found = [np.asarray(model(padded(front)[0])) for front in (False, True)]
    found.append(np.asarray(ours(end, lengths=lengths)))
    cotangent = np.zeros((3, TARGETS), np.float32)
    given = Model(arrays_in(ours), end, lengths, cotangent, ours.outputs, None)
    exact = of_model(given, "float32")["predictions", ""]
    for predictions in found:
        assert distance(predictions, exact, "float32").error <= BUDGETS["float32"]


def test_check_runs_keras_on_the_arrays_of_the_file(tmp_path, capsys):
    path, report = saved(made("both ways"), tmp_path / "x.keras"), tmp_path / "x.json"
    words = ["check", str(path), "--dtype", "float32", "--json", str(report)]
    assert main(words) == 0
    assert "ok: 2 of 2 LSTMs" in capsys.readouterr().out
    for one in json.loads(report.read_text()):
        names = [row["tensor"] for row in one["rows"]]
        assert names[-3:] == ["Keras ys", "Keras h_n", "Keras c_n"]
        assert re.fullmatch(r"Keras [\d.]+ on jax", one["facts"]["runtime"])


def test_check_says_when_keras_reads_other_numbers(tmp_path, monkeypatch, capsys):
    path = saved(made("classifier"), tmp_path / "x.keras")
    right = runtimes.groups_at

    def wrong(contents, prefix):
        return [
            [kernel, recurrent, -bias]
            for kernel, recurrent, bias in right(contents, prefix)
        ]

    monkeypatch.setattr(runtimes, "groups_at", wrong)
    assert main(["check", str(path), "--dtype", "float32"]) == 1
    assert "FAIL Keras ys" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["LSTMCell", "RNN of a cell", "several layers"])
def test_other_layers_come_back(kind):
    la = import_module("keras").layers
    cell = la.LSTMCell(H)
    layers = {
        "LSTMCell": cell,
        "RNN of a cell": la.RNN(cell, return_sequences=True),
        "several layers": [la.LSTM(H, return_sequences=True), la.LSTM(H)],
    }[kind]
    each = layers if isinstance(layers, list) else [layers]
    for number, layer in enumerate(each):
        shape = (None, I if number == 0 else H)
        layer.build(shape if layer is cell else (None, *shape))
        shapes = [w.shape for w in layer.weights]
        rng = np.random.default_rng(number)
        layer.set_weights([rng.uniform(-0.7, 0.7, shape) for shape in shapes])
    ours = parity.from_keras(layers)
    assert isinstance(ours, lstm_jax.LSTMCell) == (kind == "LSTMCell")
    back = parity.to_keras(ours)
    again = back if isinstance(back, list) else [back]
    for one, other in zip(each, again, strict=True):
        for a, b in zip(weights_of(one), weights_of(other), strict=True):
            assert_array_equal(a, b)
