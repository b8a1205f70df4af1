"""MLX: `mlx.nn.LSTM`, which takes rows first and gives every step's states."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax import LayerParams
from parity.arrays import array_of
from parity.frameworks.exchange import flattened, need, nested, no_lstm, read, written
from parity.frameworks.framework import Derived, Library, Outputs
from parity.frameworks.layers import Layers, each_direction
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

MLX = LAYOUTS["MLX"]
LIBRARY = Library("mlx", "'lstm-jax[mlx]'")
_ARRAYS = ("Wx", "Wh", "bias")


def store(layers: Layers) -> list[Any]:
    """What `parameters()` of each direction's module gives, as JAX arrays."""
    return each_direction(_store, layers)


def load(weights: Any) -> Layers:
    """The layers again."""
    return each_direction(_load, weights)


def _store(params: LayerParams) -> dict[str, Any]:
    weight_ih, weight_hh, biases = to_layout(params, MLX)
    return dict(zip(_ARRAYS, (weight_ih, weight_hh, *biases), strict=False))


def _load(fields: Any) -> LayerParams:
    biases = (fields["bias"],) if "bias" in fields else ()
    return from_layout(Stacked(fields["Wx"], fields["Wh"], biases), MLX)


# Its runtime.


def run(weights: Any, xs: Any) -> Outputs:
    """The modules of every layer and direction, one after the other."""
    flat, function = _stack(weights)
    return Outputs(*map(_jax_of, function(_mlx_of(xs), *flat)))


def differentiate(weights: Any, xs: Any, cotangents: Outputs) -> Derived:
    """The same, and its gradients by `mlx.core.vjp`."""
    mx: Any = import_module("mlx.core")
    flat, function = _stack(weights)
    before = [_mlx_of(xs), *flat]
    outputs, found = mx.vjp(function, before, [*map(_mlx_of, cotangents)])
    d_xs, *gradients = map(_jax_of, found)
    d_weights = jax.tree.structure(weights).unflatten(gradients)
    return Derived(Outputs(*map(_jax_of, outputs)), d_weights, d_xs)


def _stack(weights: Any) -> tuple[list[Any], Callable[..., list[Any]]]:
    """The arrays of MLX in weights, and the stack as a function of inputs and these."""
    mx: Any = import_module("mlx.core")
    leaves, structure = jax.tree.flatten(weights)

    def function(xs: Any, *leaves: Any) -> list[Any]:
        rows, states = mx.swapaxes(xs, 0, 1), []
        for directions in structure.unflatten(leaves):
            sides = (rows, rows[:, ::-1])
            found = [_module(w)(x) for w, x in zip(directions, sides, strict=False)]
            states += [(h[:, -1], c[:, -1]) for h, c in found]
            ys = [h if d == 0 else h[:, ::-1] for d, (h, _) in enumerate(found)]
            rows = mx.concatenate(ys, axis=-1)
        h, c = map(mx.stack, zip(*states, strict=True))
        return [mx.swapaxes(rows, 0, 1), h, c]

    return [*map(_mlx_of, leaves)], function


def _module(fields: Any) -> Any:
    """The module that has these arrays, of MLX."""
    nn: Any = import_module("mlx.nn")
    rows, inputs = fields["Wx"].shape
    module = nn.LSTM(inputs, rows // 4, bias="bias" in fields)
    return module.update(dict(fields))


def _mlx_of(array: Any) -> Any:
    mx: Any = import_module("mlx.core")
    if array.dtype == np.float64:
        raise ValueError(
            "to_mlx: weights must have at most 32 bits, not float64: MLX would round "
            "them. Convert them to float32 first."
        )
    return mx.array(np.asarray(array))


def _jax_of(array: Any) -> jax.Array:
    """An array of MLX, bit for bit; NumPy cannot take its bfloat16 by itself."""
    if isinstance(array, (np.ndarray, jax.Array)):
        return array_of("array", array, "from_mlx")
    mx: Any = import_module("mlx.core")
    if array.dtype == mx.bfloat16:
        return jnp.asarray(np.array(array.view(mx.uint16)).view(jnp.bfloat16))
    return jnp.asarray(np.array(array))


# Modules.


def from_mlx(source: Any) -> Any:
    """The LSTM of MLX's modules, by torch's names: the inverse of `to_mlx`.

    Args:
        source: `mlx.nn.LSTM`; a pair of them, `(forward, reverse)`; or a list of either
            as a stack. Or the same of what their `parameters()` give, in MLX's arrays.

    Returns:
        `lstm_jax.LSTM` with `batch_first=True`; a flat mapping of torch's names for
        parameters.

    Raises:
        TypeError: If the source is something else.
        ValueError: If layers do not fit each other.

    References:
        `mlx.nn.LSTM`: rows first, then time; it gives h and c of every step.
    """
    layers = flattened("from_mlx", source)
    found = each_direction(_read_module, layers)
    if not _is_of_mlx(layers[0][0]):
        return read("from_mlx", found, "mapping")
    return read("from_mlx", found, "LSTM", batch_first=True)


def _read_module(source: Any) -> LayerParams:
    module = _is_of_mlx(source)  # itself a dict
    if module and type(source).__name__ == "LSTM":
        source = source.parameters()
    elif module or not isinstance(source, Mapping):
        expected = "mlx.nn.LSTM, a pair or a list of them, or their parameters()"
        raise no_lstm("from_mlx", expected, source)
    if source.keys() not in (set(_ARRAYS), set(_ARRAYS[:2])):
        raise ValueError(
            "from_mlx: the parameters of mlx.nn.LSTM must be Wx, Wh and bias, or Wx "
            f"and Wh, not {', '.join(map(str, source)) or 'none'}: it has no others. "
            "Give those of an mlx.nn.LSTM."
        )
    return _load({name: _jax_of(array) for name, array in source.items()})


def _is_of_mlx(source: Any) -> bool:
    return type(source).__module__.startswith("mlx.")


def to_mlx(source: Any, *, allow: str | Iterable[str] = ()) -> Any:
    """An LSTM as MLX's modules: the inverse of `from_mlx`.

    MLX has one bias: it is the sum of the two. Its modules take rows first, then time.

    Args:
        source: `lstm_jax.LSTM` or `LSTMCell`, or a flat mapping of torch's names.
        allow: Losses that are wanted all the same: those of `parity.losses`,
            "dropout" and "dtype".

    Returns:
        `mlx.nn.LSTM`; a pair of them, `(forward, reverse)`, where there are two
        directions: give the second one the steps from last to first; a list of either
        where there are several layers. For a mapping the same of MLX's arrays by the
        names of its `parameters()`.

    Raises:
        TypeError: If the source is none of these.
        ModuleNotFoundError: If MLX is not installed.
        NotImplementedError: If something would be lost: a projection, dropout, a type.
    """
    need("to_mlx", LIBRARY)
    portable = written("to_mlx", source, "mlx", allow)
    fields = jax.tree.map(_mlx_of, store(portable.layers))
    make = dict if portable.kind == "mapping" else _module
    return nested(each_direction(make, fields))
