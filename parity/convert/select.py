"""Which tensors of a file are converted, under which names and in which type."""

from parity.arrays import TORCH, is_floating
from parity.convert.find import Found, nothing_found, survey
from parity.files.read import Contents
from parity.files.tensor import Tensor
from parity.show import printable


def select_tensors(
    contents: Contents,
    source: str,
    *,
    prefix: str | None = None,
    keep_rest: bool = False,
    dtype: str | None = None,
) -> list[Tensor]:
    """The tensors to write.

    Args:
        contents: What is in the file.
        source: Its name, for errors.
        prefix: Take only the LSTM there, under the short names of its own state dict.
        keep_rest: Take all tensors, under their full names.
        dtype: Type to cast the LSTMs to; the rest is never cast.

    Raises:
        ValueError: If there is no LSTM, one is not whole, or a tensor is not read.
    """
    found = _lstms_at(contents, source, prefix)
    parameters = {f"{one.prefix}{name}" for one in found for name in one.params}
    names = {name: name for name in contents.tensors if name in parameters}
    if keep_rest:
        _check_all_read(contents)
        names = {name: name for name in contents.tensors}
    elif prefix is not None:
        names = {name: name.removeprefix(found[0].prefix) for name in names}
    tensors = []
    for name, short in names.items():
        array = contents.tensors[name]
        cast = name in parameters and is_floating(array.dtype)
        target = TORCH[dtype] if dtype is not None and cast else array.dtype
        tensors.append(Tensor(short, array, target))
    return tensors


def _lstms_at(contents: Contents, source: str, prefix: str | None) -> list[Found]:
    found, broken = survey(contents.tensors, prefix)
    if broken:
        raise ValueError(f"convert: {printable(broken[0].sentence(), 1000)}")
    if not found:
        raise ValueError(nothing_found("convert", source, contents.tensors, prefix))
    if prefix is not None and len({one.prefix for one in found}) > 1:
        places = ", ".join(printable(repr(one.prefix), 60) for one in found)
        raise ValueError(
            f"convert: --prefix {prefix} must be of one LSTM: there are {places}. "
            "Give one of these."
        )
    return found


def _check_all_read(contents: Contents) -> None:
    if contents.unreadable:
        name, reason = next(iter(contents.unreadable.items()))
        raise ValueError(
            f"convert: --keep-rest must carry all tensors: {printable(name)} is "
            f"{printable(reason)}, which is not read. Leave --keep-rest out."
        )
