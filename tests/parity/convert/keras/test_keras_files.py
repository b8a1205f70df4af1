"""Keras's files, written here: found, read as modules, converted and checked."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import lstm_jax
import parity
from parity.__main__ import main
from parity.convert.keras.weights import parts_of
from parity.frameworks.kinds.keras import CELL as ROW
from parity.frameworks.layers import layers_of
from tests.given.inputs import H, I
from tests.given.keras_files import (
    CELL,
    NAMES,
    drawn,
    entry,
    keras_3,
    keras_3_weights,
    lstm,
    model_file,
    sequential,
    weights_file,
)

pytestmark = pytest.mark.usefixtures("unoptimised")
OUT = 3


def is_stored_as(params, arrays, layer=0, direction=0):
    """Assert that torch's arrays are Keras's: a kernel, a recurrent one, a bias."""
    again = ROW.store(layers_of(params)[layer][direction])
    for found, array in zip(again, arrays, strict=True):
        assert_array_equal(found, array)


def head(features=H):
    kernel, bias = drawn((features, OUT), (OUT,), seed=5)
    return {"kernel:0": kernel, "bias:0": bias}


# The arrays.


def test_the_layout_of_cudnnlstm_is_torchs_in_another_shape():
    ih, hh, b = drawn((4 * H, I), (4 * H, H), (8 * H,))
    kernel = np.hstack([block.reshape(I, H) for block in np.split(ih, 4)])
    (found,) = parts_of([kernel, np.hstack(np.split(hh, 4)), b])
    assert_array_equal(found.weight_ih, ih)
    assert_array_equal(found.weight_hh, hh)
    assert_array_equal(found.bias_ih, b[: 4 * H])
    assert_array_equal(found.bias_hh, b[4 * H :])


def of_keras_1():
    """Twelve arrays, in the order of Keras 1.2.2's `trainable_weights`: i, c, f, o."""
    gates = {g: drawn((I, H), (H, H), (H,), seed=k) for k, g in enumerate("icfo")}
    listed = {
        f"{n}_{g}": a for g in "icfo" for n, a in zip("WUb", gates[g], strict=True)
    }
    return gates, listed


def test_the_twelve_arrays_of_keras_1_are_in_their_order():
    gates, listed = of_keras_1()
    (found,) = parts_of([*listed.values()])
    stacked = [np.concatenate([gates[g][k] for g in "ifco"], axis=-1) for k in range(3)]
    assert_array_equal(found.weight_ih, stacked[0].T)
    assert_array_equal(found.weight_hh, stacked[1].T)
    assert_array_equal(found.bias_ih, stacked[2])


# Files that say all.


def test_a_file_of_keras_2_is_a_model(tmp_path, capsys):
    layers = {
        "embedding_1": {"embeddings:0": drawn((9, I))[0]},
        "lstm_1": lstm(),
        "lstm_2": lstm(H, seed=4),
        "dense_1": head(),
    }
    model = sequential(
        entry("Embedding", "embedding_1", mask_zero=False),
        entry("LSTM", "lstm_1", return_sequences=True, **CELL),
        entry("LSTM", "lstm_2", return_sequences=False, **CELL),
        entry("Dense", "dense_1", activation="sigmoid"),
    )
    path = model_file(tmp_path / "x.h5", model, layers)
    ours = parity.from_keras(path)
    assert isinstance(ours, lstm_jax.LSTMModel)
    assert (ours.outputs, ours.activation, ours.num_embeddings) == (
        "last",
        "sigmoid",
        9,
    )
    for layer, name in enumerate(("lstm_1", "lstm_2")):
        is_stored_as(ours.lstm.params(), layers[name].values(), layer)
    assert_array_equal(ours.params()["fc.weight"], layers["dense_1"]["kernel:0"].T)
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "lstm_2. LSTM 4 -> 4 float32" in out
    assert (
        "the layer 'lstm_1' was read out of the layout of Keras 2.2.4, with one bias"
    ) in out


def test_a_file_of_keras_1_is_a_module(tmp_path):
    _, listed = of_keras_1()
    options = {"activation": "tanh", "inner_activation": "sigmoid"}
    config = [entry("LSTM", "lstm_1", go_backwards=False, **options)]
    model = {"class_name": "Sequential", "config": config}
    path = model_file(tmp_path / "x.h5", model, {"lstm_1": listed}, "1.2.2")
    ours = parity.from_keras(path)
    assert ours.batch_first
    (found,) = parts_of([*listed.values()])
    assert_array_equal(ours.params()["weight_ih_l0"], found.weight_ih)


def both_files(tmp_path):
    """The same bidirectional layer as Keras 2 and as Keras 3 write it."""
    cell = entry("LSTM", "lstm", return_sequences=True, **CELL)
    model = sequential(entry("Bidirectional", "bidirectional", layer=cell))
    ways = {n: lstm(seed=k) for k, n in enumerate(("forward_lstm", "backward_lstm"))}
    named = {
        f"{way}/lstm_cell/{n}": a for way, one in ways.items() for n, a in one.items()
    }
    yield model_file(tmp_path / "x.h5", model, {"bidirectional": named}), ways
    places = {
        f"bidirectional/{way.replace('lstm', 'layer')}/cell": [*arrays.values()]
        for way, arrays in reversed(ways.items())
    }
    path = tmp_path / "x.keras"
    _ = path.write_bytes(keras_3(model, keras_3_weights(places)))
    yield path, ways


def test_a_bidirectional_layer_is_read_forward_first(tmp_path):
    for path, ways in both_files(tmp_path):
        ours = parity.from_keras(path)
        for direction, arrays in enumerate(ways.values()):
            is_stored_as(ours.params(), arrays.values(), direction=direction)
        (found,) = parity.find_lstms(path)
        assert (found.prefix, found.spec.bidirectional) == ("bidirectional.", True)


@pytest.mark.parametrize("second", ["backward_lstm", "lstm_1"])
def test_a_backward_layer_may_have_a_name_of_its_own(second, tmp_path):
    cell = entry("LSTM", "lstm", return_sequences=True, **CELL)
    model = sequential(entry("Bidirectional", "both", layer=cell))
    ways = {n: lstm(seed=k) for k, n in enumerate(("forward_lstm", second))}
    named = {
        f"m/both/{way}/lstm_cell/{n}": a for way in ways for n, a in ways[way].items()
    }
    path = model_file(tmp_path / "x.h5", model, {"both": named})
    ours = parity.from_keras(path)
    for direction, arrays in enumerate(ways.values()):
        is_stored_as(ours.params(), arrays.values(), direction=direction)
    (found,) = parity.find_lstms(path)
    assert (found.prefix, found.spec.bidirectional) == ("both.", True)


def test_what_is_found_is_converted_and_checked(tmp_path, capsys):
    model = sequential(entry("LSTM", "lstm_1", **CELL), entry("Dense", "dense_1"))
    layers = {"lstm_1": lstm(), "dense_1": head()}
    path = model_file(tmp_path / "x.h5", model, layers)
    done = tmp_path / "x.safetensors"
    assert main(["convert", str(path), str(done), "--prefix", "lstm_1."]) == 0
    is_stored_as(parity.read_tensors(done), layers["lstm_1"].values())
    rest = tmp_path / "rest.npz"
    assert main(["convert", str(path), str(rest), "--keep-rest"]) == 0
    assert "model_weights.dense_1.dense_1.kernel:0" in parity.read_tensors(rest)
    assert main(["check", str(path), "--dtype", "float32"]) == 0
    assert "ok: 1 of 1 LSTMs" in capsys.readouterr().out


# Files that do not.


def test_what_a_file_does_not_say_must_be_given(tmp_path, capsys):
    arrays = lstm()
    path = weights_file(tmp_path / "x.h5", {"lstm_1": arrays})
    ours = parity.from_keras(path, config=CELL)
    is_stored_as(ours.params(), arrays.values())
    model = sequential(entry("LSTM", "lstm_1", **CELL))
    by_json = parity.from_keras(path, config=json.dumps(model))
    is_stored_as(by_json.params(), arrays.values())
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "the file does not say its activations, nor go_backwards; where a program did "
        "not say either, Keras 2.2.4 took clip(0.2 x + 0.5, 0, 1) in place of the "
        "sigmoid"
    ) in out


@pytest.mark.parametrize("count", [1, 2])
def test_weights_of_keras_3_are_layers_of_their_places(count, tmp_path):
    arrays = [[*lstm(I if k == 0 else H, seed=k).values()] for k in range(count)]
    places = {f"lstm{f'_{k}' if k else ''}/cell": a for k, a in enumerate(arrays)}
    path = tmp_path / "x.weights.h5"
    _ = path.write_bytes(keras_3_weights(places))
    ours = parity.from_keras(path, config=CELL)
    assert ours.spec.num_layers == count
    for layer, expected in enumerate(arrays):
        is_stored_as(ours.params(), expected, layer)


# Other functions.


@pytest.mark.parametrize(
    ("version", "function"),
    [
        ("2.2.4", "clip(0.2 x + 0.5, 0, 1) in Keras 2"),
        ("3.15.1", "clip(x / 6 + 0.5, 0, 1) in Keras 3"),
    ],
)
def test_a_hard_sigmoid_is_named_as_what_it_is(version, function, tmp_path, capsys):
    options = CELL | {"recurrent_activation": "hard_sigmoid"}
    model = sequential(entry("LSTM", "lstm_1", **options))
    path = model_file(tmp_path / "x.h5", model, {"lstm_1": lstm()}, version)
    reason = f"its recurrent_activation is 'hard_sigmoid', which is {function}, not "
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.from_keras(path)
    assert str(caught.value) == (
        "from_keras: the layer 'lstm_1' is an LSTM of another function: "
        f"{reason}'sigmoid'. Train it anew with torch's functions."
    )
    assert main(["inspect", str(path)]) == 1
    said = f"the layer 'lstm_1' is an LSTM of another function: {reason}'sigmoid'"
    assert said in " ".join(capsys.readouterr().out.split())
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: check: {path} must hold an LSTM: {said}. Give "
        "another file or prefix.\n"
    )


def test_arrays_are_read_under_the_names_of_the_file(tmp_path):
    path = weights_file(tmp_path / "x.h5", {"lstm_1": lstm()})
    names = [f"lstm_1.lstm_1.{name}" for name in NAMES]
    assert sorted(parity.read_tensors(path)) == sorted(names)
