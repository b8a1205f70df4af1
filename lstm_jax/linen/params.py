"""Parameters under torch's names in a `linen` module, and modules in folders."""

from collections.abc import Mapping
from typing import Any

from flax import linen
from jaxtyping import Array

from lstm_jax import _checks, pretrained
from lstm_jax._types import AnyArray, DTypeLike, LSTMSpec
from lstm_jax.init import Draws, draw, make_draws


def dtype_of(params: dict[str, Array]) -> DTypeLike:
    """The type of the first parameter, as `param_dtype` of the module for all."""
    return next(iter(params.values())).dtype


def declare(module: Any, spec: LSTMSpec, suffix: str) -> dict[str, AnyArray]:
    """The parameters of `spec`, under their names without `suffix`.

    Flax ignores parameters that no module declares: two layers' would run as one.
    """
    if not module.is_mutable_collection("params"):
        _ = checked(f"linen.{type(module).__name__}", module.variables, spec, suffix)
    draws = Draws(module.param_dtype, module.recurrent, module.forget_bias)
    draws = make_draws(f"linen.{type(module).__name__}", spec, draws)
    return {
        name.removesuffix(suffix): module.param(
            name.removesuffix(suffix),
            lambda key, name=name: draw(name, key, spec, draws),
        )
        for name in spec.shapes()
    }


def bound(module: Any) -> Mapping[str, AnyArray]:
    """The parameters of a module that is applied to its variables.

    Raises:
        ValueError: If it is called by itself.
    """
    if module.scope is None:
        kind = f"linen.{type(module).__name__}"
        raise ValueError(
            f"{kind}: the module must be bound to its variables: a linen module holds "
            "none itself. Use module.apply(variables, ...), with "
            "variables = module.init(key, ...)."
        )
    return module._params


def checked(
    where: str, variables: Mapping[str, Any], spec: LSTMSpec, suffix: str
) -> dict[str, Array]:
    """The parameters of variables: those of `spec`, under their names."""
    expected = {k.removesuffix(suffix): size for k, size in spec.shapes().items()}
    given = linen.meta.unbox(variables.get("params", {}))
    return _checks.check_params(where, given, expected)


def save(module: Any, path: pretrained.PathLike, names: str, params: Any) -> None:
    """Write the options of these names, and the parameters."""
    kind = type(module).__name__
    options = {name: getattr(module, name) for name in names.split()}
    pretrained.write(f"linen.{kind}.save_pretrained", path, kind, options, params)
