"""Trees of dictionaries, lists and inert objects, and flat mappings of dotted names."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.files.bounds import (
    MOST_DEPTH,
    MOST_NAME_CHARACTERS,
    MOST_NAMES,
    SHARED,
    SHARED_MORE,
    DamagedError,
)
from parity.files.pickle.inert import (
    Inert,
    InertClass,
    Known,
    PickledArray,
    StorageType,
)
from parity.files.source import Leaf, Leaves, Unreadable

_CONTAINERS = (dict, list, tuple)
_PLAIN = (str, int, float, bytes, type(None))
_OF_FLAX = ("_raw_value", "raw_value", "value", "_mapping")
_IN_MODULES = ("_parameters", "_buffers", "_modules")


def flatten(root: Any, held: int) -> Leaves:
    """Every tensor in a tree, by its dotted name; a lone tensor is named `tensor`.

    A module that was pickled whole has the names of its state dict: `_parameters`,
    `_buffers` and `_modules` are left out of them.

    Args:
        root: The tree.
        held: The bytes that the tree was read from.

    Raises:
        DamagedError: If two tensors have the same name, the tree is too deep or too
            large, or its tensors share so many bytes that copies would fill the memory.
    """
    found: Leaves = {}
    for place, leaf in _walk(root):
        name = place or "tensor"
        if name in found:
            raise DamagedError(
                f"two tensors have the name {printable(name)!r}",
                "Save it again, with names that differ.",
            )
        found[name] = leaf
    _check_shared(found, held)
    return found


def nest(names: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    """A nested dictionary, by the dots in the names.

    Raises:
        ValueError: If a tensor has the name that other names start with, or a name
            starts with a dot.

    Example:
        >>> nest(["lstm.weight", "bias"], [1, 2])
        {'lstm': {'weight': 1}, 'bias': 2}
    """
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *places, last = name.split(".")
        if name.startswith("."):
            raise ValueError(
                f"convert: {printable(name)!r} must not start with a dot: a tree has "
                "no name before it. Use --to safetensors."
            )
        branch = tree
        for place in places:
            branch = branch.setdefault(place, {})
            if not isinstance(branch, dict):
                raise _both(name)
        if last in branch:
            raise _both(name)
        branch[last] = value
    return tree


def _both(name: str) -> ValueError:
    return ValueError(
        f"convert: {printable(name)!r} must not be both a tensor and the start of "
        "other names: a tree holds only one of them there. Use --to safetensors."
    )


def _check_shared(leaves: Leaves, held: int) -> None:
    """Refuse tensors that are much more than the file, since they share its bytes."""
    size = sum(leaf.nbytes for leaf in leaves.values() if isinstance(leaf, np.ndarray))
    if size > SHARED * held + SHARED_MORE:
        raise DamagedError(
            f"its tensors share bytes, and are {size} bytes out of a file of {held}",
            "Save a .clone() of each tensor.",
        )


def _walk(root: Any) -> Iterator[tuple[str, Leaf]]:
    """Names and leaves, in the order of the file; a value is not walked in itself."""
    path: list[tuple[int, Iterator[tuple[str, Any]]]] = [(0, iter([("", root)]))]
    budget = _Budget()
    while path:
        name, value = next(path[-1][1], (None, None))
        if name is None:
            _ = path.pop()
            continue
        budget.spend(name, value, len(path) - 1)
        leaf = _inside(value)
        if isinstance(leaf, (np.ndarray, Unreadable)):
            yield name, leaf
        elif _is_branch(leaf) and id(leaf) not in (held for held, _ in path):
            path.append((id(leaf), _children(name, leaf)))


def _inside(value: Any) -> Any:
    """What a variable, a state or a frozen dictionary of Flax holds; others as is."""
    if isinstance(value, Inert) and value.name.startswith("flax."):
        state = value.state if isinstance(value.state, dict) else {}
        named = [state[name] for name in _OF_FLAX if name in state]
        value = (named or [*value.arguments[:1]] or [value])[0]
    return value.array if isinstance(value, PickledArray) else value


def _is_branch(value: Any) -> bool:
    return isinstance(value, Inert) or (isinstance(value, _CONTAINERS) and bool(value))


class _Budget:
    """How many places a tree may still have, and letters of names or elements."""

    def __init__(self) -> None:
        self.places, self.letters = MOST_NAMES, MOST_NAME_CHARACTERS

    def spend(self, name: str, value: Any, depth: int) -> None:
        """Refuse a tree without end, which one can make by repeating parts."""
        self.places -= 1
        self.letters -= len(name)
        if isinstance(value, _CONTAINERS):
            self.letters -= len(value)
        if depth > MOST_DEPTH:
            raise DamagedError(f"it is nested more than {MOST_DEPTH} deep")
        if self.places < 0 or self.letters < 0:
            raise DamagedError(
                f"it has more than {MOST_NAMES} entries, or endless names",
                "Save only the weights.",
            )


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of what may be a tensor, or hold one."""
    start = f"{name}." if name else ""
    if isinstance(value, Inert):
        pairs = _attributes(value)
    else:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return (
        (f"{start}{key if type(key) is str else _key_text(key)}", child)
        for key, child in pairs
        if not isinstance(child, _PLAIN)
    )


def _key_text(key: Any) -> str:
    if isinstance(key, (Inert, InertClass, Known, StorageType)):
        return key.name
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _attributes(value: Inert) -> Iterator[tuple[str, Any]]:
    """What an inert object holds; of a module, only its tensors and modules."""
    state = value.state
    if isinstance(state, dict) and "_parameters" in state:
        held = [state.get(part) for part in _IN_MODULES]
        for part in held:
            yield from part.items() if isinstance(part, dict) else ()
        return
    named = state if isinstance(state, dict) else {}
    yield from ((_key_text(key), child) for key, child in named.items())
    yield from ((_key_text(key), child) for key, child in value.entries.items())
    rest = [] if isinstance(state, dict) else [state]
    yield from _numbered([*value.items, *value.arguments, *rest])


def _numbered(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Values without names, under their places."""
    return ((str(place), value) for place, value in enumerate(values))
