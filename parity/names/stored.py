"""Weights that are stored in another form: under dropout, weight norm or pruning.

Torch keeps the parts of such a weight under names of their own, and makes the weight of
them at each call. Here it is made of them once, so that all that follows finds a plain
weight. What a parametrization makes of its parts is code, which no file holds.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from parity.arrays import numpy_of
from parity.names.keys import key_of
from parity.names.prefixes import listed

_WORDS = "raw|g|v|u|orig|mask"
_OLD = re.compile(rf"(?P<weight>.+)_(?P<part>{_WORDS})")
_NEW = re.compile(
    r"(?P<prefix>(.*\.)?)parametrizations\.(?P<name>[^.]+)"
    r"\.(?P<part>original[01]?|\d+\..+)"
)
_RENAMED = {"original0": "g", "original1": "v"}  # the parts of the newer weight norm
_OLD_SPECTRAL = "the old spectral_norm"
_UNKNOWN = "a parametrization, such as orthogonal"


@dataclass(frozen=True)
class Plain:
    """Tensors in which each weight of a recurrent layer is one array.

    `notes` says how a weight was made of its parts. `refused` says what one is stored
    under that cannot be made: its array has the shape, but not the numbers. Both go by
    the name of the weight.
    """

    tensors: dict[str, Any]
    notes: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class _Made(NamedTuple):
    """A weight made of its parts, and a note; or its shape, and what it is under."""

    array: Any
    note: str = ""
    refused: str = ""


def plain(tensors: Mapping[str, Any]) -> Plain:
    """The same tensors, but each weight is in the place of the parts it is made of.

    A weight under dropout is the raw one, which is trained; a copy beside it is what
    dropout last left. Weight norm is undone in float64, a mask of pruning is applied.

    Args:
        tensors: Names to arrays of any framework.

    Returns:
        The tensors, in their order; the arrays of plain weights are those given.

    Example:
        >>> ones = np.ones((8, 2), np.float32)
        >>> pruned = {"weight_hh_l0_orig": ones, "weight_hh_l0_mask": 0 * ones}
        >>> float(plain(pruned).tensors["weight_hh_l0"].sum())
        0.0
    """
    stored = _stored(tensors)
    parts = {
        name: weight for weight, names in stored.items() for name in names.values()
    }
    made = {weight: _made(weight, stored[weight], tensors) for weight in stored}
    found: dict[str, Any] = {}
    for name, array in tensors.items():
        weight = parts.get(name, name)
        found[weight] = made[weight].array if weight in made else array
    return Plain(
        found,
        {weight: one.note for weight, one in made.items() if one.note},
        {weight: one.refused for weight, one in made.items() if one.refused},
    )


def _stored(tensors: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The names of the parts of each weight that is stored in parts."""
    found: dict[str, dict[str, str]] = {}
    for name in tensors:
        weight, part = part_of(str(name))
        if part:
            found.setdefault(weight, {})[part] = name
    whole = {weight: parts for weight, parts in found.items() if _form(parts)}
    prefixes = {key.prefix for name in tensors if (key := key_of(str(name)))}
    prefixes |= {
        key.prefix for w in whole if "raw" not in whole[w] and (key := key_of(w))
    }
    return {_home(w, parts, prefixes): parts for w, parts in whole.items()}


def part_of(name: str) -> tuple[str, str]:
    """The weight that a tensor is a part of, and which part; no part if it is none."""
    new, old = _NEW.fullmatch(name), _OLD.fullmatch(name)
    weight, part = "", ""
    if new:
        weight, part = f"{new['prefix']}{new['name']}", new["part"]
    elif old:
        weight, part = old["weight"], old["part"]
    return (weight, _RENAMED.get(part, part)) if key_of(weight) else ("", "")


def _form(parts: Iterable[str]) -> str:
    """How a weight with these parts is stored; empty if they are no whole form."""
    parts = set(parts)
    if "original" in parts:
        spectral = any(part.endswith("._u") for part in parts)
        return "spectral_norm" if spectral else _UNKNOWN
    forms = {
        "weight norm": {"g", "v"},
        "pruning": {"orig", "mask"},
        _OLD_SPECTRAL: {"orig", "u"},
        "dropout": {"raw"},
    }
    return next((form for form, needed in forms.items() if needed <= parts), "")


def _home(weight: str, parts: Mapping[str, str], prefixes: set[str]) -> str:
    """The name of a weight: one under dropout may belong to the module within."""
    key = key_of(weight)
    if key is None or "raw" not in parts or key.prefix in prefixes:
        return weight
    inner = [p for p in prefixes if p.startswith(key.prefix)]
    inner = [p for p in inner if p[len(key.prefix) :].count(".") == 1]
    if f"{key.prefix}module." in inner:
        inner = [f"{key.prefix}module."]
    return f"{inner[0]}{key.short}" if len(inner) == 1 else weight


def _made(weight: str, parts: Mapping[str, str], tensors: Mapping[str, Any]) -> _Made:
    """The weight, out of its parts."""
    form = _form(parts)
    arrays = {part: tensors[parts[part]] for part in parts}
    if form == "dropout":
        return _Made(arrays["raw"], _note_of_dropout(weight, parts["raw"], tensors))
    if form == "pruning":
        orig, mask = _numbers(arrays, "orig", "mask")
        note = f"{parts['orig']} times its mask of pruning"
        return _Made(orig * mask.astype(orig.dtype), note)
    if form == "weight norm":
        g, v = _numbers(arrays, "g", "v")
        if _is_norm_of(g, v):
            return _Made(_normed(g, v), f"{parts['v']} under the norm {parts['g']}")
        form = _UNKNOWN
    shape = next(arrays[part] for part in ("original", "orig", "v") if part in arrays)
    return _Made(shape, refused=form)


def _note_of_dropout(weight: str, raw: str, tensors: Mapping[str, Any]) -> str:
    copy = f"; {weight}, a copy under dropout, is left out" if weight in tensors else ""
    return f"{raw}, the weight before dropout{copy}"


def _numbers(arrays: Mapping[str, Any], *parts: str) -> tuple[np.ndarray, ...]:
    return tuple(numpy_of(part, arrays[part], "plain") for part in parts)


def _is_norm_of(g: np.ndarray, v: np.ndarray) -> bool:
    """Whether `g` has the shape of a norm: of all of `v`, or along one of its axes."""
    if g.ndim == 0:
        return True
    kept = [n for n in g.shape if n != 1]
    fits = g.ndim == v.ndim and all(
        n in (1, m) for n, m in zip(g.shape, v.shape, strict=True)
    )
    return fits and len(kept) <= 1


def _normed(g: np.ndarray, v: np.ndarray) -> np.ndarray:
    r"""Torch's weight norm, $w = g \, v / \lVert v \rVert$, rounded once."""
    wide = v.astype(np.float64)
    axes = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
    norm = np.sqrt(np.sum(wide * wide, axis=axes, keepdims=g.ndim > 0))
    with np.errstate(divide="ignore", invalid="ignore"):  # torch gives NaN, too
        return (wide * (g.astype(np.float64) / norm)).astype(v.dtype)


def refusal(refused: Mapping[str, str]) -> str:
    """The sentence for weights that cannot be made of what is stored, and the cure.

    Args:
        refused: The short names of the weights, and what each is stored under.
    """
    name, under = next(iter(refused.items()))
    remove = "parametrize.remove_parametrizations"
    if under == _OLD_SPECTRAL:
        remove = "remove_spectral_norm"
    is_stored = "is stored" if len(refused) == 1 else "are stored"
    each = "" if len(refused) == 1 else " for each of them"
    return (
        f"{listed(refused)} {is_stored} under {under}, whose function is not among the "
        f"weights. Call torch.nn.utils.{remove}(module, {name!r}){each}, and save it "
        "again."
    )
