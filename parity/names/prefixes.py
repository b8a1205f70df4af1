"""The one rule of prefixes: which part of a larger model a prefix means."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lstm_jax.terminal import printable

# What DataParallel, torch.compile, FSDP and activation checkpointing put into names.
WRAPPERS = {
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
}
# Below one of these names are moments and copies for an optimizer, not weights.
_OPTIMIZERS = re.compile(r"(optim|optimizers?|opt)(_states?)?(_dict)?|exp_avg(_sq)?")


def check_prefix(where: str, prefix: Any) -> None:
    """Refuse a prefix that is no text.

    Raises:
        TypeError: With the text that it may stand for.
    """
    if not isinstance(prefix, str):
        cure = "Leave it out." if prefix is None else f"Use {str(prefix)!r}."
        raise TypeError(
            f"{where}: prefix must be a text, not {type(prefix).__name__}: it is the "
            f"start of names. {cure}"
        )


def matching(prefix: str, prefixes: Iterable[str]) -> list[str]:
    """Those that a prefix means, in their order: one, none, or several to choose from.

    The first rule counts that any of them keeps to: it is the prefix, with or without
    its last dot; it is, apart from wrappers; it ends so, apart from wrappers. What an
    optimizer keeps is meant only by a prefix that names the optimizer.

    Example:
        >>> matching("encoder", ["state_dict.module.encoder.", "decoder."])
        ['state_dict.module.encoder.']
    """
    there = list(dict.fromkeys(prefixes))
    if not is_of_optimizer(prefix):
        there = [one for one in there if not is_of_optimizer(one)]
    wanted = [prefix, f"{prefix}."] if not prefix.endswith(".") else [prefix]
    wanted = wanted if prefix else [""]
    exact = [one for one in there if one in wanted]
    bare = [one for one in there if any(_bare(one) == _bare(w) for w in wanted)]
    ending = [one for one in there if any(_ends(one, w) for w in wanted if w)]
    named = any(_bare(prefix)) or not prefix
    return exact or (bare or ending if named else ending or bare)


def without_wrappers(prefix: str) -> str:
    """The prefix without the names that wrappers add.

    Example:
        >>> without_wrappers("module.encoder._orig_mod.")
        'encoder.'
    """
    return ".".join(_bare(prefix))


def is_of_optimizer(name: str) -> bool:
    """Whether a name, or a prefix, is of what an optimizer keeps."""
    return any(map(_OPTIMIZERS.fullmatch, name.split(".")))


def prefixes_of(names: Iterable[str]) -> list[str]:
    """Every prefix of these names that ends with a dot, and the empty one.

    Example:
        >>> prefixes_of(["a.b.weight", "a.bias"])
        ['', 'a.', 'a.b.']
    """
    found = dict.fromkeys([""])
    for name in names:
        parts = name.split(".")[:-1]
        found |= dict.fromkeys(
            f"{'.'.join(parts[: k + 1])}." for k in range(len(parts))
        )
    return list(found)


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names in quotes, not too many and not too long, and how many more there are.

    Example:
        >>> listed(["c", "a", "b"], most=2)
        "'a', 'b' and 1 more"
    """
    names = sorted(names)
    shown = ", ".join(repr(printable(name, 60)) for name in names[:most])
    more = len(names) - most
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")


def _bare(prefix: str) -> list[str]:
    return [part for part in prefix.split(".") if part not in WRAPPERS]


def _ends(prefix: str, end: str) -> bool:
    parts, last = _bare(prefix), _bare(end)
    if not any(last):  # only names of wrappers: then they count
        parts, last = prefix.split("."), end.split(".")
    return len(parts) > len(last) and parts[-len(last) :] == last


def unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors without the names of wrappers that all of them start with.

    Example:
        >>> unwrapped({"module.weight_ih": 1, "module.weight_hh": 2})
        {'weight_ih': 1, 'weight_hh': 2}
    """
    start, *more = {name.partition(".")[:2] for name in tensors} or [("", "")]
    if more or start[0] not in WRAPPERS or not start[1]:
        return dict(tensors)
    return unwrapped({name.partition(".")[2]: a for name, a in tensors.items()})
