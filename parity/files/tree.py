"""Nested dictionaries, lists and inert objects as a flat mapping of dotted names."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.files.bounds import (
    MOST_DEPTH,
    MOST_NAME_CHARACTERS,
    MOST_NAMES,
    DamagedError,
)
from parity.files.pickle.inert import (
    Inert,
    InertClass,
    Known,
    PickledArray,
    StorageType,
    Unreadable,
)
from parity.show import printable

Leaf = np.ndarray | Unreadable
_IN_MODULES = ("_parameters", "_buffers", "_modules")


def flatten(root: Any) -> dict[str, Leaf]:
    """Every tensor in a tree, by its dotted name; a lone tensor is named `tensor`.

    A module pickled whole has torch's own names: `_parameters`, `_buffers` and
    `_modules` are left out of them.

    Raises:
        DamagedError: If two have the same name, or the tree is too deep or too large.
    """
    found: dict[str, Leaf] = {}
    for place, leaf in _walk(root):
        name = place or "tensor"
        if name in found:
            raise DamagedError(
                f"two tensors have the name {printable(name)!r}",
                "Save it again, with names that differ.",
            )
        found[name] = leaf
    return found


def _walk(root: Any) -> Iterator[tuple[str, Leaf]]:
    """Names and leaves, in the order of the file; what contains itself is cut."""
    path: list[tuple[int, Iterator[tuple[str, Any]]]] = []
    todo: Iterator[tuple[str, Any]] = iter([("", root)])
    budget = _Budget()
    while True:
        name, value = next(todo, (None, None))
        if name is None:
            if not path:
                return
            _, todo = path.pop()
            continue
        budget.spend(name, value, len(path))
        leaf = value.array if isinstance(value, PickledArray) else value
        if isinstance(leaf, (np.ndarray, Unreadable)):
            yield name, leaf
        elif _is_branch(leaf) and id(leaf) not in (held for held, _ in path):
            path.append((id(leaf), todo))
            todo = _children(name, leaf)


class _Budget:
    """What a tree may take: places, and letters of names or elements looked at."""

    def __init__(self) -> None:
        self.places, self.letters = MOST_NAMES, MOST_NAME_CHARACTERS

    def spend(self, name: str, value: Any, depth: int) -> None:
        """Refuse a tree that goes on and on, as one may by repeating parts."""
        self.places -= 1
        self.letters -= len(name)
        if isinstance(value, (dict, list, tuple)):
            self.letters -= len(value)
        if depth > MOST_DEPTH:
            raise DamagedError(f"it is nested more than {MOST_DEPTH} deep")
        if self.places < 0 or self.letters < 0:
            raise DamagedError(
                f"it has more than {MOST_NAMES} entries, or endless names",
                "Save the weights alone.",
            )


def _is_branch(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple, Inert)) and bool(
        not isinstance(value, (list, tuple)) or _holds_more(value)
    )


def _holds_more(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list may hold a tensor: one of plain numbers or texts does not."""
    return any(not isinstance(v, (str, int, float, bytes, type(None))) for v in values)


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    start = f"{name}." if name else ""
    if isinstance(value, Inert):
        return ((f"{start}{key}", child) for key, child in _attributes(value))
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    kept = ((k, v) for k, v in pairs if not isinstance(v, (str, int, float, bytes)))
    return ((f"{start}{_key(key)}", child) for key, child in kept)


def _key(key: Any) -> str:
    if isinstance(key, (Inert, InertClass, Known, StorageType)):
        return key.name
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _attributes(value: Inert) -> Iterator[tuple[str, Any]]:
    """What an inert object holds: a module's tensors and modules, or all there is."""
    state = value.state
    if isinstance(state, dict) and "_parameters" in state:
        held = [state.get(part) for part in _IN_MODULES]
        for part in held:
            yield from part.items() if isinstance(part, dict) else ()
        return
    named = state if isinstance(state, dict) else {}
    yield from ((_key(key), child) for key, child in named.items())
    yield from ((_key(key), child) for key, child in value.entries.items())
    rest = [] if isinstance(state, dict) else [state]
    yield from _numbered([*value.items, *value.arguments, *rest])


def _numbered(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Values that have no names, under their places."""
    return ((str(place), value) for place, value in enumerate(values))
