"""What is checked: the mapping of weights in a module, or a sentence on where it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from flax import nnx

import lstm_jax
from lstm_jax import LSTMSpec
from lstm_jax.terminal import printable
from parity.convert.find import survey
from parity.frameworks.sources import check_forward, tensors_of
from parity.names.keys import other_than_lstm, with_article
from parity.names.stored import plain, refusal

_MOST_LISTED = 4


def weights_in(module: Any) -> Mapping[str, Any]:
    """Names to arrays of an LSTM or a cell, or of what holds them itself.

    Raises:
        TypeError: If it is neither; LSTMs inside are named.
    """
    source = _held(module)
    if source is None or not any(map(_is_parameter, source)):
        raise TypeError(_refusal(module, source))
    _check_gates(source)
    for name, array in source.items():
        _check_values(str(name), array)
    return source


def _held(module: Any) -> Mapping[str, Any] | None:
    """Names to arrays, each weight as one array; None where there are none."""
    if not isinstance(module, Mapping):
        named = hasattr(module, "named_modules")
        if not named and not callable(getattr(module, "params", None)):
            return None
        if named:
            check_forward("check", module)
        module = tensors_of("check", module)
    whole = plain(module)
    if whole.refused:
        raise TypeError(f"check: {refusal(whole.refused)}")
    return whole.tensors


def _is_parameter(name: Any) -> bool:
    return any(LSTMSpec.parse_key(f"{name}{end}") for end in ("", "_l0"))


def _refusal(module: Any, source: Mapping[str, Any] | None) -> str:
    """The sentence, with what to write instead."""
    places = list(_places(module, source))
    listed = ", or ".join(f"check({place})" for place in places[:_MOST_LISTED])
    cure = f"Use {listed}." if places else _cure_without_lstm(module)
    return (
        "check: module must be an LSTM, an LSTMCell or a mapping of torch's names, not "
        f"{_kind(module)}: its weights are compared. {cure}"
    )


def _kind(module: Any) -> str:
    """Its class, with the library where it is called as torch's own."""
    kind = type(module)
    if isinstance(module, Mapping):
        names = ", ".join(printable(repr(name), 60) for name in list(module)[:3])
        return f"one of {names or 'nothing'}"
    other = kind.__name__ in ("LSTM", "LSTMCell")
    return f"{kind.__module__}.{kind.__name__}" if other else kind.__name__


def _cure_without_lstm(module: Any) -> str:
    if "quantized" in type(module).__module__:
        return "Give the LSTM from before it was quantised."
    return "Give an LSTM, or its weights in a dict of torch's names."


def _places(module: Any, source: Mapping[str, Any] | None) -> Iterator[str]:
    """Where an LSTM is inside, as Python writes it."""
    if isinstance(module, Mapping):
        yield from _places_in_mapping(module)
    elif source is not None:
        for one in survey(source)[0]:
            yield _written(one.prefix.rstrip("."), hasattr(module, "get_submodule"))
    elif isinstance(module, nnx.Module):
        for path, inner in nnx.iter_modules(module):
            if path and isinstance(inner, (lstm_jax.LSTM, lstm_jax.LSTMCell)):
                yield _written(".".join(map(str, path)), False)


def _places_in_mapping(module: Mapping[str, Any]) -> Iterator[str]:
    nested = [name for name, value in module.items() if isinstance(value, Mapping)]
    yield from (f"module[{name!r}]" for name in nested)
    if not nested:
        for one in survey(module)[0]:
            where = printable(repr(one.prefix), 60)
            yield f"parity.find_lstms(module, {where})[0].lstm_params"


def _written(path: str, submodules: bool) -> str:
    """A path below `module`; a name that is no attribute is asked for."""
    parts = path.split(".")
    if all(part.isidentifier() for part in parts):
        return f"module.{path}"
    if submodules:
        return f"module.get_submodule({path!r})"
    return "module" + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in parts)


def _check_gates(source: Mapping[str, Any]) -> None:
    """Refuse a GRU and a plain RNN, whose parameters have the same names."""
    kind = "LSTMCell" if "weight_hh" in source else "LSTM"
    arrays = {name: a for name, a in source.items() if hasattr(a, "shape")}
    other, gates = other_than_lstm(kind, arrays)
    if other:
        raise TypeError(
            f"check: module must be an LSTM, not {with_article(other)}: it has "
            f"{gates}. Give a module with an LSTM."
        )


def _check_values(name: str, array: Any) -> None:
    """Refuse a tensor that has no values yet."""
    if getattr(array, "is_meta", False):
        raise TypeError(
            f"check: {name} must have values: it is on torch's meta device, which "
            "keeps only shapes. Load the weights first."
        )
