"""`from_onnx`: the LSTMs of a model of ONNX, as modules of `lstm_jax`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from lstm_jax.terminal import printable
from parity.convert.onnx.nodes import nodes_in
from parity.convert.onnx.stacks import Stack, stacks_of
from parity.convert.onnx.written import as_written
from parity.files.bounds import DamagedError
from parity.files.kinds.onnx import config_of, need_onnx
from parity.files.onnx.beside import nothing_beside
from parity.files.onnx.scopes import Scope, scopes_of
from parity.files.read import read
from parity.frameworks.portable import Portable
from parity.names.prefixes import listed

_WHERE = "from_onnx"


def from_onnx(
    source: Any, *, node: str | None = None, allow: str | Iterable[str] = ()
) -> Any:
    """The LSTM of a model of ONNX, its weights bit for bit.

    Nodes that feed one the next, as the exporters of torch and `to_onnx` write them,
    are the layers of one LSTM. The `onnx` package parses the file; tensors beside it
    are read only from within its folder.

    Args:
        source: The path of an `.onnx` file, or an `onnx.ModelProto`.
        node: The name of an LSTM node, where there are several; for an LSTM of several
            layers, that of any of them.
        allow: What the node does and a module does only if its caller does it:
            `"reverse"` for inputs read from the last step to the first,
            `"initial state"` for a state kept in the file, `"lengths"` for lengths
            kept there.

    Returns:
        `lstm_jax.LSTM`, with `batch_first=True` where the graph turns its inputs. What
        `to_onnx` wrote comes back as it was, `LSTMCell` or `LSTMModel`, too.

    Raises:
        TypeError: If the source is neither.
        ValueError: If it is no model, has no LSTM or several, or JAX would round a
            value.
        NotImplementedError: If the node is another function, or `allow` must name what
            it does.
        ModuleNotFoundError: If `onnx` is not installed.

    Example:
        >>> module = lstm_jax.LSTM(3, 4, batch_first=True, rngs=nnx.Rngs(0))
        >>> from_onnx(to_onnx(module)).batch_first
        True
    """
    scopes, metadata = opened(_WHERE, source)
    stack = _chosen(scopes, node)
    _refuse_difference(stack, {allow} if isinstance(allow, str) else set(allow))
    options = {"batch_first": stack.batch_first}
    found = as_written(scopes, stack, metadata)
    found = found or Portable(kind="LSTM", params=stack.params, options=options)
    return found.given(_WHERE)


def opened(where: str, source: Any) -> tuple[Sequence[Scope], Mapping[str, str]]:
    """The graphs of a file or a model, and the texts beside them."""
    if isinstance(source, str | os.PathLike):
        contents = read(Path(source))
        if contents.format.name != "onnx":
            raise ValueError(
                f"{where}: {source} must be a model of ONNX: it is "
                f"{contents.format.words}. Use parity.read_tensors(path)."
            )
        return contents.structure, contents.metadata
    need_onnx(where, "it parses the model")
    if not isinstance(source, import_module("onnx").ModelProto):
        raise TypeError(
            f"{where}: source must be a path or an onnx.ModelProto, not "
            f"{type(source).__name__}: LSTM nodes are read from it. Use "
            "onnx.load(path, load_external_data=False)."
        )
    try:
        return scopes_of(source, nothing_beside), config_of(source)
    except DamagedError as error:
        why = f"{where}: source cannot be read as ONNX: {error.reason}."
        raise ValueError(f"{why} {error.cure}") from None


def _chosen(scopes: Sequence[Scope], node: str | None) -> Stack:
    """The LSTM that is meant."""
    nodes, refused = nodes_in(scopes)
    stacks = stacks_of(nodes)
    meant = [s for s in stacks if node in (None, *(n.name for n in s.nodes))]
    reasons = [text for name, text in refused.items() if node in (None, name)]
    if len(meant) == 1:
        return meant[0]
    if len(meant) > 1:
        raise ValueError(
            f"{_WHERE}: {node=} must name one LSTM: there are "
            f"{listed(s.name for s in stacks)}. Use one of these."
        )
    if reasons:
        raise NotImplementedError(
            f"{_WHERE}: {reasons[0]}. It is another function, or not whole: convert an "
            "LSTM as torch's."
        )
    if node is not None and stacks:
        raise ValueError(
            f"{_WHERE}: {node=} must be an LSTM node: there are "
            f"{listed(s.name for s in stacks)}. Use one of these."
        )
    raise ValueError(f"{_WHERE}: source must have an LSTM node: {_instead(scopes)}")


def _instead(scopes: Sequence[Scope]) -> str:
    """What there is in the place of an LSTM node, and the cure."""
    kinds = {node.op_type for scope in scopes for node in scope.graph.node}
    other = sorted(kinds & {"GRU", "RNN", "DynamicQuantizeLSTM"})
    shown = ", ".join(printable(kind, 30) for kind in (other or sorted(kinds))[:6])
    return (
        f"its nodes are {shown or 'none'}. Export it with LSTM nodes, as "
        "torch.onnx.export(..., dynamo=False) and parity.to_onnx write them."
    )


def _refuse_difference(stack: Stack, allowed: set[str]) -> None:
    """Refuse what a module does not do by itself, unless it is allowed."""
    unknown = sorted(allowed - stack.differs.keys())
    if unknown:
        known = ", ".join(map(repr, sorted(stack.differs))) or "none"
        raise ValueError(
            f"{_WHERE}: allow must name what differs in this model, not "
            f"{unknown[0]!r}: there is {known}. Leave it out."
        )
    for name, sentence in stack.differs.items():
        if name not in allowed:
            raise NotImplementedError(
                f"{_WHERE}: the LSTM node {printable(stack.name)!r} {sentence}. Use "
                f"allow={name!r}, and do so."
            )
