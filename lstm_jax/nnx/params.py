"""Parameters under torch's names in an `nnx` module, and keys to draw them with."""

import inspect
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
from flax import nnx
from flax.nnx import reprlib
from jaxtyping import Array

from lstm_jax import _checks, pretrained
from lstm_jax._types import AnyArray, LSTMSpec

# The constructor's arguments that are no part of what a module is.
_DRAWN = {"self", "param_dtype", "recurrent", "forget_bias", "rngs"}

M = TypeVar("M")
Rngs = nnx.Rngs | nnx.RngStream | Array


class SizedCell:
    """Torch's attributes of a cell, read off its spec."""

    spec: LSTMSpec

    @property
    def input_size(self) -> int:
        """`I`, features of the input."""
        return self.spec.input_size

    @property
    def hidden_size(self) -> int:
        """`H`, features of the cell."""
        return self.spec.hidden_size

    @property
    def bias(self) -> bool:
        """Whether there are torch's two biases."""
        return self.spec.bias


class Sized(SizedCell):
    """Torch's attributes of a stack, read off its spec."""

    @property
    def num_layers(self) -> int:
        """`L`."""
        return self.spec.num_layers

    @property
    def bidirectional(self) -> bool:
        """Whether there is a reverse direction, too."""
        return self.spec.bidirectional

    @property
    def proj_size(self) -> int:
        """`P`, features of the output; 0 means no projection, `P = H`."""
        return self.spec.proj_size


class WithParams(nnx.Module):
    """A module whose `nnx.Param`s are a flat mapping of torch's names.

    A call uses private methods only: `nnx.tabulate` has a row for each public one.
    """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Torch's names of the parameters, and their shapes."""
        return self._shapes()

    def params(self) -> dict[str, Array]:
        """The parameters under torch's names, as `lstm_jax.lstm` takes them."""
        return self._params()

    def __nnx_repr__(self) -> Generator[Any]:
        """One line: the constructor's arguments that are not its defaults."""
        defaults = inspect.signature(_kind(type(self)).__init__).parameters
        yield reprlib.Object(type(self), same_line=True)
        for name, value in self._arguments().items():
            if value != defaults[name].default:
                shown = value.name if isinstance(value, jnp.dtype) else value
                yield reprlib.Attr(name, shown)

    def _arguments(self) -> dict[str, Any]:
        """The constructor's arguments, but for those of the draw."""
        raise NotImplementedError

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError

    def _params(self) -> dict[str, Array]:
        return {name: getattr(self, name).get_value() for name in self._shapes()}

    def dtype_of_params(self) -> jnp.dtype:
        """The type of the first parameter."""
        return next(iter(self.params().values())).dtype

    def load_params(self, params: Mapping[str, AnyArray]) -> None:
        """Replace every parameter, in the types given: the module takes these types.

        Raises:
            ValueError: If a key is missing or not used, a shape differs, or JAX would
                round an array: float64 while `jax_enable_x64` is off. Nothing is
                replaced then. (`nnx.update` would accept all of it.)
            TypeError: If a value is not a floating array.
        """
        where = f"{type(self).__name__}.load_params"
        self._set(_checks.check_exact(where, params, self.shapes()))

    def _set(self, params: Mapping[str, Array]) -> None:
        for name, array in params.items():
            setattr(self, name, nnx.Param(array))


class Saved(WithParams):
    """A module that is written and read by its class: see `lstm_jax.pretrained`."""

    @classmethod
    def from_pretrained(cls: type[M], path: pretrained.PathLike) -> M:
        """A module as `save_pretrained` wrote it.

        Args:
            path: A folder, or a `.safetensors` file; a `linen` module's, too.

        Raises:
            FileNotFoundError: If there is no such folder or file.
            ValueError: If it holds another class, an option or a tensor that the class
                has not, or if one is missing.
        """
        own: Any = cls
        where, kind = f"{cls.__name__}.from_pretrained", _kind(cls)
        known = [
            n for n in inspect.signature(kind.__init__).parameters if n not in _DRAWN
        ]
        options, arrays = pretrained.read(where, path, kind.__name__, known)
        sizes = own._sizes_of(where, arrays)
        rest = pretrained.check_sizes(where, options, sizes)
        return own.from_params(arrays, **rest)

    def save_pretrained(self, path: pretrained.PathLike) -> None:
        """Write the module's options and parameters, as a folder or one file.

        How parameters are drawn is not kept: `param_dtype`, `recurrent`, `forget_bias`.

        Args:
            path: A folder; or a file, where it ends in `.safetensors`.

        Raises:
            ValueError: If the folder holds a config or weights of another program.
            TypeError: If an option has no name, such as a backend with options.
        """
        where, kind = f"{type(self).__name__}.save_pretrained", _kind(type(self))
        options, params = self._arguments(), self.params()
        pretrained.write(where, path, kind.__name__, options, params)

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> Any:
        """A module with these parameters."""
        raise NotImplementedError

    @classmethod
    def _sizes_of(cls, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor's arguments that parameters of the class show."""
        raise NotImplementedError


def _kind(cls: type) -> Any:
    """The class whose constructor's arguments a module has."""
    return next(c for c in cls.__mro__ if "_arguments" in vars(c))


def params_key(where: str, rngs: nnx.Rngs) -> Array:
    """A key for the initial parameters."""
    if not isinstance(rngs, nnx.Rngs):
        raise TypeError(
            f"{where}: rngs must be nnx.Rngs, not {type(rngs).__name__}: the initial "
            "parameters are drawn from its stream params. Use nnx.Rngs(seed)."
        )
    if not hasattr(rngs, "params"):
        raise ValueError(
            f"{where}: rngs must have a stream named params: the initial parameters "
            "are drawn from it. Use nnx.Rngs(params=seed)."
        )
    return rngs.params()


def dropout_key(where: str, rngs: Rngs | None) -> Array | None:
    """A key for the dropout."""
    if rngs is None:
        raise ValueError(
            f"{where}: rngs must be a key or nnx.Rngs: dropout acts between the "
            "layers. Use rngs=jax.random.key(seed), or deterministic=True to evaluate."
        )
    if isinstance(rngs, nnx.RngStream):
        return rngs()
    if not isinstance(rngs, nnx.Rngs):
        _checks.check_key(where, "rngs", rngs)
        return rngs
    if not hasattr(rngs, "dropout"):
        raise ValueError(
            f"{where}: rngs must have a stream named dropout: dropout acts between the "
            "layers. Use nnx.Rngs(dropout=seed), or deterministic=True to evaluate."
        )
    return rngs.dropout()
