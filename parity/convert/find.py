"""LSTMs among the tensors of a larger model, found by torch's names."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_jax.terminal import printable
from parity.convert.found import Broken, Found, Layer, Other, layers_in
from parity.convert.meaning import read_lstms
from parity.files.read import Contents
from parity.frameworks.sources import tensors_of
from parity.names.keys import flat
from parity.names.prefixes import check_prefix, is_of_optimizer, listed, matching
from parity.names.stored import Plain, plain


def find_lstms(source: Any, prefix: str | None = None) -> list[Found]:
    """Every LSTM and LSTMCell in a file, a module or a mapping, sorted by prefix.

    A GRU and a plain RNN are passed over: they have the same names, but three gates or
    one. What an optimizer keeps for an LSTM is passed over too, unless the prefix names
    the optimizer. A weight that is stored under dropout, weight norm or pruning is made
    of its parts, and `notes` says so.

    Args:
        source: Names to arrays of any framework, a torch module, or the path of a file.
        prefix: Look only at this prefix; None means everywhere. Its last dot, what
            comes before it, and the names that wrappers add may be left out.

    Returns:
        The LSTMs.

    Raises:
        TypeError: If the source is none of these, or the prefix is no text.
        ValueError: If one is not whole, or its shapes do not fit together.

    Example:
        >>> params = lstm_jax.init_params(jax.random.key(0), 3, 4)
        >>> tensors = {f"encoder.{name}": array for name, array in params.items()}
        >>> [(found.prefix, found.kind) for found in find_lstms(tensors)]
        [('encoder.', 'LSTM')]
    """
    if prefix is not None:
        check_prefix("find_lstms", prefix)
    found, broken = survey(_tensors_in(source), prefix)
    if broken:
        raise ValueError(broken[0].sentence())
    return [_copied(one) for one in found] if _is_path(source) else found


def survey(
    tensors: Mapping[str, Any], prefix: str | None = None
) -> tuple[list[Found], list[Broken]]:
    """The LSTMs and LSTMCells that are whole, as in `find_lstms`, and the others."""
    one = search(tensors, prefix)
    return one.found, one.broken


@dataclass(frozen=True)
class Search:
    """What was found among tensors at a prefix, and what was not looked for.

    `elsewhere` and `of_optimizers` are prefixes of LSTMs that were passed over: they
    are not where the prefix is, or below an optimizer. `plain` has all tensors, in
    which each weight is one array.
    """

    plain: Plain
    found: list[Found]
    broken: list[Broken]
    others: list[Other]
    elsewhere: list[str]
    of_optimizers: list[str]


def search(tensors: Mapping[str, Any], prefix: str | None = None) -> Search:
    """Look for LSTMs everywhere, or at one prefix."""
    whole = plain(tensors)
    ones = layers_in(whole)
    places = [one.prefix for one in ones]
    models = [place for place in places if not is_of_optimizer(place)]
    meant = models if prefix is None else matching(prefix, places)
    there = [one for one in ones if one.prefix in meant]
    return Search(
        whole,
        found=[one for one in there if isinstance(one, Found)],
        broken=[one for one in there if isinstance(one, Broken)],
        others=[one for one in there if isinstance(one, Other)],
        elsewhere=_lstms_at(ones, set(models) - set(meant)),
        of_optimizers=_lstms_at(ones, set(places) - set(models) - set(meant)),
    )


def nothing_found(
    where: str, source: Any, contents: Contents, prefix: str | None
) -> str:
    """The sentence for a file without an LSTM, or without one at a prefix."""
    tensors = contents.tensors
    at = "" if prefix is None else f" at prefix {printable(repr(prefix), 60)}"
    one = search(tensors, prefix)
    reason = why_nothing(one) or "; ".join(contents.notes[:3])
    if not reason:
        reason = "weights named as in torch, weight_ih_l0 or weight_ih. It holds "
        reason += names_in(tensors)
    cure = "Give another file or prefix."
    if one.elsewhere or one.of_optimizers:
        cure = "Give one of these prefixes."
    return f"{where}: {source} must hold an LSTM{at}: {reason}. {cure}"


def why_nothing(one: Search) -> str:
    """Why there is no LSTM: what is there in its place; empty if nothing is."""
    reasons = [other.sentence() for other in one.others[:3]]
    more = len(one.others) - len(reasons)
    reasons += [f"{more} more are no LSTMs either"] if more > 0 else []
    if one.elsewhere:
        reasons.append(f"its LSTMs are at {listed(one.elsewhere)}")
    if one.of_optimizers:
        reasons.append(passed_over(one))
    return "; ".join(reasons)


def passed_over(one: Search) -> str:
    """What is said of LSTMs below an optimizer."""
    return f"passed over as an optimizer's: {listed(one.of_optimizers)}"


def names_in(tensors: Mapping[str, Any], most: int = 6) -> str:
    """The first names of tensors, for a sentence."""
    names = sorted(tensors)
    shown = ", ".join(printable(name, 60) for name in names[:most])
    more = len(names) - most
    return (shown or "nothing") + (f" and {more} more" if more > 0 else "")


def _lstms_at(ones: Iterable[Layer], places: set[str]) -> list[str]:
    """The places that are of an LSTM."""
    return [
        one.prefix for one in ones if isinstance(one, Found) and one.prefix in places
    ]


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)


def _copied(one: Found) -> Found:
    """The same, but for a file, which it needs no more."""
    return replace(one, params={n: np.array(a) for n, a in one.params.items()})


def _tensors_in(source: Any) -> Mapping[str, Any]:
    """The tensors of what `find_lstms` is given."""
    if _is_path(source):
        contents = read_lstms(source)
        contents.check_read("find_lstms", source)
        return contents.tensors
    tensors = (
        flat(source)
        if isinstance(source, Mapping)
        else tensors_of("find_lstms", source)
    )
    return {name: array for name, array in tensors.items() if hasattr(array, "shape")}
