"""From Keras: layers, models and files, without running what a file describes."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity.convert.keras.contents import keras_layers
from parity.convert.keras.given import refuse_unsaid, with_options
from parity.convert.keras.live import is_weights, layers_in_object, layers_of_weights
from parity.convert.keras.stored import KerasLayer
from parity.convert.keras.whole import portable_of_layers
from parity.files.read import read

_WHERE = "from_keras"


def from_keras(
    source: Any,
    *,
    config: str | Mapping[str, Any] | None = None,
    allow: str | Iterable[str] = (),
) -> Any:
    """Keras's weights in JAX, bit for bit.

    A file is read by h5py, never by Keras, and nothing in it is run. One bias of Keras
    is `bias_ih`, and `bias_hh` is zeros; CuDNNLSTM has both.

    Args:
        source: `keras.layers.LSTM`, `Bidirectional` of one, `RNN` of `LSTMCell` or of
            several, `LSTMCell`, or a list of layers as a stack; a model of `Embedding`,
            LSTMs and `Dense` in a row; or the path of a file: `.keras`, `.weights.h5`,
            or `.h5` of Keras 1 to 3. Or what `get_weights()` of a layer gives, or a
            list of such: of `Bidirectional` if it is of two LSTMs.
        config: What a file of weights does not say: the model's JSON, as
            `model.to_json()` gives it, or options of its LSTMs, such as
            `{"activation": "tanh", "recurrent_activation": "sigmoid",
            "go_backwards": False}`.
        allow: Names of what may be lost: "dropout", "recurrent_dropout",
            "go_backwards", "stateful", "merge_mode", "masking", "dtype".

    Returns:
        `lstm_jax.LSTM` with `batch_first=True`, `LSTMCell`, or `LSTMModel`; of weights
        alone, torch's names to JAX arrays.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If another layer is among them, the LSTMs are no stack, a file
            cannot be read or does not say what is needed, or JAX would round a value.
        NotImplementedError: If an LSTM has other functions, such as a hard sigmoid, or
            something would be lost.
        OSError: If a file cannot be opened.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> from_keras(to_keras(params))["weight_ih_l0"].shape
        (16, 3)
    """
    is_path = isinstance(source, str | os.PathLike)
    if config is not None and not is_path:
        raise ValueError(
            f"{_WHERE}: config must be left out: {type(source).__name__} has its own "
            "options. It is for files of weights."
        )
    if is_weights(source):
        portable = portable_of_layers(_WHERE, layers_of_weights(_WHERE, source), allow)
        return replace(portable, kind="mapping", options={}).given(_WHERE)
    if is_path:
        layers = _layers_at(Path(source), config)
    else:
        layers = layers_in_object(_WHERE, source)
    return portable_of_layers(_WHERE, layers, allow).given(_WHERE)


def _layers_at(path: Path, config: str | Mapping[str, Any] | None) -> list[KerasLayer]:
    """The layers of a file, with what is said beside it."""
    contents = read(path)
    layers = keras_layers(contents, config if isinstance(config, str) else None)
    if not layers:
        raise ValueError(
            f"{_WHERE}: {path} must be a file of Keras: it is {contents.format.words}, "
            "and no layer of Keras is in it. Use parity.find_lstms(path)."
        )
    if isinstance(config, Mapping):
        layers = with_options(_WHERE, layers, config)
    refuse_unsaid(_WHERE, path, layers)
    return layers
