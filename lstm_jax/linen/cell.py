"""`flax.linen.Module` of one layer, a step at a time."""

from collections.abc import Mapping
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen
from flax.linen.recurrent import RNNCellBase
from jaxtyping import Array

from lstm_jax import _checks, pretrained
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    LSTMSpec,
    LSTMState,
    Outputs,
    Precision,
    StateLike,
)
from lstm_jax.call import zero_state
from lstm_jax.init import Sizes, make_spec
from lstm_jax.linen.params import bound, checked, declare, dtype_of, save
from lstm_jax.stack import cell_step

_SIZES = "input_size hidden_size bias"
_SAVED = f"{_SIZES} dtype precision"


class LSTMCell(RNNCellBase):
    """One LSTM layer, one step at a time: `torch.nn.LSTMCell` for `linen.RNN`.

    Called as Flax calls its cells, `(carry, x) -> (carry, y)`; torch's order is `step`.
    The carry is an `LSTMState`, no bare tuple: Flax writes `(c, h)`, torch `(h, c)`.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        bias: Whether there are torch's two biases.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters that `init` draws.
        precision: Of the products, see `lstm_jax.lstm`.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.

    Raises:
        ValueError: At `init` or `apply`, if a size is out of range.

    Example:
        >>> rnn = linen.RNN(LSTMCell(3, 4))
        >>> ys, variables = rnn.init_with_output(jax.random.key(0), jnp.ones((5, 7, 3)))
        >>> ys.shape
        (5, 7, 4)

    References:
        `torch.nn.LSTMCell` (names, shapes and equations); `flax.linen.LSTMCell` (the
        call).
    """

    input_size: int
    hidden_size: int
    bias: bool = True
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Precision = None
    recurrent: Literal["uniform", "orthogonal"] = "uniform"
    forget_bias: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTMCell":
        """The cell for these parameters, to be applied to `{"params": params}`.

        Args:
            params: The names of `torch.nn.LSTMCell` to arrays.
            **options: `dtype`, `param_dtype` (None given: that of the parameters),
                `precision`.

        Raises:
            ValueError: If the keys and shapes are not those of one cell, or JAX
                would round an array: float64 while `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"linen.{cls.__name__}.from_params"
        known = "dtype param_dtype precision name parent"
        _checks.check_known(where, options, known)
        arrays = _checks.read_exact(where, params)
        spec = _checks.read_cell_spec(where, arrays)
        sizes = (spec.input_size, spec.hidden_size, spec.bias)
        _ = options.setdefault("param_dtype", dtype_of(arrays))
        return cls(*sizes, **options)

    @classmethod
    def from_pretrained(
        cls, path: pretrained.PathLike
    ) -> tuple["LSTMCell", dict[str, dict[str, Array]]]:
        """A module and its variables, as `save_pretrained` wrote them.

        Args:
            path: A folder, or a `.safetensors` file; an `nnx` module's, too.

        Raises:
            FileNotFoundError: If there is no such folder or file.
            ValueError: If it holds another class, an option or a tensor that the class
                has not, or if one is missing.
        """
        where = "linen.LSTMCell.from_pretrained"
        options, arrays = pretrained.read(where, path, "LSTMCell", _SAVED.split())
        spec = _checks.read_cell_spec(where, arrays)
        sizes = {name: getattr(spec, name) for name in _SIZES.split()}
        rest = pretrained.check_sizes(where, options, sizes)
        return cls.from_params(arrays, **rest), {"params": arrays}

    @linen.nowrap
    def save_pretrained(
        self, path: pretrained.PathLike, variables: Mapping[str, Any]
    ) -> None:
        """Write the module's options and its variables, as a folder or one file.

        How parameters are drawn is not kept: `param_dtype`, `recurrent`, `forget_bias`.

        Args:
            path: A folder; or a file, where it ends in `.safetensors`.
            variables: `{"params": ...}`, as `init` returns them.

        Raises:
            ValueError: If the variables are not this module's, or the folder holds a
                config or weights of another program.
            TypeError: If an option has no name, such as a backend with options.
        """
        where = "linen.LSTMCell.save_pretrained"
        params = checked(where, variables, self.spec, "_l0")
        save(self, path, _SAVED, params)

    @property
    def spec(self) -> LSTMSpec:
        """Sizes and flags, checked."""
        sizes = Sizes(self.input_size, self.hidden_size)
        return make_spec("linen.LSTMCell", sizes, bias=self.bias)

    def setup(self) -> None:
        """Declare the parameters."""
        self._params = declare(self, self.spec, "_l0")

    def __call__(self, carry: LSTMState, x: Input) -> tuple[LSTMState, Outputs]:
        """Flax's call: `(carry, x) -> (carry, y)`.

        Args:
            carry: State before, an `LSTMState` with `h` and `c` of shape `(*B, H)`.
            x: Input, `(*B, I)`.

        Returns:
            The state after, and its `h`.

        Raises:
            TypeError: If the carry is a bare tuple.
            ValueError: If shapes do not fit.
        """
        _checks.check_carry("linen.LSTMCell", carry)
        state = self.step(x, carry)
        return state, state.h

    def step(self, x: Input, state: StateLike | None = None) -> LSTMState:
        """Torch's call: input `(*B, I)` and state, `(h, c)` or None, to the next state.

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If an argument is not an array, or `state` is not a pair.
        """
        return cell_step(
            "linen.LSTMCell",
            bound(self),
            x,
            state,
            dtype=self.dtype,
            precision=self.precision,
        )

    @linen.nowrap
    def initialize_carry(
        self, rng: Array | None, input_shape: tuple[int, ...]
    ) -> LSTMState:
        """Zeros for inputs of that shape, `(*B, I)`; `linen.RNN` calls it."""
        del rng
        dtype = self.dtype or self.param_dtype
        h, c = zero_state(self.spec, tuple(input_shape[:-1]), dtype)
        return LSTMState(h[0], c[0])

    @property
    def num_feature_axes(self) -> int:
        """1: the features are the last axis."""
        return 1
