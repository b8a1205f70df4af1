"""`from_flax`: modules of `nnx` and `linen`, and their weights as mappings."""

from inspect import signature
from typing import Any, NamedTuple

import flax.linen
import jax
import jax.numpy as jnp
from flax import nnx

from lstm_jax import LayerParams
from parity.frameworks.exchange import no_lstm, read
from parity.frameworks.kinds.flax_weights import is_mapping, of_mappings, read_cell
from parity.frameworks.portable import Kind

_WHERE = "from_flax"
_KNOWN = (
    "LSTMCell or OptimizedLSTMCell of Flax, an RNN or Bidirectional of these, or a "
    "mapping"
)
_CELLS = (
    nnx.LSTMCell,
    nnx.OptimizedLSTMCell,
    flax.linen.LSTMCell,
    flax.linen.OptimizedLSTMCell,
)
_RNNS = (nnx.RNN, flax.linen.RNN)
_BOTH = (nnx.Bidirectional, flax.linen.Bidirectional)
# What a module must be told: the functions that ours has, its own default first.
_OF_CELL = {
    "gate_fn": (jax.nn.sigmoid, jax.lax.logistic),
    "activation_fn": (jnp.tanh, jax.lax.tanh),
    "carry_init": (jax.nn.initializers.zeros, None),
    "promote_dtype": (
        signature(nnx.LSTMCell.__init__).parameters["promote_dtype"].default,
    ),
}
_OF_RNN = {"reverse": (False,)}
_OF_BOTH = {"merge_fn": (nnx.Bidirectional.merge_fn, flax.linen.Bidirectional.merge_fn)}


class _Layer(NamedTuple):
    """A layer that was read: torch's arrays, and what they do not tell."""

    kind: Kind
    directions: tuple[LayerParams, ...]
    options: dict[str, Any]


def from_flax(source: Any) -> Any:
    """The LSTM of Flax's own cells, by torch's names: the inverse of `to_flax`.

    The source is copied, never changed. Flax's carry is `(c, h)`, ours `(h, c)`.

    Args:
        source: One of these, or a list of them as a stack:

            - a module of `flax.nnx`: `LSTMCell` or `OptimizedLSTMCell`, alone, in
              `RNN`, or in the two `RNN` of `Bidirectional`;
            - such a module of `flax.linen` with its variables, `(module, variables)`;
            - a mapping: linen's variables, or the state or pure dict of an nnx module,
              or a part of one that holds a layer. A pair of them is
              `(forward, reverse)`.

    Returns:
        `lstm_jax.LSTMCell` for a cell. `lstm_jax.LSTM` for the other modules, with
        `batch_first` unless they are `time_major`; both with the cells' `dtype`. For
        mappings a flat mapping of torch's names; these are a cell's where the source
        is the weights of one cell and nothing is around them.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If names or shapes are not those of an LSTM, layers do not fit each
            other, or JAX would round a value.
        NotImplementedError: If a module is another function than our LSTM: `reverse`
            without the other direction, other activations, another `merge_fn`.

    Example:
        >>> rnn = nnx.RNN(nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0)))
        >>> ys, (h, c) = from_flax(rnn)(jnp.ones((5, 7, 3)))
        >>> ys.shape, h.shape
        ((5, 7, 4), (1, 5, 4))

    References:
        `flax.nnx.RNN`; inside of `Bidirectional` Flax reads neither its `reverse` nor
        its `time_major`, so neither counts here.
    """
    layers = source if isinstance(source, list) else [source]
    if layers and all(map(is_mapping, layers)):
        return of_mappings(source)
    found = [_layer_of(layer) for layer in layers]
    if isinstance(source, list):
        _check_stack(found)
    directions = [layer.directions for layer in found]
    return read(_WHERE, directions, found[0].kind, **found[0].options)


def _check_stack(layers: list[_Layer]) -> None:
    """Refuse layers that one LSTM cannot be."""
    if not layers or any(layer.kind == "LSTMCell" for layer in layers):
        raise TypeError(
            f"{_WHERE}: a list must be of RNN or of Bidirectional, not "
            f"{'of a cell' if layers else 'empty'}: each is a layer of the stack. "
            "Use a list of RNN(cell)."
        )
    options = [layer.options for layer in layers]
    for name in options[0]:
        found = [str(each[name]) for each in options]
        if len(set(found)) > 1:
            raise ValueError(
                f"{_WHERE}: {name} must be the same in every layer, not "
                f"{', '.join(found)}: a stack has one. Convert them one by one."
            )


def _layer_of(source: Any) -> _Layer:
    """A cell, an `RNN` of one, or a `Bidirectional` of two."""
    module = _bound(source)
    if type(module) in _CELLS:
        return _Layer("LSTMCell", (_params_of(module),), _dtype_of(module))
    if type(module) in _RNNS:
        _check_same(module, _OF_RNN)
        cells = [module.cell]
    elif type(module) in _BOTH:
        _check_same(module, _OF_BOTH)
        cells = [_cell_in(module.forward_rnn), _cell_in(module.backward_rnn)]
        _check_two(cells)
    else:
        raise _no_lstm(module)
    options = {"batch_first": not module.time_major, **_dtype_of(cells[0])}
    return _Layer("LSTM", tuple(map(_params_of, cells)), options)


def _bound(source: Any) -> Any:
    """The module; linen's with its variables in it."""
    if isinstance(source, flax.linen.Module) and source.scope is None:
        raise TypeError(
            f"{_WHERE}: source must come with its variables, not "
            f"{type(source).__name__} alone: linen keeps them apart. "
            f"Use {_WHERE}((module, variables))."
        )
    if not isinstance(source, tuple):
        return source
    if len(source) != 2 or not isinstance(source[0], flax.linen.Module):
        raise TypeError(
            f"{_WHERE}: a tuple must be a module of linen and its variables, or two "
            f"mappings, not {', '.join(type(a).__name__ for a in source)}: it is one "
            f"layer. Use {_WHERE}((module, variables)), or a list for a stack."
        )
    module, variables = source
    return module.bind(flax.linen.meta.unbox(variables))


def _cell_in(rnn: Any) -> Any:
    if type(rnn) not in _RNNS:
        raise _no_lstm(rnn)
    return rnn.cell


def _no_lstm(module: Any) -> TypeError:
    return no_lstm(_WHERE, _KNOWN, module)


def _check_same(module: Any, functions: dict[str, tuple[Any, ...]]) -> None:
    """Refuse a module that computes another function than ours."""
    for name, same in functions.items():
        value = getattr(module, name, same[0])
        if not any(value is one for one in same):
            raise NotImplementedError(
                f"{_WHERE}: {name}={_named(value)} must be {_named(same[0])}: "
                "lstm_jax.LSTM has no other. Convert a module that has this one."
            )


def _named(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)


def _check_two(cells: list[Any]) -> None:
    """Refuse directions that share weights, or differ in what the module has once."""
    shared = cells[0] is cells[1]
    if isinstance(cells[0], flax.linen.Module):
        shared = cells[0].path == cells[1].path
    if shared:
        raise NotImplementedError(
            f"{_WHERE}: forward_rnn and backward_rnn must be two modules, not the "
            "same: each direction of lstm_jax.LSTM has weights of its own. Give "
            "backward_rnn a copy."
        )
    dtypes = [str(_dtype_of(cell)["dtype"]) for cell in cells]
    if len(set(dtypes)) > 1:
        raise NotImplementedError(
            f"{_WHERE}: dtype must be the same in both directions, not "
            f"{' and '.join(dtypes)}: lstm_jax.LSTM has one. Give both cells one dtype."
        )


def _dtype_of(cell: Any) -> dict[str, Any]:
    return {"dtype": cell.dtype and jnp.dtype(cell.dtype)}


def _params_of(cell: Any) -> LayerParams:
    """Torch's arrays of a cell."""
    if type(cell) not in _CELLS:
        raise _no_lstm(cell)
    _check_same(cell, _OF_CELL)
    if isinstance(cell, nnx.Module):
        return read_cell(nnx.to_pure_dict(nnx.state(cell, nnx.Param)))
    return read_cell(cell.variables.get("params", {}))
