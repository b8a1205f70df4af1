"""Between `torch` and JAX: tensors, state dicts and modules, to the last bit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import lstm_jax
from parity.arrays import numpy_of, tensor_of
from parity.frameworks.framework import Derived, Outputs
from parity.frameworks.portable import Kind, Portable, portable_of
from parity.frameworks.sources import check_forward, module_at, part_at, tensors_of
from parity.machine import need_torch
from parity.names.prefixes import check_prefix

if TYPE_CHECKING:
    import torch

_WHERE = "from_torch"


def from_torch(source: Any, *, prefix: str = "") -> Any:
    """Torch's weights in JAX, bit for bit.

    A module comes back as a module, a state dict as a flat mapping that
    `lstm_jax.lstm` takes. The source is copied, never changed. A weight that is stored
    in parts, under weight norm, pruning or dropout, comes back as one array; a
    module's under any parametrization, as it is in evaluation.

    Args:
        source: `torch.nn.LSTM`, `torch.nn.LSTMCell`, the twin of `LSTMModel`, a larger
            module or wrapper that has one of them at `prefix`, or a state dict.
        prefix: Where the LSTM is in a larger model, such as `"encoder.lstm."`. Its last
            dot, what comes before it, and the names that wrappers add may be left out.
            From a state dict, everything at that place is taken.

    Returns:
        `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, with the source's `batch_first` and
        `dropout`; or a dict of JAX arrays.

    Raises:
        TypeError: If the source is neither a module nor a mapping, is a module of
            another kind, or has a `forward` of its own.
        ValueError: If nothing is at `prefix`, several parts may be meant, a weight
            cannot be made of what is stored, or JAX would round a value.

    Example:
        >>> import torch
        >>> model = from_torch(torch.nn.LSTM(3, 4, batch_first=True))
        >>> model(jnp.ones((5, 7, 3)))[0].shape
        (5, 7, 4)

    References:
        flax#3746 asked for it.
    """
    check_prefix(_WHERE, prefix)
    if isinstance(source, Mapping):
        params = part_at(_WHERE, source, prefix)
        return Portable(kind="mapping", params=params).given(_WHERE)
    place, module = module_at(_WHERE, source, prefix)
    check_forward(_WHERE, module)
    kind, options = _conventions(module)
    params = part_at(_WHERE, tensors_of(_WHERE, source), place)
    return Portable(kind=kind, params=params, options=options).given(_WHERE)


def _conventions(module: Any) -> tuple[Kind, dict[str, Any]]:
    """The class of a module here, and what its arrays do not tell."""
    import torch

    if isinstance(module, torch.nn.LSTM):
        options = {"batch_first": module.batch_first, "dropout": module.dropout}
        return "LSTM", options
    if isinstance(module, torch.nn.LSTMCell):
        return "LSTMCell", {}
    options = {"outputs": module.outputs, "activation": module.activation}
    return "LSTMModel", {"dropout": module.lstm.dropout, **options}


def to_torch(source: Any) -> Any:
    """JAX's weights in torch, bit for bit: the inverse of `from_torch`.

    Args:
        source: `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, or a flat mapping of torch's
            names to arrays.

    Returns:
        `torch.nn.LSTM` (with `batch_first` and `dropout`), `torch.nn.LSTMCell` or the
        twin of `LSTMModel`; or a state dict.

    Raises:
        TypeError: If the source is none of these.
        ValueError: If `lstm_jax.shard_units` has given its gates an axis.
        ModuleNotFoundError: If torch is not installed.

    Example:
        >>> module = to_torch(lstm_jax.LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0)))
        >>> module
        LSTM(3, 4, num_layers=2)
    """
    portable = portable_of("to_torch", source)
    _refuse_gate_axis(portable.params)
    need_torch("to_torch", "what it returns is torch's")
    state_dict = _tensors(portable.params)
    if portable.kind == "mapping":
        return state_dict
    return _loaded(_module(portable), state_dict)


def _refuse_gate_axis(params: Mapping[str, Any]) -> None:
    """Refuse `(4, H, P)`; four LSTMs side by side are `(4, 4H, P)`, `(4, P, H)`."""
    weight: Any = params.get("weight_hh_l0")
    projection: Any = params.get("weight_hr_l0")
    shape = np.shape(weight)
    outer = shape[1:] if projection is None else np.shape(projection)
    if len(shape) == 3 and shape[0] == 4 and len(outer) == 2 and outer[0] == shape[2]:
        raise ValueError(
            f"to_torch: weight_hh_l0.shape={shape} must be two sizes: torch's LSTM "
            "stores matrices. Use lstm_jax.gather_units(params)."
        )


def _module(portable: Portable) -> Any:
    """The module of torch, its weights still to be loaded."""
    import torch

    from parity.frameworks.twin import LSTMModel

    spec = portable.spec
    if portable.kind == "LSTMCell":
        return torch.nn.LSTMCell(spec.input_size, spec.hidden_size, spec.bias)
    of_lstm = {"batch_first": True, **portable.options}
    of_model = {n: of_lstm.pop(n) for n in ("outputs", "activation") if n in of_lstm}
    lstm = torch.nn.LSTM(**spec.constructor_arguments(), **of_lstm)
    if portable.kind == "LSTM":
        return lstm
    rows = len(portable.params.get("embedding.weight", ()))
    size = len(portable.params["fc.bias"])
    return LSTMModel(lstm, size, num_embeddings=rows, **of_model)


def lstm_of(state_dict: Mapping[str, "torch.Tensor"], **options: Any) -> Any:
    """The `torch.nn.LSTM` whose state dict this is."""
    import torch

    spec = lstm_jax.spec_of(state_dict)
    module = torch.nn.LSTM(**spec.constructor_arguments(), **options)
    return _loaded(module, state_dict)


def run_module(params: Mapping[str, Any], xs: Any) -> Outputs:
    """`torch.nn.LSTM` of arrays by torch's names, without gradients."""
    import torch

    with torch.no_grad():
        ys, (h, c) = lstm_of(_tensors(params))(tensor_of(xs))
    return Outputs(*(numpy_of("", a) for a in (ys, h, c)))


def differentiate(params: Mapping[str, Any], xs: Any, cotangents: Outputs) -> Derived:
    """The same with gradients, by autograd."""
    import torch

    module, inputs = lstm_of(_tensors(params)), tensor_of(xs).requires_grad_()
    ys, (h, c) = module(inputs)
    weights = dict(module.named_parameters())
    found = torch.autograd.grad(
        (ys, h, c), [inputs, *weights.values()], [*map(tensor_of, cotangents)]
    )
    d_xs, *gradients = (numpy_of("", a) for a in found)
    outputs = Outputs(*(numpy_of("", a.detach()) for a in (ys, h, c)))
    return Derived(outputs, dict(zip(weights, gradients, strict=True)), d_xs)


def _loaded(module: Any, state_dict: Mapping[str, "torch.Tensor"]) -> Any:
    """The module with these very tensors, in their own types."""
    keys = module.load_state_dict(state_dict, assign=True)
    del keys  # strict: anything missing or unexpected has raised
    return module.requires_grad_()


def _tensors(params: Mapping[str, Any]) -> dict[str, "torch.Tensor"]:
    return {n: tensor_of(numpy_of(n, a, "to_torch")) for n, a in params.items()}
