"""What `from_keras` and `to_keras` refuse, each message whole."""

import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

import lstm_jax
import parity
from tests.given.inputs import H, I
from tests.given.keras_fakes import (
    fake,
    fake_both,
    fake_dense,
    fake_embedding,
    fake_lstm,
    fake_model,
)
from tests.given.keras_files import CELL, drawn

pytestmark = pytest.mark.usefixtures("no_jaxtyping")
ALLOW = "Use allow={!r} to convert without it."
# A colon between brackets, as Keras writes it.
SLICE = dict.fromkeys(("start", "stop", "step"))
COLON = {"class_name": "__slice__", "config": SLICE}
EACH = "Convert each layer by itself."
BRANCHES = "a layer that takes, or gives, more than its neighbour in the row"
ROW = (
    "from_keras: source must be LSTMs in a row, after an Embedding and before a Dense "
    "if there are: it also has {}. Use parity.find_lstms(path), which gives each LSTM "
    "of a file."
)


@pytest.fixture(autouse=True)
def _unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """These layers are of no version of Keras, whether it was imported or not."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)


MIXED = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
# What a module does not do by itself.
LOST: list[tuple[str, Callable[[], Any], str]] = [
    (
        "dropout",
        lambda: [fake_lstm(dropout=0.1)],
        "the layer 'lstm' has dropout on its inputs in training.",
    ),
    (
        "recurrent_dropout",
        lambda: [fake_lstm(recurrent_dropout=0.1)],
        "the layer 'lstm' has dropout on its state in training.",
    ),
    (
        "dropout",
        lambda: [fake_lstm(), fake("Dropout", rate=0.5), fake_dense()],
        "the layer 'dropout' changes its inputs in training.",
    ),
    (
        "go_backwards",
        lambda: [fake_lstm(go_backwards=True)],
        "the layer 'lstm' reads sequences from the end.",
    ),
    (
        "stateful",
        lambda: [fake_lstm(stateful=True)],
        "the layer 'lstm' keeps its state between two calls.",
    ),
    (
        "merge_mode",
        lambda: [fake_both(merge_mode="sum")],
        "the layer 'bidirectional' has merge_mode='sum', not 'concat'.",
    ),
    (
        "masking",
        lambda: [fake_embedding(mask_zero=True), fake_lstm(), fake_dense()],
        "the layer 'embedding' masks steps, which lengths do here.",
    ),
    (
        "masking",
        lambda: [fake("Masking", mask_value=0.0), fake_lstm()],
        "the layer 'masking' masks steps, which lengths do here.",
    ),
    (
        "dtype",
        lambda: [fake_lstm(dtype=MIXED)],
        "the layer 'lstm' multiplies in float16, and has wider weights.",
    ),
    (
        "dtype",
        lambda: [fake_lstm(), fake_dense(dtype=MIXED)],
        "the layer 'dense' multiplies in float16, and has wider weights.",
    ),
    (
        "dtype",
        lambda: [
            fake_both(
                dtype="float32",
                layer={"class_name": "LSTM", "config": {**CELL, "dtype": MIXED}},
            )
        ],
        "the layer 'bidirectional' multiplies in float16, and has wider weights.",
    ),
]


@pytest.mark.parametrize(("name", "source", "sentence"), LOST)
def test_what_would_be_lost_is_allowed_by_name(
    name: str, source: Callable[[], Any], sentence: str
) -> None:
    with pytest.raises(NotImplementedError) as caught:
        _ = parity.from_keras(source())
    assert str(caught.value) == f"from_keras: {sentence} {ALLOW.format(name)}"
    assert parity.from_keras(source(), allow=name).params()


def unbuilt() -> Any:
    layer = fake_lstm()
    layer.built = False
    return layer


def two_outputs() -> Any:
    layers = fake_lstm(return_sequences=True), fake_lstm("second", H), fake_dense()
    return fake_model(*layers, output=("lstm", 0, 0))


def pooled(**options: Any) -> list[Any]:
    mean = fake("GlobalAveragePooling1D", name="mean", **options)
    return [fake_lstm(return_sequences=True), mean, fake_dense()]


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: parity.from_keras(3),
        TypeError,
        (
            "from_keras: source must be a layer, a model or a list of layers of Keras, "
            "their weights, or the path of a file, not int: nothing else is read as an "
            "LSTM. Give the LSTM of the model."
        ),
    ),
    (
        lambda: parity.from_keras(unbuilt()),
        ValueError,
        (
            "from_keras: the layer 'lstm' must have weights: it has seen no input yet. "
            "Call layer.build((None, None, features)) first."
        ),
    ),
    (
        lambda: parity.from_keras(fake_lstm(), config=CELL),
        ValueError,
        (
            "from_keras: config must be left out: LSTM has its own options. It is for "
            "files of weights."
        ),
    ),
    (
        lambda: parity.from_keras(drawn((5, 16), (3, 16))),
        ValueError,
        (
            "from_keras: the weights of a layer must be a kernel (I, 4H), a recurrent "
            "kernel (H, 4H) and a bias (4H,) or none, of each direction, not (5, 16), "
            "(3, 16): Keras's LSTM has these. Give layer.get_weights()."
        ),
    ),
    (
        lambda: parity.from_keras(fake_lstm(recurrent_activation="hard_sigmoid")),
        NotImplementedError,
        (
            "from_keras: the layer 'lstm' is an LSTM of another function: its "
            "recurrent_activation is 'hard_sigmoid', which is clip(0.2 x + 0.5, 0, 1) "
            "in Keras 2 and clip(x / 6 + 0.5, 0, 1) in Keras 3, not 'sigmoid'. Train "
            "it anew with torch's functions."
        ),
    ),
    (
        lambda: parity.from_keras([fake_lstm(activation={"class_name": "f"})]),
        NotImplementedError,
        (
            "from_keras: the layer 'lstm' is an LSTM of another function: its "
            "activation is a function of its own, not 'tanh'. Train it anew with "
            "torch's functions."
        ),
    ),
    (
        lambda: parity.from_keras([fake_lstm(), fake("LSTM", module="mine", units=4)]),
        ValueError,
        ROW.format("mine.LSTM 'lstm' with no arrays"),
    ),
    (
        lambda: parity.from_keras(
            [fake("Conv1D", drawn((3, I, I), (I,))), fake_lstm(), fake_dense()]
        ),
        ValueError,
        ROW.format(
            "Conv1D 'conv1d' with 3 x 5 x 5, 5; LSTM 'lstm' with 5 x 16, 4 x 16, 16; "
            "Dense 'dense' with 4 x 3, 3"
        ),
    ),
    (
        lambda: parity.from_keras([fake_lstm(), fake_dense(), fake_dense(3)]),
        ValueError,
        ROW.format("Dense 'dense' with 3 x 3, 3"),
    ),
    *(
        (
            lambda option=option: parity.from_keras(pooled(**option)),
            ValueError,
            ROW.format(
                "GlobalAveragePooling1D 'mean' with no arrays; Dense 'dense' with "
                "4 x 3, 3"
            ),
        )
        for option in ({"keepdims": True}, {"data_format": "channels_first"})
    ),
    (
        lambda: parity.from_keras([fake_dense()]),
        ValueError,
        (
            "from_keras: source must be LSTMs in a row: there is no LSTM in it. Give a "
            "model that has one."
        ),
    ),
    (
        lambda: parity.from_keras([fake_lstm(time_major=True), fake_dense()]),
        NotImplementedError,
        (
            "from_keras: the layer 'lstm' reads steps first (time_major): an LSTMModel "
            f"reads rows first. {EACH}"
        ),
    ),
    (lambda: parity.from_keras(two_outputs()), ValueError, ROW.format(BRANCHES)),
    (
        lambda: parity.from_keras(fake_model(fake_lstm(), fake_dense(), state=True)),
        ValueError,
        ROW.format(BRANCHES),
    ),
    (
        lambda: parity.from_keras([fake_lstm(), fake_lstm("wide", H, 6)]),
        ValueError,
        (
            "from_keras: the LSTMs must have the same units, directions and biases: "
            f"they are the layers of one LSTM here. {EACH}"
        ),
    ),
    (
        lambda: parity.from_keras(
            [fake_lstm(return_sequences=False), fake_lstm("second", H)]
        ),
        ValueError,
        (
            "from_keras: the layer 'lstm' must have return_sequences=True: an LSTM "
            f"comes after it. {EACH}"
        ),
    ),
    (
        lambda: parity.from_keras(
            [fake_lstm(), fake_lstm("second", H, go_backwards=True)]
        ),
        NotImplementedError,
        (
            "from_keras: the layer 'second' reads the outputs of another from the end "
            f"(go_backwards): no layer of a stack does here. {EACH}"
        ),
    ),
    (
        lambda: parity.from_keras(
            [fake_both(merge_mode="sum"), fake_dense()], allow="merge_mode"
        ),
        NotImplementedError,
        (
            "from_keras: the layer 'bidirectional' gives a Dense its directions by "
            f"merge_mode='sum': only 'concat' is here. {EACH}"
        ),
    ),
    (
        lambda: parity.from_keras([fake_embedding(), fake_lstm()]),
        ValueError,
        (
            "from_keras: a model must end in a Dense: LSTMModel has such a head. Use "
            "parity.find_lstms(path), which gives each LSTM of a file."
        ),
    ),
    (
        lambda: parity.from_keras(
            [
                fake_lstm(return_sequences=False),
                fake("GlobalAveragePooling1D"),
                fake_dense(),
            ]
        ),
        ValueError,
        (
            "from_keras: the layer 'lstm' must have return_sequences=True: "
            f"GlobalAveragePooling1D takes the steps of it. {EACH}"
        ),
    ),
    (
        lambda: parity.from_keras([fake_lstm(), fake_dense(activation="elu")]),
        NotImplementedError,
        (
            "from_keras: the layer 'dense' has the function elu: LSTMModel has one of "
            "relu, sigmoid, softmax, tanh. Convert the LSTM, and write the head in JAX."
        ),
    ),
    (
        lambda: parity.from_keras(
            [
                fake_lstm(),
                fake_dense(activation="relu"),
                fake("Activation", activation="tanh"),
            ]
        ),
        NotImplementedError,
        (
            "from_keras: the layer 'activation' has the function relu and tanh: "
            "LSTMModel has one of relu, sigmoid, softmax, tanh. Convert the LSTM, and "
            "write the head in JAX."
        ),
    ),
    (
        lambda: parity.to_keras(3),
        TypeError,
        (
            "to_keras: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
            "mapping, not int: it must have torch's names. Give a dict of torch's "
            "names to arrays."
        ),
    ),
    (
        lambda: parity.to_keras(lstm_jax.LSTMModel(I, H, 3, rngs=nnx.Rngs(0)).params()),
        TypeError,
        (
            "to_keras: source must be an LSTM alone, not a mapping with 'fc.bias', "
            "'fc.weight': only the LSTM is converted. Use "
            "lstm_jax.LSTMModel.from_params(params) for a whole model."
        ),
    ),
    (
        lambda: parity.to_keras(
            lstm_jax.LSTMModel(I, H, 3, 2, dropout=0.5, rngs=nnx.Rngs(0))
        ),
        NotImplementedError,
        (
            "to_keras: Keras has no dropout between the layers of an LSTM. "
            + ALLOW.format("dropout")
        ),
    ),
    (
        lambda: parity.to_keras(
            lstm_jax.LSTM(I, H, dtype="bfloat16", rngs=nnx.Rngs(0))
        ),
        NotImplementedError,
        (
            "to_keras: Keras multiplies in the type of its weights and inputs. "
            + ALLOW.format("dtype")
        ),
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), REFUSED)
def test_each_message_is_whole(
    call: Callable[[], Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        _ = call()
    assert str(caught.value) == sentence


def test_weights_alone_are_a_mapping() -> None:
    params = lstm_jax.init_params(jax.random.key(0), I, H, 2, bidirectional=True)
    weights = parity.to_keras(params)
    assert [[a.shape for a in layer] for layer in weights][1] == [
        *[(2 * H, 4 * H), (H, 4 * H), (4 * H,)] * 2
    ]
    back = parity.from_keras(weights)
    assert back.keys() == params.keys()
    for name, array in params.items():
        if name.startswith("weight"):
            np.testing.assert_array_equal(back[name], array)


def test_a_head_without_a_bias_has_zeros() -> None:
    model = parity.from_keras([fake_lstm(), fake_dense(bias=False)])
    np.testing.assert_array_equal(model.params()["fc.bias"], np.zeros(3))


@pytest.mark.parametrize("rest", [[], [COLON]])
def test_the_last_step_is_taken_by_either_key(rest: list[Any]) -> None:
    last = fake("GetItem", key=[COLON, -1, *rest])
    layers = [fake_lstm(return_sequences=True), last, fake_dense()]
    assert parity.from_keras(layers).outputs == "last"
