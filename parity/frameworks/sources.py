"""What weights of torch are read from: state dicts, and modules, alone or in others."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from flax import nnx

from parity.names.keys import flat, key_of, other_than_lstm, with_article
from parity.names.prefixes import (
    listed,
    matching,
    prefixes_of,
    unwrapped,
    without_wrappers,
)
from parity.names.stored import part_of, plain, refusal

_GATES = {"GRU": "three gates", "RNN": "one gate"}
_GATES |= {f"{name}Cell": gates for name, gates in _GATES.items()}


def tensors_of(where: str, source: Any) -> dict[str, Any]:
    """The tensors of a module by the names of its state dict.

    A weight under a parametrization or an old hook is the one that torch makes of its
    parts in evaluation; the module is not changed.

    Raises:
        TypeError: If it is no module.
    """
    if callable(getattr(source, "params", None)):
        return dict(source.params())
    if isinstance(source, nnx.Module):
        raise TypeError(
            f"{where}: source must be a module of torch, or a mapping of names to "
            f"arrays, not {type(source).__name__}: weights are read from it. Use "
            "flax.nnx.state(module)."
        )
    check_module(where, source)
    tensors = dict(source.state_dict())
    for path, module in source.named_modules():
        for name, weight in _computed(module):
            full = f"{path}.{name}" if path else name
            tensors = {n: a for n, a in tensors.items() if part_of(n)[0] != full}
            tensors[full] = weight.detach()
    return tensors


def check_module(where: str, source: Any) -> None:
    """Refuse what is no module of torch.

    Raises:
        TypeError: With what to give.
    """
    if hasattr(source, "named_modules"):
        return
    why, cure = _way_out(where, source)
    raise TypeError(
        f"{where}: source must be a torch module or a state dict, not "
        f"{type(source).__name__}: {why}. {cure}"
    )


def _way_out(where: str, source: Any) -> tuple[str, str]:
    """Why a source is none, and what to do instead."""
    homes = [kind.__module__ for kind in type(source).__mro__]
    if where == "from_torch" and any(home.startswith("lstm_jax.") for home in homes):
        return "it is JAX's already", "Use it as it is."
    if any(home.startswith("lstm_jax.linen") for home in homes):
        return "its weights are variables", f"Use {where}(variables['params'])."
    is_path = isinstance(source, str) or hasattr(source, "__fspath__")
    cure = "Use parity.read_tensors(path)." if is_path else "Give one of these."
    return "weights are read from it", cure


def check_forward(where: str, module: Any) -> None:
    """Refuse a subclass of torch's LSTM that computes something else, or may.

    Raises:
        TypeError: If the class has a `forward` of its own.
    """
    import torch

    from parity.frameworks.twin import LSTMModel

    for kind in (torch.nn.LSTM, torch.nn.LSTMCell, LSTMModel):
        own = type(module).forward if isinstance(module, kind) else kind.forward
        if own is not kind.forward:
            raise TypeError(
                f"{where}: module must run {kind.__name__}'s own forward: "
                f"{type(module).__name__} has another, which is no weight. Use "
                f"{where}(module.state_dict()) for its weights alone."
            )


def _computed(module: Any) -> Iterator[tuple[str, Any]]:
    """The weights of a module that torch makes of their parts, in evaluation."""
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    for name, parametrization in getattr(module, "parametrizations", {}).items():
        if key_of(name):
            yield name, copy.deepcopy(parametrization).eval()()
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm) and key_of(hook.name):
            yield hook.name, hook.compute_weight(module)
        elif isinstance(hook, SpectralNorm) and key_of(hook.name):
            yield hook.name, hook.compute_weight(module, do_power_iteration=False)


def module_at(where: str, source: Any, prefix: str) -> tuple[str, Any]:
    """Where the LSTM, cell or twin in `source` is that a prefix means, and itself.

    Raises:
        TypeError: If the module there is of another kind.
        ValueError: If there is none, or several may be meant.
    """
    check_module(where, source)
    import torch

    from parity.frameworks.twin import LSTMModel

    kinds = (torch.nn.LSTM, torch.nn.LSTMCell, LSTMModel)
    modules = {f"{path}." if path else "": m for path, m in source.named_modules()}
    inside = [place for place, m in modules.items() if isinstance(m, kinds)]
    found = matching(prefix, inside)
    if len(found) == 1:
        return found[0], modules[found[0]]
    if found:
        raise _several(where, prefix, found)
    others = (torch.nn.RNNBase, torch.nn.RNNCellBase)
    layers = [place for place, m in modules.items() if isinstance(m, others)]
    there = matching(prefix, layers) or matching(prefix, modules)
    raise _no_lstm(where, prefix, modules[there[0]] if there else None, inside)


def _no_lstm(where: str, prefix: str, module: Any, inside: list[str]) -> Exception:
    """The error for a module that is no LSTM, or none at all."""
    import torch

    if isinstance(module, torch.jit.ScriptModule) and not inside:
        return TypeError(
            f"{where}: source must be a module that is not scripted: what a scripted "
            "one runs is in its code. Use its state_dict()."
        )
    what = "no module" if module is None else type(module).__name__
    why, cure = f"the source has {listed(inside)}", "Use one of these as the prefix."
    if not inside:
        why, cure = "there is none in the source", "Give a module with one."
    others = [n for n in _GATES if isinstance(module, getattr(torch.nn, n))]
    if others:
        (what,) = others
        why, cure = f"it has {_GATES[what]}", "Give a module with an LSTM."
    elif type(module).__module__.startswith("torch.ao."):
        what = f"a quantised {what}"
        why, cure = "its weights are rounded integers", "Give the module before that."
    error = ValueError if module is None else TypeError
    return error(
        f"{where}: {prefix=} must be an LSTM, LSTMCell or LSTMModel, not {what}: "
        f"{why}. {cure}"
    )


def _several(where: str, prefix: str, found: list[str]) -> ValueError:
    return ValueError(
        f"{where}: {prefix=} must be of one part of the source: there are "
        f"{listed(found)}. Use one of these."
    )


def part_at(where: str, source: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    """The tensors of a state dict at a prefix, each weight of an LSTM as one array.

    Raises:
        ValueError: If nothing is there, several parts may be meant, or a weight cannot
            be made of what is stored.
    """
    whole = plain(flat(source))
    place = _place(where, prefix, whole.tensors)
    refused = {n: k for n, k in whole.refused.items() if n.startswith(place)}
    if refused:
        raise ValueError(f"{where}: {refusal(refused)}")
    part = unwrapped(below(whole.tensors, place))
    other, gates = other_than_lstm(_kind_of(part), part)
    if other:
        raise ValueError(
            f"{where}: {prefix=} must be of an LSTM, not of {with_article(other)}: it "
            f"has {gates}. "
            "Use another prefix, or another state dict."
        )
    return part


def below(tensors: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The tensors at a place, by their short names."""
    return {n.removeprefix(place): a for n, a in tensors.items() if n.startswith(place)}


def _place(where: str, prefix: str, names: Mapping[str, Any]) -> str:
    """The one place in a state dict that a prefix means."""
    layers = list(dict.fromkeys(key.prefix for n in names if (key := key_of(n))))
    found = matching(prefix, [*prefixes_of(names), *layers]) if prefix else [""]
    found = [place for place in found if place in layers] or _outer(found)
    if len(found) > 1:
        raise _several(where, prefix, found)
    if not found or not names:
        starts = layers or prefixes_of(names)[1:]
        has = f"an LSTM at {listed(layers)}" if layers else listed(starts or names)
        cure = "Leave the prefix out." if prefix else "Give one with weights."
        cure = "Use one of these." if starts else cure
        raise ValueError(
            f"{where}: {prefix=} must be where a part of the state dict starts: it has "
            f"{has}. {cure}"
        )
    return found[0]


def _outer(places: list[str]) -> list[str]:
    """Places without those that only a wrapper is between."""
    return list({without_wrappers(place): place for place in reversed(places)}.values())


def _kind_of(part: Mapping[str, Any]) -> str:
    return "LSTMCell" if "weight_hh" in part else "LSTM"
