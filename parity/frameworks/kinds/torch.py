"""Between `torch` and JAX: tensors, state dicts and modules, to the last bit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxtyping import Array

import lstm_jax
from parity.arrays import array_of, numpy_of, tensor_of
from parity.frameworks.framework import Derived, Outputs

if TYPE_CHECKING:
    import torch

_WHERE = "from_torch"


def from_torch(source: Any, *, prefix: str = "") -> Any:
    """Torch's weights in JAX, bit for bit.

    A module comes back as a module, a state dict as a flat mapping that
    `lstm_jax.lstm` takes. The source is copied, never changed.

    Args:
        source: `torch.nn.LSTM`, `torch.nn.LSTMCell`, the twin of `LSTMModel`, a larger
            module that has one of them at `prefix`, or a state dict.
        prefix: Where the LSTM is in a larger model, such as `"encoder.lstm."`, with or
            without the last dot. From a state dict, the keys that start so are taken.

    Returns:
        `lstm_jax.LSTM`, `LSTMCell` or `LSTMModel`, with the source's `batch_first` and
        `dropout`; or a dict of JAX arrays.

    Raises:
        TypeError: If the source is neither a module nor a mapping, or is a module of
            another kind.
        ValueError: If nothing is at `prefix`, or JAX would round a value.

    Example:
        >>> import torch
        >>> model = from_torch(torch.nn.LSTM(3, 4, batch_first=True))
        >>> model(jnp.ones((5, 7, 3)))[0].shape
        (5, 7, 4)

    References:
        flax#3746 asked for it.
    """
    if isinstance(source, Mapping):
        return _from_state_dict(source, prefix)
    module = _submodule(source, prefix)
    params = _from_state_dict(module.state_dict(), "")
    import torch

    if isinstance(module, torch.nn.LSTM):
        return lstm_jax.LSTM.from_params(
            params, batch_first=module.batch_first, dropout=module.dropout
        )
    if isinstance(module, torch.nn.LSTMCell):
        return lstm_jax.LSTMCell.from_params(params)
    return lstm_jax.LSTMModel.from_params(params, dropout=module.lstm.dropout)


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

    Example:
        >>> module = to_torch(lstm_jax.LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0)))
        >>> module
        LSTM(3, 4, num_layers=2)
    """
    if isinstance(source, Mapping):
        return {name: tensor_of(source[name]) for name in source}
    if isinstance(source, lstm_jax.LSTM):
        return lstm_of(
            to_torch(source.params()),
            batch_first=source.batch_first,
            dropout=source.dropout,
        )
    if isinstance(source, lstm_jax.LSTMCell):
        import torch

        spec = source.spec
        cell = torch.nn.LSTMCell(spec.input_size, spec.hidden_size, spec.bias)
        return _loaded(cell, to_torch(source.params()))
    if isinstance(source, lstm_jax.LSTMModel):
        from parity.frameworks.twin import LSTMModel

        state_dict = to_torch(source.params())
        lstm = to_torch(source.lstm)
        return _loaded(LSTMModel(lstm, len(state_dict["fc.bias"])), state_dict)
    raise TypeError(
        f"to_torch: source must be an LSTM, LSTMCell or LSTMModel of lstm_jax, or a "
        f"mapping, not {type(source).__name__}: it must have torch's names. "
        "Use to_torch(module.params())."
    )


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
        ys, (h, c) = lstm_of(to_torch(params))(tensor_of(xs))
    return Outputs(*(numpy_of("", a) for a in (ys, h, c)))


def differentiate(params: Mapping[str, Any], xs: Any, cotangents: Outputs) -> Derived:
    """The same with gradients, by autograd."""
    import torch

    module, inputs = lstm_of(to_torch(params)), tensor_of(xs).requires_grad_()
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


def _from_state_dict(source: Mapping[str, Any], prefix: str) -> dict[str, Array]:
    """The part of a state dict below a prefix."""
    prefix = f"{prefix}." if prefix and not prefix.endswith(".") else prefix
    found = {str(name): source[name] for name in source if str(name).startswith(prefix)}
    if not found:
        raise ValueError(
            f"{_WHERE}: prefix={prefix!r} must be where a parameter starts: the state "
            f"dict has {_listed(source)}. Use another prefix."
        )
    return {
        name.removeprefix(prefix): array_of(name, value)
        for name, value in found.items()
    }


def _listed(names: Any, most: int = 6) -> str:
    names = sorted(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(map(repr, names[:most])) or "nothing") + more


def _submodule(source: Any, prefix: str) -> Any:
    """The LSTM, cell or twin in `source` at `prefix`."""
    kinds = _kinds(source)
    path = prefix.strip(".")
    modules = dict(source.named_modules())
    module = modules.get(path)
    if isinstance(module, kinds):
        return module
    inside = [
        f"{name}." for name, m in modules.items() if name and isinstance(m, kinds)
    ]
    found = "no module" if module is None else type(module).__name__
    raise (TypeError if module is not None else ValueError)(
        f"{_WHERE}: {prefix=} must be an LSTM, LSTMCell or LSTMModel, not {found}: the "
        f"source has {_listed(inside)}. Use another prefix, or the state dict."
    )


def _kinds(source: Any) -> tuple[type, ...]:
    """The classes of torch modules that can be read."""
    if not hasattr(source, "named_modules"):
        raise TypeError(
            f"{_WHERE}: source must be a torch module or a state dict, not "
            f"{type(source).__name__}: weights are read from it. Use its state dict."
        )
    import torch

    from parity.frameworks.twin import LSTMModel

    return torch.nn.LSTM, torch.nn.LSTMCell, LSTMModel
