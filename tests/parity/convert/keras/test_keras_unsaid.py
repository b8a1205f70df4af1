"""Files of Keras that say too little, or are not read: each message whole."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx

import lstm_jax
import parity
from parity.convert.keras import target
from parity.files.hdf5 import listed
from tests.given.inputs import H, I
from tests.given.keras_files import (
    CELL,
    drawn,
    entry,
    good,
    keras_3,
    keras_3_weights,
    lstm,
    model_file,
    sequential,
    weights_file,
)

pytestmark = pytest.mark.usefixtures("no_jaxtyping")

UNSAID = (
    "from_keras: {} must say what its layers do: of {!r}, {}. Give "
    "config=model.to_json(); of LSTMs, what you know of them, such as "
    "config={}."
)


def test_a_file_must_say_what_its_layers_do(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "x.h5", {"lstm_1": lstm()}, "2.9.0")
    said = "the file does not say its activations, nor go_backwards"
    with pytest.raises(ValueError, match="must say") as caught:
        _ = parity.from_keras(path)
    assert str(caught.value) == UNSAID.format(path, "lstm_1", said, CELL)
    for config, what in (
        (CELL | {"units": 4}, "not have 'units'"),
        ({"activation": "tanh"}, "have 'go_backwards'"),
    ):
        with pytest.raises(ValueError, match="config must") as caught:
            _ = parity.from_keras(path, config=config)
        assert str(caught.value) == (
            f"from_keras: config must {what}: it has the options of Keras's LSTM that "
            f"weights do not tell. Give {CELL}, if it was so."
        )


def test_other_layers_of_such_a_file_need_its_json(tmp_path: Path) -> None:
    layers = {"lstm_1": lstm(), "dense_1": {"kernel:0": drawn((H, 3))[0]}}
    path = weights_file(tmp_path / "x.h5", layers)
    said = "the file does not say what layer it is"
    with pytest.raises(ValueError, match="must say") as caught:
        _ = parity.from_keras(path, config=CELL)
    assert str(caught.value) == UNSAID.format(path, "dense_1", said, CELL)


def test_of_cudnnlstm_only_its_direction_is_open(tmp_path: Path) -> None:
    kernel, recurrent, bias = drawn((I, 4 * H), (H, 4 * H), (8 * H,))
    arrays = {"kernel:0": kernel, "recurrent_kernel:0": recurrent, "bias:0": bias}
    path = weights_file(tmp_path / "x.h5", {"rnn": arrays})
    with pytest.raises(ValueError, match="must say") as caught:
        _ = parity.from_keras(path)
    said = "the file does not say go_backwards"
    assert str(caught.value) == UNSAID.format(path, "rnn", said, CELL)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_model_within_is_listed_and_nothing_is_asked_for(
    suffix: str, tmp_path: Path
) -> None:
    layers = [entry("LSTM", f"lstm_{k}", **CELL) for k in (1, 2)]
    model = sequential({**sequential(*layers), "name": "inner"})
    path = tmp_path / f"x{suffix}"
    if suffix == ".h5":
        arrays = {f"lstm_{k}/{n}": a for k in (1, 2) for n, a in lstm().items()}
        _ = model_file(path, model, {"m": arrays})
    else:
        places = {f"m/layers/lstm_{k}/cell": [*lstm().values()] for k in (1, 2)}
        _ = path.write_bytes(keras_3(model, keras_3_weights(places)))
    with pytest.raises(ValueError, match="in a row") as caught:
        _ = parity.from_keras(path)
    assert "it also has Sequential 'm' with no arrays; " in str(caught.value)
    assert "Use parity.find_lstms(path)" in str(caught.value)
    assert len(parity.find_lstms(path)) == 2


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, weight=np.ones(3))
    with pytest.raises(ValueError, match="file of Keras") as caught:
        _ = parity.from_keras(path)
    assert str(caught.value) == (
        f"from_keras: {path} must be a file of Keras: it is npz, and no layer of Keras "
        "is in it. Use parity.find_lstms(path)."
    )


@pytest.mark.parametrize("words", ["HDF5", "a model of Keras 3"])
def test_without_h5py_the_file_and_the_install_are_named(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    _ = path.write_bytes(good()[words])
    monkeypatch.setattr(
        listed, "find_spec", lambda name: None if name == "h5py" else find_spec(name)
    )
    with pytest.raises(ValueError, match="h5py") as caught:
        _ = parity.read_tensors(path)
    assert str(caught.value) == (
        f"{path} cannot be read as {words}: h5py is not installed, and it reads HDF5. "
        "Install it: pip install 'lstm-jax[keras]'."
    )


def test_a_backend_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_a_backend(_: str) -> Any:
        raise ModuleNotFoundError(name="tensorflow")

    monkeypatch.setattr(target, "need", lambda *_: None)
    monkeypatch.setattr(target, "import_module", without_a_backend)
    with pytest.raises(ModuleNotFoundError) as caught:
        _ = parity.to_keras(lstm_jax.LSTM(I, H, rngs=nnx.Rngs(0)))
    assert str(caught.value) == (
        "to_keras: Keras must have a backend that is installed: it asks for "
        "tensorflow. Set KERAS_BACKEND=jax before Keras is imported."
    )
