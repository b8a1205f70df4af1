"""Models that others trained in Keras: found, proved, and right in use.

Two packages of PyPI, of which files are read alone: `make slow` installs them.
"""

import json
from typing import Any

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from parity.__main__ import main
from tests.given.libraries import file_of

pytestmark = pytest.mark.slow
SENTENCE = "My favorite thing about New York is that the weather is good."
START, LENGTH = "<s>", 40  # what a text begins with, and how much of it a step sees


def contexts(vocabulary: dict[str, int]) -> np.ndarray:
    """What each character is predicted from: zeros in front, `(characters, LENGTH)`."""
    text = [vocabulary[char] for char in (START, *SENTENCE)]
    rows = np.zeros((len(SENTENCE), LENGTH), int)
    for k in range(len(SENTENCE)):
        seen = text[: k + 1][-LENGTH:]
        rows[k, -len(seen) :] = seen
    return rows


def nats_per_character(tensors: Any, layers: list[Any]) -> float:
    """How surprised textgenrnn is: embedding, LSTMs, attention and head."""
    vocabulary = json.loads(
        file_of("textgenrnn", "textgenrnn_vocab.json").read_text("utf-8")
    )
    rows = contexts(vocabulary)
    parts = [tensors["embedding.embedding.embeddings:0"][rows].swapaxes(0, 1)]
    for params in layers:
        parts.append(np.asarray(lstm_jax.lstm(params, parts[-1])[0]))
    steps = np.concatenate(parts, axis=-1)
    scores = steps @ tensors["attention.attention.attention_W:0"]
    read = (jax.nn.softmax(scores, axis=0) * steps).sum(axis=0)
    kernel, bias = (tensors[f"output.output.{name}:0"] for name in ("kernel", "bias"))
    predicted = jax.nn.log_softmax(read @ kernel + bias)
    targets = np.array([vocabulary[char] for char in SENTENCE])
    return -float(predicted[np.arange(len(targets)), targets].mean())


def read_naively(tensors: Any, name: str) -> dict[str, np.ndarray]:
    """CuDNNLSTM's arrays read as those of Keras's LSTM: the shapes fit."""
    kernel, recurrent, bias = (
        tensors[f"{name}.{name}.{part}:0"]
        for part in ("kernel", "recurrent_kernel", "bias")
    )
    bias_ih, bias_hh = np.split(bias, 2)
    found = {"weight_ih_l0": kernel.T, "weight_hh_l0": recurrent.T}
    return found | {"bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}


def test_textgenrnn_is_not_surprised_by_its_sentence() -> None:
    source = file_of("textgenrnn", "textgenrnn_weights.hdf5")
    tensors = parity.read_tensors(source)
    layers = [found.lstm_params for found in parity.find_lstms(source)]
    assert len(layers) == 2
    assert nats_per_character(tensors, layers) == pytest.approx(0.998, abs=5e-4)
    naive = [read_naively(tensors, name) for name in ("rnn_1", "rnn_2")]
    assert nats_per_character(tensors, naive) == pytest.approx(45.26, abs=0.05)
    report = parity.check(layers[0], read_naively(tensors, "rnn_1"))
    assert report.verdict == "FAIL"
    assert report.advice[0].startswith("The kernels are of Keras's CuDNNLSTM"), report


def test_mhcnuggets_models_are_found_and_one_is_proved(capsys: Any) -> None:
    files = sorted(file_of("mhcnuggets", "saves", "production").glob("*.h5"))
    assert len(files) > 100
    for path in files[:: len(files) // 10]:
        (found,) = parity.find_lstms(path)
        assert (found.prefix, found.sizes()) == ("lstm_1.", "21 -> 64")
    assert main(["check", str(files[0]), "--dtype", "float32"]) == 0
    assert "Keras ys" in capsys.readouterr().out
