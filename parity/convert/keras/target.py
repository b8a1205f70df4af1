"""To Keras: its layers and models, with the weights of an LSTM."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from lstm_jax import LayerParams
from parity.arrays import numpy_of
from parity.frameworks.exchange import lost_of, need
from parity.frameworks.framework import Library
from parity.frameworks.losses import losses, refuse_losses
from parity.frameworks.portable import Portable, portable_of

_WHERE = "to_keras"
_KERAS = Library("keras", "'lstm-jax[keras]'")


def to_keras(source: Any, *, allow: str | Iterable[str] = ()) -> Any:
    """JAX's weights in Keras; two biases become their sum.

    Args:
        source: `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, or a flat mapping of torch's
            names to arrays.
        allow: Names of losses that are wanted all the same, see `parity.losses`:
            "dropout" between layers, "dtype".

    Returns:
        For each layer a `keras.layers.LSTM`, or `Bidirectional` of one, that returns
        sequences and takes batches first: one layer, or a list of several. A
        `keras.layers.LSTMCell` for a cell, a `keras.Model` for a model. For a mapping,
        what `set_weights` of each layer takes.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If a mapping is no LSTM's, or `allow` names no loss.
        NotImplementedError: If something would be lost.
        ModuleNotFoundError: If Keras or its backend is not installed, but for a
            mapping.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> [array.shape for array in to_keras(params)]
        [(3, 16), (4, 16), (16,)]
    """
    portable = portable_of(_WHERE, source)
    _refuse_others(portable)
    lost = losses(portable.spec, "keras") | lost_of(source, "keras")
    refuse_losses(_WHERE, lost, allow)
    weights = _weights_of(portable)
    if portable.kind == "mapping":
        return _one_or_list(weights)
    need(_WHERE, _KERAS)
    if portable.kind == "LSTMCell":
        return _loaded(_cell(portable), (None, portable.spec.input_size), weights[0])
    if portable.kind == "LSTMModel":
        return _model(portable, weights)
    return _one_or_list(_layers(portable, weights, True))


def _refuse_others(portable: Portable) -> None:
    """Refuse a mapping of which a part would be left behind."""
    others = sorted(n for n in portable.params if not n.startswith("lstm."))
    if portable.kind == "mapping" and len(others) < len(portable.params) and others:
        raise TypeError(
            f"{_WHERE}: source must be an LSTM alone, not a mapping with "
            f"{', '.join(map(repr, others))}: only the LSTM is converted. Use "
            "lstm_jax.LSTMModel.from_params(params) for a whole model."
        )


def _one_or_list(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else found


def _weights_of(portable: Portable) -> list[list[np.ndarray]]:
    """What `set_weights` of each layer takes: forward, then backward."""
    return [
        [array for one in directions for array in _stored(one)]
        for directions in portable.layers
    ]


def _stored(params: LayerParams) -> list[np.ndarray]:
    """A kernel, a recurrent kernel and one bias, or none."""
    arrays = {n: numpy_of(n, a) for n, a in params._asdict().items() if a is not None}
    kernels = [arrays["weight_ih"].T, arrays["weight_hh"].T]
    if "bias_ih" not in arrays:
        return kernels
    return [*kernels, arrays["bias_ih"] + arrays["bias_hh"]]


def _keras() -> Any:
    """The module; by name, as the folder has the same.

    Raises:
        ModuleNotFoundError: If the backend that it asks for is not installed.
    """
    try:
        return import_module("keras")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{_WHERE}: Keras must have a backend that is installed: it asks for "
            f"{error.name}. Set KERAS_BACKEND=jax before Keras is imported."
        ) from None


def _options(portable: Portable) -> dict[str, Any]:
    spec = portable.spec
    return {"units": spec.hidden_size, "use_bias": spec.bias, "dtype": spec.dtype}


def _cell(portable: Portable) -> Any:
    return _keras().layers.LSTMCell(**_options(portable))


def _layers(
    portable: Portable, weights: list[list[np.ndarray]], sequences: bool
) -> list[Any]:
    """A layer of Keras for each; the last returns sequences, or the last step."""
    layers, found = _keras().layers, []
    for number, arrays in enumerate(weights):
        keep = sequences or number < len(weights) - 1
        layer = layers.LSTM(**_options(portable), return_sequences=keep)
        if portable.spec.bidirectional:
            layer = layers.Bidirectional(layer, dtype=portable.spec.dtype)
        shape = (None, None, len(arrays[0]))
        found.append(_loaded(layer, shape, arrays))
    return found


def _loaded(layer: Any, shape: tuple[int | None, ...], arrays: list[np.ndarray]) -> Any:
    """The layer with these weights, for inputs of this shape."""
    layer.build(shape)
    layer.set_weights(arrays)
    return layer


def _model(portable: Portable, weights: list[list[np.ndarray]]) -> Any:
    """A model of Keras: tokens or features in, predictions out."""
    keras, dtype = _keras(), portable.spec.dtype
    params = portable.params
    arrays = {n: numpy_of(n, params[n]) for n in params if not n.startswith("lstm.")}
    outputs = portable.options["outputs"]
    last = outputs == "last" and portable.spec.bidirectional
    inputs, ys = _entered(portable, arrays)
    for layer in _layers(portable, weights, last or outputs in ("all", "mean")):
        ys = layer(ys)
    if outputs == "mean":
        ys = keras.layers.GlobalAveragePooling1D(dtype=dtype)(ys)
    elif last:
        ys = ys[:, -1]
    kernel, activation = arrays["fc.weight"].T, portable.options["activation"]
    head = keras.layers.Dense(kernel.shape[1], activation=activation, dtype=dtype)
    built = _loaded(head, (None, len(kernel)), [kernel, arrays["fc.bias"]])
    return keras.Model(inputs, built(ys))


def _entered(portable: Portable, arrays: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """The input of a model, and what its first LSTM is given."""
    keras, spec = _keras(), portable.spec
    table = arrays.get("embedding.weight")
    if table is None:
        inputs = keras.Input((None, spec.input_size), dtype=spec.dtype)
        return inputs, inputs
    tokens = keras.Input((None,), dtype="int32")
    layer = keras.layers.Embedding(*table.shape, dtype=spec.dtype)
    return tokens, _loaded(layer, (None, None), [table])(tokens)
