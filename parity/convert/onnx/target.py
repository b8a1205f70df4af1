"""`to_onnx`: an LSTM as a model of ONNX, with a native node for each layer."""

import json
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import lstm_jax
from lstm_jax import LSTMSpec
from parity.arrays import numpy_of, same_bits
from parity.convert.onnx.graph.graph import Graph
from parity.convert.onnx.graph.heads import check_options
from parity.convert.onnx.graph.lstm import Form, LSTMWriter
from parity.convert.onnx.nodes import nodes_in
from parity.convert.onnx.stacks import stacks_of
from parity.files.beside import beside
from parity.files.kinds.onnx import need_onnx
from parity.files.onnx.beside import nothing_beside
from parity.files.onnx.scopes import scopes_of
from parity.files.read import read
from parity.frameworks.exchange import lost_of
from parity.frameworks.losses import losses, refuse_losses
from parity.frameworks.portable import Kind, Portable, portable_of
from parity.names.prefixes import listed as names_of

_WHERE = "to_onnx"
_TYPES = ("float32", "float64", "float16")
_MOST_BYTES = 2**31 - 2**20  # protobuf ends at 2 GiB, names and nodes included
_HEAD = {"fc.weight", "fc.bias"}


def to_onnx(
    source: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    lengths: bool = False,
    state: bool = False,
    streaming: bool = False,
    allow: str | Iterable[str] = (),
) -> Any:
    """An LSTM as a model of ONNX: one native `LSTM` node for each layer.

    Inputs are `xs`, then `lengths`, `h` and `c` where they are asked for; outputs are
    `ys`, `h_n` and `c_n`. Their names stay. The sizes of batch and time are free. `xs`
    and `ys` are `(T, B, ...)`, or `(B, T, ...)` of a module with `batch_first`, which
    the graph turns; states are `(L*D, B, H)`. A whole `LSTMModel` gives its prediction
    as `ys`, and states only with `state`.

    The opset is the lowest that holds the graph: 9, or 10 for the last steps by
    lengths; the IR version is the lowest of that opset. A row of length 0 keeps its
    state, in onnxruntime too, which forgets it by itself.

    Args:
        source: `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, or a flat mapping of torch's
            names to arrays. A cell is written as a stack of one layer.
        path: Where to write it; None writes nothing. It is written beside, checked by
            `onnx.checker`, read back bit for bit, and then renamed.
        lengths: Whether there is an input `lengths`, int32 `(B,)`: the steps of each
            row. Outputs past them are 0.
        state: Whether the state before is an input; else it is zero.
        streaming: Whether it is called with one piece of a sequence after the other:
            `state`, and one direction only.
        allow: Names of losses that are wanted all the same: those of `parity.losses`,
            and "dtype", a type of the products that is not the weights' own. Dropout
            acts in training alone: it is kept beside the graph.

    Returns:
        The `onnx.ModelProto`.

    Raises:
        NotImplementedError: If it has a projection, or is to stream and is
            bidirectional or predicts from a mean, or its type has no runtime.
        TypeError: If the source is none of these.
        ValueError: If it is too large for protobuf, or `allow` names no loss.
        ModuleNotFoundError: If `onnx` is not installed.

    Example:
        >>> model = to_onnx(lstm_jax.LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0)))
        >>> [node.op_type for node in model.graph.node]
        ['LSTM', 'Squeeze', 'LSTM', 'Squeeze', 'Concat', 'Concat']
    """
    need_onnx(_WHERE, "it makes the model")
    held = source if isinstance(source, Portable) else portable_of(_WHERE, source)
    portable = _named(held)
    refuse_losses(_WHERE, losses(portable.spec, "onnx") | _lost_of(source), allow)
    _refuse_streaming(portable, streaming)
    form = Form(lengths=lengths, state=state or streaming)
    model = model_of(portable, form)
    if path is not None:
        _write(model, Path(path))
    return model


def _lost_of(source: Any) -> dict[str, str]:
    """What the graph cannot hold of a module's options; its dropout comes back."""
    lost = lost_of(source, "onnx")
    return {name: sentence for name, sentence in lost.items() if name != "dropout"}


def _named(portable: Portable) -> Portable:
    """The same, where a mapping has the kind that its names tell.

    Raises:
        ValueError: If it has names of no LSTM, cell or model.
    """
    if portable.kind != "mapping":
        return portable
    kinds: tuple[Kind, ...] = ("LSTM", "LSTMCell", "LSTMModel")
    names = set(portable.params)
    other = names - {n for n in names if LSTMSpec.parse_key(n)}
    if other:
        cell = all(LSTMSpec.parse_key(f"{n}_l0") for n in names)
        inside = {n for n in names if n.startswith("lstm.")}
        model = inside and names - inside - {"embedding.weight"} == _HEAD
        if not cell and not model:
            raise ValueError(
                f"{_WHERE}: source must have torch's names of one LSTM, LSTMCell or "
                f"LSTMModel: it has {names_of(other)}. Give the LSTM alone."
            )
        kinds = ("LSTMCell",) if cell else ("LSTMModel",)
    return Portable(kind=kinds[0], params=portable.params)


def model_of(portable: Portable, form: Form) -> Any:
    """The model of an LSTM, in memory.

    Raises:
        NotImplementedError: If its type has no runtime, or an option no operator.
        ValueError: If it is too large.
    """
    params = {n: numpy_of(n, a, _WHERE) for n, a in portable.params.items()}
    portable = Portable(kind=portable.kind, params=params, options=portable.options)
    check_options(_WHERE, portable.options)
    dtype = _dtype_of(params)
    graph = Graph()
    LSTMWriter(graph, portable, form, dtype).write()
    config = {
        "format": 1,
        "class": portable.kind,
        "options": dict(portable.options),
        "inputs": [value.name for value in graph.inputs],
    }
    return graph.model(lstm_jax.__version__, {"config": json.dumps(config)})


def _dtype_of(params: Mapping[str, np.ndarray]) -> np.dtype:
    types = sorted({array.dtype.name for array in params.values()})
    if len(types) > 1 or types[0] not in _TYPES:
        raise NotImplementedError(
            f"{_WHERE}: the type of all parameters must be one of {', '.join(_TYPES)}, "
            f"not {', '.join(types)}: no runtime has another LSTM. Cast them first."
        )
    size = sum(array.nbytes for array in params.values())
    if size > _MOST_BYTES:
        raise ValueError(
            f"{_WHERE}: the parameters must have at most {_MOST_BYTES} bytes, not "
            f"{size}: protobuf ends there. Cast them to float16, or convert each layer."
        )
    return np.dtype(types[0])


def _refuse_streaming(portable: Portable, streaming: bool) -> None:
    if streaming and portable.spec.bidirectional:
        raise NotImplementedError(
            f"{_WHERE}: streaming=True must be of one direction: the reverse one "
            "starts at the end of a sequence, which has not come yet. Leave streaming "
            "out, and give whole sequences."
        )
    if streaming and portable.options.get("outputs") == "mean":
        raise NotImplementedError(
            f"{_WHERE}: streaming=True must be of outputs that one piece has: a mean "
            "is over the whole sequence. Leave streaming out, and give whole sequences."
        )


def _write(model: Any, path: Path) -> None:
    """Write beside, check, read back, then rename.

    Raises:
        ValueError: If what was read back differs.
    """
    onnx: Any = import_module("onnx")
    with beside(path.resolve()) as part:
        _ = part.write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(part), full_check=True)
        back, held = _weights_of(read(part).structure), _weights_of(_scopes(model))
        if back.keys() != held.keys() or not all(
            same_bits(back[name], held[name]) for name in held
        ):
            raise ValueError(
                f"{_WHERE}: {path} was not read back as it was written, so it was not "
                "made: the disk may be damaged. Write it elsewhere."
            )


def _scopes(model: Any) -> Any:
    return scopes_of(model, nothing_beside)


def _weights_of(scopes: Any) -> dict[str, np.ndarray]:
    """The weights of the LSTM, and every other tensor."""
    (stack,) = stacks_of(nodes_in(scopes)[0])
    others = {n: a for s in scopes for n, a in s.tensors.items()}
    return {**others, **{f"lstm.{n}": a for n, a in stack.params.items()}}
