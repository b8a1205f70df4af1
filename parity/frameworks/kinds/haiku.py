"""Haiku: `hk.LSTM` under `hk.dynamic_unroll`, time first."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax import LayerParams
from parity.arrays import array_of
from parity.frameworks.cells import Cell
from parity.frameworks.exchange import flattened, nested, no_lstm, read, written
from parity.frameworks.framework import Library
from parity.frameworks.layers import each_direction
from parity.frameworks.layouts import LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

HAIKU = LAYOUTS["Haiku"]
LIBRARY = Library("haiku", "dm-haiku")
# Where `hk.LSTM` keeps its one kernel, of inputs and then state, and its bias.
_NAME = "lstm/linear"


def _store(params: LayerParams) -> dict[str, Any]:
    weight_ih, weight_hh, (bias,) = to_layout(params, HAIKU)
    return {_NAME: {"w": jnp.concatenate([weight_ih, weight_hh]), "b": bias}}


def _load(params: Any) -> LayerParams:
    kernel, bias = params[_NAME]["w"], params[_NAME]["b"]
    hidden = _hidden(params)
    stacked = Stacked(kernel[:-hidden], kernel[-hidden:], (bias,))
    return from_layout(stacked, HAIKU)


def _haiku() -> Any:
    # By name: where it is not installed, type checkers take this file for it.
    return import_module("haiku")


def _applied(function: Any, params: Any, *inputs: Any) -> Any:
    """A function that calls Haiku's modules, with these parameters."""
    hk = _haiku()
    return hk.without_apply_rng(hk.transform(function)).apply(params, *inputs)


def _unroll(params: Any, xs: jax.Array, reverse: bool) -> Any:
    hk, hidden = _haiku(), _hidden(params)

    def unroll(xs: jax.Array) -> Any:
        zeros = jnp.zeros((xs.shape[1], hidden), xs.dtype)
        state = hk.LSTMState(zeros, zeros)
        ys, state = hk.dynamic_unroll(hk.LSTM(hidden), xs, state, reverse=reverse)
        return ys, *state

    return _applied(unroll, params, xs)


def _step_once(params: Any, x: jax.Array, state: Any) -> Any:
    def step(x: jax.Array, state: Any) -> Any:
        return _haiku().LSTM(_hidden(params))(x, state)

    return _applied(step, params, x, state)


def _hidden(params: Any) -> int:
    return len(params[_NAME]["b"]) // 4


CELL = Cell(
    store=_store,
    load=_load,
    run=_unroll,
    step=_step_once,
    start=lambda h, c: _haiku().LSTMState(h, c),
)


def from_haiku(source: Any) -> dict[str, Any]:
    """The LSTM of the parameters of `hk.LSTM`: the inverse of `to_haiku`.

    Haiku adds 1 to the forget gate at every step: it is added to that gate's bias here,
    and rounded.

    Args:
        source: The parameters of one `hk.LSTM`, such as
            `{"lstm/linear": {"w": ..., "b": ...}}` or what is in it; a pair of these,
            `(forward, reverse)`; or a list of either as a stack.

    Returns:
        A flat mapping of torch's names to arrays.

    Raises:
        TypeError: If the source is no mapping.
        ValueError: If names or shapes are not those of an LSTM, layers do not fit each
            other, or JAX would round a value.

    Example:
        >>> linear = {"w": jnp.zeros((3 + 4, 16)), "b": jnp.zeros(16)}
        >>> params = from_haiku({"encoder/lstm/linear": linear})
        >>> params["weight_ih_l0"].shape, float(params["bias_ih_l0"][4])
        ((16, 3), 1.0)

    References:
        `haiku.LSTM`; Jozefowicz et al., 2015 (the forget bias).
    """
    layers = each_direction(_read_params, flattened("from_haiku", source))
    return read("from_haiku", layers, "mapping")


def _read_params(source: Any) -> LayerParams:
    """Torch's arrays of the parameters of one `hk.LSTM`."""
    if not isinstance(source, Mapping):
        expected = "the parameters of hk.LSTM, a pair or a list of them"
        raise no_lstm("from_haiku", expected, source)
    linear = source
    if not any(hasattr(value, "shape") for value in source.values()):
        if len(source) != 1:
            names = ", ".join(map(repr, source)) or "nothing"
            raise ValueError(
                f"from_haiku: source must be the parameters of one hk.LSTM, not "
                f"{names}: each is a layer or a direction. Give a list of layers, such "
                "as [params['lstm/linear'], params['lstm_1/linear']]."
            )
        (linear,) = source.values()
    arrays = {n: array_of(n, a, "from_haiku") for n, a in linear.items()}
    shapes = {name: array.shape for name, array in sorted(arrays.items())}
    if not _fits(shapes):
        raise ValueError(
            "from_haiku: the parameters of hk.LSTM must be b of (4H,) and w of "
            f"(I + H, 4H), not {shapes}: it has one kernel. Give those of an hk.LSTM."
        )
    return _load({_NAME: arrays})


def _fits(shapes: dict[str, tuple[int, ...]]) -> bool:
    if shapes.keys() != {"b", "w"} or len(shapes["b"]) != 1:
        return False
    (rows,), kernel = shapes["b"], shapes["w"]
    return kernel[1:] == (rows,) and rows % 4 == 0 and kernel[0] > rows // 4


def to_haiku(source: Any, *, allow: str | Iterable[str] = ()) -> Any:
    """The parameters of `hk.LSTM` for an LSTM: the inverse of `from_haiku`.

    Haiku has one bias: it is the sum of the two. It adds 1 to the forget gate at every
    step: that gate's bias is stored less 1, and rounded.

    Args:
        source: `lstm_jax.LSTM` or `LSTMCell`, or a flat mapping of torch's names.
        allow: Losses that are wanted all the same: those of `parity.losses`,
            "dropout" and "dtype".

    Returns:
        `{"lstm/linear": {"w": ..., "b": ...}}`; a pair of these, `(forward, reverse)`,
        where there are two directions; a list of either where there are several layers.

    Raises:
        TypeError: If the source is none of these.
        NotImplementedError: If something would be lost: a projection, dropout, a type.

    Example:
        >>> params = to_haiku(lstm_jax.LSTM(3, 4, rngs=nnx.Rngs(0)))
        >>> params["lstm/linear"]["w"].shape  # inputs, then the state
        (7, 16)
    """
    layers = written("to_haiku", source, "haiku", allow).layers
    return nested(each_direction(_store, layers))
