"""From a framework and to one: what every `from_X` and `to_X` does alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import lstm_jax
from parity.arrays import array_of
from parity.frameworks.framework import Library
from parity.frameworks.layers import Layers, params_of
from parity.frameworks.losses import TARGETS, losses, refuse_losses
from parity.frameworks.portable import Kind, Portable, portable_of

# Whose modules say in which type the products are.
_WITH_DTYPE = ("flax",)


def written(
    where: str, source: Any, target: str, allow: str | Iterable[str] = ()
) -> Portable:
    """The LSTM that a framework is given: JAX arrays, and nothing lost silently.

    Args:
        where: The function that is called, for its errors.
        source: `lstm_jax.LSTM` or `LSTMCell`, or a mapping of torch's names.
        target: The framework, as `losses` names it.
        allow: Names of losses that are wanted all the same.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If it is no LSTM, JAX would round a value, or `allow` is wrong.
        NotImplementedError: If something would be lost.
    """
    portable = portable_of(where, source)
    _check_alone(where, portable)
    lost = losses(portable.spec, target) | lost_of(source, target)
    refuse_losses(where, lost, allow)
    params = {n: array_of(n, a, where) for n, a in portable.params.items()}
    return replace(portable, params=params)


def _check_alone(where: str, portable: Portable) -> None:
    """Refuse a model of which a part would be left behind."""
    what, cure = "a mapping", "Leave these out"
    if portable.kind == "LSTMModel":
        what, cure = "an LSTMModel", f"Use {where}(model.lstm)"
    layers = [n for n in portable.params if n.startswith("lstm.")]
    others = sorted(set(portable.params) - set(layers)) if layers else []
    if others:
        raise TypeError(
            f"{where}: source must be an LSTM alone, not {what} with "
            f"{', '.join(map(repr, others))}: only the LSTM is converted. {cure}."
        )


def lost_of(source: Any, target: str) -> dict[str, str]:
    """What a module's options say that the target cannot hold.

    Args:
        source: `lstm_jax.LSTM`, `LSTMCell`, `LSTMModel`; a mapping has no options.
        target: The framework, as `losses` names it.
    """
    lost, name = {}, TARGETS[target].name
    source = getattr(source, "lstm", source)
    deep = getattr(source, "dropout", 0) and source.spec.num_layers > 1
    if deep and target != "torch":
        lost["dropout"] = f"{name} has no dropout between the layers of an LSTM."
    if getattr(source, "dtype", None) is not None and target not in _WITH_DTYPE:
        lost["dtype"] = f"{name} multiplies in the type of its weights and inputs."
    return lost


def read(where: str, layers: Layers, kind: Kind, **options: Any) -> Any:
    """What `from_X` returns: a module or a mapping, its arrays copied.

    Args:
        where: The function that is called, for its errors.
        layers: Torch's arrays.
        kind: The class of `lstm_jax`, or "mapping".
        **options: What the class takes beside its parameters.

    Raises:
        ValueError: If the layers do not fit each other.
    """
    params = params_of(layers)
    _ = lstm_jax.spec_of(params)  # raises
    if kind == "LSTMCell":
        params = cell_names(params)
    return Portable(kind=kind, params=params, options=options).given(where)


def cell_names(params: Mapping[str, Any]) -> dict[str, Any]:
    """The names of one layer as those of a cell.

    Example:
        >>> cell_names({"weight_ih_l0": 1})
        {'weight_ih': 1}
    """
    return {name.removesuffix("_l0"): array for name, array in params.items()}


def nested(layers: Iterable[Sequence[Any]]) -> Any:
    """A stack as it is given to a user: one layer alone, several as a list.

    A layer of two directions is a pair.

    Example:
        >>> nested([["a"]]), nested([["a"], ["b"]]), nested([["a", "b"]])
        ('a', ['a', 'b'], ('a', 'b'))
    """
    found = [d[0] if len(d) == 1 else tuple(d) for d in layers]
    return found[0] if len(found) == 1 else found


def flattened(where: str, source: Any) -> list[tuple[Any, ...]]:
    """The inverse of `nested`: for each layer its directions.

    Raises:
        ValueError: If there is no layer, or a pair has not two directions.

    Example:
        >>> flattened("from_x", ["a", "b"]), flattened("from_x", ("a", "b"))
        ([('a',), ('b',)], [('a', 'b')])
    """
    layers = source if isinstance(source, list) else [source]
    found = [layer if isinstance(layer, tuple) else (layer,) for layer in layers]
    counts = {len(directions) for directions in found}
    if counts not in ({1}, {2}):
        raise ValueError(
            f"{where}: source must be a layer, a pair of its directions, or a list of "
            f"either, not {_shape(found)}: every layer has as many directions. Give a "
            "list of layers, or one of pairs (forward, reverse)."
        )
    return found


def _shape(found: Sequence[Sequence[Any]]) -> str:
    counts = ", ".join(str(len(directions)) for directions in found)
    return f"layers with {counts} directions" if found else "an empty list"


def need(where: str, library: Library) -> None:
    """Refuse to make what needs a library that is not installed.

    Raises:
        ModuleNotFoundError: With what to install.
    """
    if missing := library.missing():
        raise ModuleNotFoundError(f"{where}: {missing}")


def no_lstm(where: str, expected: str, source: Any) -> TypeError:
    """The error for a source that is no LSTM of the framework."""
    why, cure = "nothing else is read as an LSTM", "Give the LSTM of the model."
    if type(source).__module__.startswith("torch"):
        why, cure = "it is torch's", "Use parity.from_torch(module)."
    elif type(source).__module__.startswith("lstm_jax"):
        why, cure = "it is ours already", "Use it as it is."
    return TypeError(
        f"{where}: source must be {expected}, not {type(source).__name__}: {why}. "
        f"{cure}"
    )
