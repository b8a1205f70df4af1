"""`nnx.Module` of one layer, a step at a time."""

from collections.abc import Mapping
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.recurrent import RNNCellBase

from lstm_jax import _checks
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    LSTMState,
    Outputs,
    Precision,
    StateLike,
)
from lstm_jax.call import zero_state
from lstm_jax.init import Draws, Sizes, draw_params, make_draws, make_spec
from lstm_jax.nnx.params import Saved, SizedCell, params_key
from lstm_jax.stack import cell_step


class LSTMCell(SizedCell, Saved, RNNCellBase):
    """One LSTM layer, one step at a time: `torch.nn.LSTMCell` for `nnx.RNN`.

    Called as Flax calls its cells, `(carry, x) -> (carry, y)`; torch's order is `step`.
    The carry is an `LSTMState`, no bare tuple: Flax writes `(c, h)`, torch `(h, c)`.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        bias: Whether there are torch's two biases.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.
        precision: Of the products, see `lstm_jax.lstm`.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is unknown.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> cell = LSTMCell(3, 4, rngs=nnx.Rngs(0))
        >>> nnx.RNN(cell)(jnp.ones((5, 7, 3))).shape
        (5, 7, 4)

    References:
        `torch.nn.LSTMCell` (names, shapes, equations); `flax.nnx.LSTMCell` (the call).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
        forget_bias: float | None = None,
        precision: Precision = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.spec = make_spec("LSTMCell", Sizes(input_size, hidden_size), bias=bias)
        self.dtype = _checks.dtype("LSTMCell", "dtype", dtype)
        self.precision = _checks.precision("LSTMCell", precision)
        draws = Draws(param_dtype, recurrent, forget_bias)
        draws = make_draws("LSTMCell", self.spec, draws)
        params = draw_params(params_key("LSTMCell", rngs), self.spec, draws)
        self._set({name.removesuffix("_l0"): a for name, a in params.items()})

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTMCell":
        """A cell with these parameters (`weight_ih`, ...), in their own types.

        Args:
            params: The names of `torch.nn.LSTMCell` to arrays.
            **options: `dtype`, `precision`.

        Raises:
            ValueError: If the keys and shapes are not those of one cell, or JAX
                would round an array: float64 while `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        _checks.check_known(where, options, "dtype precision")
        arrays = _checks.read_exact(where, params)
        spec = _checks.read_cell_spec(where, arrays)
        sizes = (spec.input_size, spec.hidden_size, spec.bias)
        module = nnx.eval_shape(lambda: cls(*sizes, **options, rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

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
        _checks.check_carry("LSTMCell", carry)
        state = self._step(x, carry)
        return state, state.h

    def step(self, x: Input, state: StateLike | None = None) -> LSTMState:
        """Torch's call: input `(*B, I)` and state, `(h, c)` or None, to the next state.

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If an argument is not an array, or `state` is not a pair.
        """
        return self._step(x, state)

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> LSTMState:
        """Zeros for inputs of that shape, `(*B, I)`; `nnx.RNN` calls it."""
        del rngs, carry_init
        batch = tuple(input_shape[:-1])
        state = zero_state(self.spec, batch, self.dtype or self.dtype_of_params())
        return LSTMState(state.h[0], state.c[0])

    def _step(self, x: Input, state: StateLike | None) -> LSTMState:
        options: Any = {"dtype": self.dtype, "precision": self.precision}
        return cell_step("LSTMCell", self._params(), x, state, **options)

    def _arguments(self) -> dict[str, Any]:
        names = ["input_size", "hidden_size", "bias", "dtype", "precision"]
        return {name: getattr(self, name) for name in names}

    @classmethod
    def _sizes_of(cls, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
        spec = _checks.read_cell_spec(where, params)
        names = ["input_size", "hidden_size", "bias"]
        return {name: getattr(spec, name) for name in names}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = self.spec.shapes().items()
        return {name.removesuffix("_l0"): shape for name, shape in shapes}

    @property
    def num_feature_axes(self) -> int:
        """1: the features are the last axis."""
        return 1
