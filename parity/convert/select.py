"""Which tensors of a file are converted, under which names and in which type."""

from collections.abc import Iterable
from dataclasses import dataclass

from lstm_jax.terminal import printable
from parity.arrays import TORCH, is_floating
from parity.convert.find import Search, nothing_found, search
from parity.convert.found import Found
from parity.files.read import Contents
from parity.files.tensor import Tensor
from parity.names.prefixes import is_of_optimizer, listed, matching, prefixes_of
from parity.names.stored import refusal


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of a file is converted.

    Attributes:
        prefix: Take only the LSTM there, under the short names of its own state dict;
            with `keep_rest`, cast only it.
        keep_rest: Take all tensors, under their full names.
        no_optimizer: Of these, leave out what an optimizer keeps.
        strip: Take only what is below this prefix, and leave it out of the names.
        dtype: Type to cast the LSTMs to; the rest is never cast.
        one_lstm: The target holds one LSTM: a lone one needs no prefix.
    """

    prefix: str | None = None
    keep_rest: bool = False
    no_optimizer: bool = False
    strip: str | None = None
    dtype: str | None = None
    one_lstm: bool = False


@dataclass(frozen=True)
class Selected:
    """The tensors to write, and the LSTMs among them."""

    tensors: list[Tensor]
    lstms: list[Found]
    renamed: bool


def select(contents: Contents, source: str, selection: Selection) -> Selected:
    """The tensors to write.

    Args:
        contents: What is in the file.
        source: Its name, for errors.
        selection: What of it.

    Raises:
        ValueError: If there is no LSTM, one is not whole, a tensor is not read, or a
            prefix is nowhere.
    """
    _check_together(selection)
    one = _searched(contents, source, selection)
    parameters = {f"{lstm.prefix}{n}" for lstm in one.found for n in lstm.params}
    if selection.dtype is not None:
        _check_castable(one, parameters, selection.dtype)
    names = _names(one, contents, selection, parameters)
    tensors = []
    for name, short in names.items():
        array = one.plain.tensors[name]
        wanted = selection.dtype if name in parameters else None
        tensors.append(Tensor(short, array, TORCH[wanted] if wanted else array.dtype))
    there = contents.tensors.keys()
    renamed = names != {name: name for name in there}
    return Selected(tensors, one.found, renamed)


def _check_together(selection: Selection) -> None:
    """Refuse options that do nothing, or contradict each other."""
    if selection.no_optimizer and not selection.keep_rest:
        raise ValueError(
            "convert: --no-optimizer must come with --keep-rest: without it, only "
            "LSTMs are written. Leave it out."
        )
    if selection.keep_rest and selection.prefix is not None and not selection.dtype:
        raise ValueError(
            "convert: --prefix must not come with --keep-rest, but to say what --dtype "
            "casts: all tensors are written, under full names. Leave one of them out, "
            "or use --strip."
        )
    if selection.strip is not None and selection.prefix is not None:
        raise ValueError(
            "convert: --strip must not come with --prefix: the LSTM there has short "
            "names already. Leave one of them out."
        )


def _check_castable(one: Search, parameters: Iterable[str], dtype: str) -> None:
    """Refuse to cast what are no real numbers, or numbers on a scale of their own."""
    for name in sorted(parameters):
        found = one.plain.tensors[name].dtype
        if not is_floating(found):
            raise ValueError(
                f"convert: --dtype {dtype} must be asked of weights of a floating "
                f"type: {printable(name)} is {found}. Leave --dtype out to write it as "
                "it is."
            )


def _searched(contents: Contents, source: str, selection: Selection) -> Search:
    prefix = selection.prefix
    one = search(contents.tensors, prefix)
    if one.broken:
        raise ValueError(f"convert: {printable(one.broken[0].sentence(), 1000)}")
    if not one.found:
        raise ValueError(nothing_found("convert", source, contents, prefix))
    places = {lstm.prefix for lstm in one.found}
    if prefix is not None and len(places) > 1:
        raise ValueError(
            f"convert: --prefix {prefix} must be of one LSTM: there are "
            f"{listed(places)}. Give one of these."
        )
    if selection.keep_rest and one.plain.refused:
        raise ValueError(f"convert: {refusal(one.plain.refused)}")
    return one


def _names(
    one: Search, contents: Contents, selection: Selection, parameters: set[str]
) -> dict[str, str]:
    """The names to write under, by the names in the file."""
    names = [n for n in one.plain.tensors if selection.keep_rest or n in parameters]
    if selection.no_optimizer:
        names = [n for n in names if n in parameters or not is_of_optimizer(n)]
    start = "" if selection.strip is None else _start(selection.strip, names)
    if selection.keep_rest:
        _check_all_read(contents, selection, start)
    elif selection.prefix is not None or _is_alone(one, selection):
        start = one.found[0].prefix
    return {n: n.removeprefix(start) for n in names if n.startswith(start)}


def _is_alone(one: Search, selection: Selection) -> bool:
    """Whether a target of one LSTM is given the only one; a model keeps its names."""
    prefixes = {lstm.prefix for lstm in one.found}
    return selection.one_lstm and len(prefixes) == 1 and prefixes != {"lstm."}


def _start(strip: str, names: Iterable[str]) -> str:
    """The one start of names that --strip means."""
    starts = prefixes_of(names)
    found = matching(strip, starts)
    if len(found) != 1:
        raise ValueError(
            f"convert: --strip {strip} must be the start of names, before a dot: there "
            f"are {listed(found or starts[1:])}. Give one of these."
        )
    return found[0]


def _check_all_read(contents: Contents, selection: Selection, start: str) -> None:
    for name, reason in contents.unreadable.items():
        left_out = selection.no_optimizer and is_of_optimizer(name)
        if name.startswith(start) and not left_out:
            raise ValueError(
                f"convert: --keep-rest must carry all tensors: {printable(name)} is "
                f"{printable(reason)}, which is not read. Leave --keep-rest out."
            )
