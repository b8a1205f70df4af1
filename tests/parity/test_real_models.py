"""Trained LSTMs that ordinary packages carry: found, proved and converted both ways."""

import re

import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.__main__ import main
from parity.files.read import read
from tests.given import beatnet
from tests.given.libraries import file_of
from tests.parity.frameworks.test_convert import assert_same_bits


@pytest.fixture(scope="module")
def silero():
    """The voice detector's safetensors file, read out of the installed package."""
    return file_of("silero_vad", "data", "silero_vad_16k.safetensors")


def test_silero_vad_is_found_and_proved(silero, capsys):
    assert main(["check", str(silero)]) == 0
    out = capsys.readouterr().out
    assert "LSTMCell at 'lstm_cell.'" in out
    assert "128 -> 128" in out
    assert "ok: 1 of 1 LSTMs and 62 of 62 comparisons" in out


@pytest.mark.slow
def test_silero_vad_is_proved_in_float64_and_over_many_steps(silero):
    (found,) = parity.find_lstms(parity.read_tensors(silero))
    for dtype in ("float32", "float64"):
        assert parity.check(found.lstm_params, steps=45, batch=2, dtype=dtype).ok


def test_silero_vad_is_converted_both_ways(silero, tmp_path):
    tensors = parity.read_tensors(silero)
    (found,) = parity.find_lstms(tensors)
    params = parity.from_torch(tensors, prefix=found.prefix)
    assert_same_bits(params, found.params)
    cell = torch.nn.LSTMCell(128, 128)
    keys = cell.load_state_dict(parity.to_torch(params))
    assert not keys.missing_keys
    ours = parity.from_torch(cell)
    path = tmp_path / "cell.safetensors"
    parity.write_tensors(ours.params(), path)
    back = parity.read_tensors(path)
    assert_same_bits({name: back[name] for name in params}, params)
    x, h, c = (torch.randn(2, 128) for _ in range(3))
    state = ours.step(x.numpy(), (h.numpy(), c.numpy()))
    with torch.no_grad():
        theirs = cell(x, (h, c))
    for a, b in zip(state, theirs, strict=True):
        # Sums of 256 products of float32, on values of about one.
        assert abs(torch.tensor(a.tolist()) - b).max() < 1e-5


def converted(source, prefix, tmp_path):
    """The LSTM at a prefix after `convert` into each format, the same in all."""
    (expected,) = parity.find_lstms(parity.read_tensors(source), prefix)
    expected = dict(sorted(expected.params.items()))
    for suffix in ("safetensors", "pt", "npz", "msgpack", "orbax"):
        path = tmp_path / f"lstm.{suffix}"
        assert main(["convert", str(source), str(path), "--prefix", prefix]) == 0
        assert_same_bits(dict(sorted(read(path).tensors.items())), expected)
    return expected


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_silero_vads_program_is_read_and_not_run(tmp_path, monkeypatch, capsys):
    source = file_of("silero_vad", "data", "silero_vad.jit")
    theirs = torch.jit.load(source).state_dict()  # noqa: TID251 - of a trusted package
    monkeypatch.setattr(torch.jit, "load", None)
    assert main(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    for prefix in ("_model.decoder.rnn.", "_model_8k.decoder.rnn."):
        assert re.search(rf"{prefix} +LSTMCell +128 -> 128 +float32 +132,096", out)
        expected = {name: theirs[f"{prefix}{name}"] for name in parity_names()}
        folder = tmp_path / prefix
        folder.mkdir()
        found = converted(source, prefix, folder)
        assert_same_bits(found, dict(sorted(expected.items())))
    tensors = parity.read_tensors(source)
    assert tensors.keys() == theirs.keys() | {"_state", "_context", "CONSTANTS.c0"}
    assert main(["check", str(source), "--prefix", "_model.decoder.rnn"]) == 0


def parity_names():
    """What a cell's parameters are called."""
    return ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_g2pm_says_the_polyphones_of_a_sentence(tmp_path, capsys):
    source = file_of("g2pM", "np_ckpt.pkl")
    assert main(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"lstm\. +LSTM +64 -> 32, bidirectional +float32 +25,088", out)
    params = converted(source, "lstm", tmp_path)
    assert main(["check", str(source)]) == 0

    from g2pM import G2pM  # pyright: ignore[reportMissingImports]

    package = G2pM()
    tensors = parity.read_tensors(source)
    sentence = "重要的是他长大以后还得把银行的行长当好"
    ids = [package.char2idx.get(c, package.char2idx["<UNK>"]) for c in sentence]
    ids = [package.char2idx["시"], *ids, package.char2idx["끝"]]
    xs = tensors["embedding.weight"][np.array(ids)][:, None]
    ys, _ = lstm_jax.lstm(params, xs)
    forward, backward = (xs[:, 0], xs[::-1, 0])
    theirs = [run(cell, x) for cell, x in cells(package, forward, backward)]
    expected = np.concatenate([theirs[0], theirs[1][::-1]], axis=-1)
    # Float32 against the package's own float64, at values of about one.
    np.testing.assert_allclose(ys[:, 0], expected, atol=1e-6)

    places = [k for k, c in enumerate(sentence) if len(package.cedict.get(c, "x")) > 1]
    logits = package.fc_layer(np.asarray(ys)[[place + 1 for place in places], 0])
    said = [package.idx2class[best] for best in np.argmax(logits, axis=-1)]
    spoken = package(sentence, char_split=True)
    assert len(places) >= 5
    assert said == [spoken[place] for place in places]


def cells(package, forward, backward):
    """The package's own two cells and their inputs."""
    return (package.fw_lstm_cell, forward), (package.bw_lstm_cell, backward)


def run(cell, xs):
    """Outputs of the package's own NumPy cell over a sequence."""
    state, ys = None, []
    for x in xs:
        state = cell(x[None], state)
        ys.append(state[0][0])
    return np.stack(ys)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_beatnet_is_found_proved_and_converted(number, tmp_path, capsys):
    source = file_of("BeatNet", "models", f"model_{number}_weights.pt")
    assert main(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"lstm\. +LSTM +150 -> 150, 2 layers +float32 +362,400", out)
    params = converted(source, "lstm", tmp_path)
    theirs = torch.load(source, weights_only=True)
    expected = {n.removeprefix("lstm."): a for n, a in theirs.items() if "lstm" in n}
    assert_same_bits(params, dict(sorted(expected.items())))
    assert main(["check", str(source)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3])
def test_beatnet_hears_a_beat_every_half_second(number, tmp_path):
    source = file_of("BeatNet", "models", f"model_{number}_weights.pt")
    path = tmp_path / "lstm.msgpack"
    assert main(["convert", str(source), str(path), "--prefix", "lstm"]) == 0
    weights = parity.read_tensors(source)
    music = file_of("BeatNet", "test_data", "808kick120bpm.mp3")
    xs = beatnet.before_lstm(weights, beatnet.features(music))
    ys, _ = lstm_jax.lstm(read(path).tensors, xs)
    beats = beatnet.beats(weights, np.asarray(ys))
    assert len(beats) >= 18  # in ten seconds at 120 a minute
    np.testing.assert_allclose(np.diff(beats), 0.5, atol=0.021)  # a frame is 0.02 s


@pytest.mark.slow
def test_beatnets_whole_modules_are_the_same_weights(capsys):
    source = file_of("BeatNet", "models", "model-1.pt")
    assert main(["inspect", str(source)]) == 0
    assert "model.BDA" in capsys.readouterr().out
    whole = parity.read_tensors(source)
    weights = parity.read_tensors(source.with_name("model_1_weights.pt"))
    assert_same_bits(whole, weights)
