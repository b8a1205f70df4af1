"""An `.onnx` file among the files that the commands read and write."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lstm_jax.terminal import printable
from parity.convert.onnx.constants import made_of
from parity.convert.onnx.nodes import Node, nodes_in
from parity.convert.onnx.stacks import Stack, stacks_of
from parity.convert.onnx.target import to_onnx
from parity.convert.onnx.written import as_written
from parity.files.read import Contents
from parity.files.strict_json import parse_json
from parity.files.tensor import Done, Tensor
from parity.frameworks.portable import Portable
from parity.names.keys import key_of
from parity.names.prefixes import listed

# The inputs of a node that have torch's names in their place.
_TAKEN = ("W", "R", "B")


def with_lstms(contents: Contents) -> Contents:
    """The tensors of a model, its LSTMs under torch's names.

    What `to_onnx` wrote has the names of its module. In another model the weights of an
    LSTM are below the name of its first node, and all other tensors are as they are.
    """
    nodes, refused = nodes_in(contents.structure)
    stacks = stacks_of(nodes)
    notes = (*contents.notes, *refused.values(), *_differences(stacks))
    if len(stacks) == 1 and not refused:
        metadata = contents.metadata
        written = as_written(contents.structure, stacks[0], metadata)
        if written is not None:
            return replace(contents, tensors=_sorted(written), notes=notes)
    taken = set[str]().union(
        *(made_of(node.scope, node.input(n)) for node in nodes for n in _TAKEN)
    )
    tensors = {n: a for n, a in contents.tensors.items() if n not in taken}
    for stack in stacks:
        tensors |= {f"{stack.name}.{n}": a for n, a in stack.params.items()}
    others = {n: t for n, t in contents.metadata.items() if n != "config"}
    return replace(contents, tensors=tensors, notes=notes, metadata=others)


def _sorted(written: Portable) -> dict[str, np.ndarray]:
    return {name: written.params[name] for name in sorted(written.params)}


def _differences(stacks: Sequence[Stack]) -> list[str]:
    """What the LSTMs do and modules of their weights do not."""
    return [
        f"the LSTM node {printable(stack.name)!r} {sentence}"
        for stack in stacks
        for sentence in stack.differs.values()
    ]


def stack_at(contents: Contents, prefix: str) -> tuple[Node, ...]:
    """The nodes of the LSTM at a prefix; none where it is not made of nodes."""
    stacks = stacks_of(nodes_in(contents.structure)[0])
    found = [s.nodes for s in stacks if f"{s.name}." == prefix]
    if not found and len(stacks) == 1 and prefix in ("", "lstm."):
        return stacks[0].nodes
    return found[0] if found else ()


def write_onnx(
    tensors: Sequence[Tensor],
    path: Path,
    done: Done,
    metadata: Mapping[str, str] | None = None,
    *,
    streaming: bool = False,
) -> None:
    """One LSTM as a model: the function it is, of the options in `metadata`.

    Raises:
        ValueError: If the tensors are not those of one LSTM, cell or model.
        NotImplementedError: If ONNX has no such LSTM.
    """
    params = {tensor.name: tensor.value() for tensor in tensors}
    prefixes = {key.prefix for name in params if (key := key_of(name))}
    if len(prefixes) > 1 or prefixes - {"", "lstm."}:
        raise ValueError(
            "convert: ONNX must be written of one LSTM, under its short names: SRC has "
            f"LSTMs at {listed(prefixes)}. Use --prefix with one of these."
        )
    source: Portable = Portable(kind="mapping", params=params)
    config = (metadata or {}).get("config")
    if config is not None:
        held = parse_json(config.encode(), "config")
        known = {"batch_first", "dropout", "outputs", "activation"}
        options = {n: v for n, v in held["options"].items() if n in known}
        source = Portable(kind=held["class"], params=params, options=options)
    model = to_onnx(source, streaming=streaming)
    _ = path.write_bytes(model.SerializeToString())
    for _tensor in tensors:
        done()
