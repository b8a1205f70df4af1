"""`flax.nnx` modules whose parameters carry torch's names."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.recurrent import RNNCellBase
from jaxtyping import Array, Bool

from lstm_jax import _checks, backends
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    Inputs,
    Lengths,
    LSTMState,
    Outputs,
    Precision,
    Resets,
    StateLike,
)
from lstm_jax.init import init_params, make_spec
from lstm_jax.stack import cell_step, lstm, zero_state

Rngs = nnx.Rngs | Array


class WithParams(nnx.Module):
    """A module whose `nnx.Param`s are a flat mapping of torch's names."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Torch's names of the parameters, and their shapes."""
        raise NotImplementedError

    def params(self) -> dict[str, Array]:
        """The parameters under torch's names, as `lstm_jax.lstm` takes them."""
        return {name: getattr(self, name).get_value() for name in self.shapes()}

    def load_params(self, params: Mapping[str, AnyArray]) -> None:
        """Replace every parameter, in the types given.

        Raises:
            ValueError: If a key is missing or not used, or a shape differs. Nothing is
                replaced then. (`nnx.update` would accept both.)
            TypeError: If a value is not a floating array.
        """
        where = f"{type(self).__name__}.load_params"
        arrays = _checks.check_params(where, params, self.shapes())
        for name, array in arrays.items():
            setattr(self, name, nnx.Param(array))


class LSTM(WithParams):
    """A stack of LSTM layers: `torch.nn.LSTM`'s arguments, `lstm_jax.lstm`'s numbers.

    The module holds parameters and options and no random state, so `jax.jit`,
    `nnx.jit`, `grad` and `vmap` take it as an argument or as a closure.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        num_layers: `L`.
        bias: Whether the layers have torch's two biases.
        batch_first: Whether `xs` and the outputs are `(*B, T, ...)`; never the state.
        dropout: Probability of zeroing an element of a layer's output, but the last's.
        bidirectional: Whether there is a reverse direction beside the forward one.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        precision: Of the products, see `lstm_jax.lstm`.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        backend: See `lstm_jax.backends.explain`.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is none there is.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> model = LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0))
        >>> ys, state = model(jnp.ones((7, 5, 3)))
        >>> ys.shape, state.h.shape, list(model.params())[:2]
        ((7, 5, 4), (2, 5, 4), ['weight_ih_l0', 'weight_hh_l0'])

    References:
        `torch.nn.LSTM`, whose defaults these are. Differs in that dropout acts unless
        `deterministic` is passed: there is no train or eval mode to forget.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        precision: Precision = None,
        remat: int | str | None = None,
        backend: str = "auto",
        rngs: nnx.Rngs,
    ) -> None:
        self.spec = make_spec(
            "LSTM", input_size, hidden_size, num_layers, bias, bidirectional, proj_size
        )
        _checks.check_flag("LSTM", "batch_first", batch_first)
        _checks.check_rate("LSTM", dropout)
        _checks.check_remat("LSTM", remat)
        backends.check_name("LSTM", backend)
        self.batch_first = batch_first
        self.dropout = dropout
        self.dtype = _checks.dtype("LSTM", "dtype", dtype)
        self.precision = _checks.precision("LSTM", precision)
        self.remat = remat
        self.backend = backend
        params = init_params(
            _params_key("LSTM", rngs),
            input_size,
            hidden_size,
            num_layers,
            bias=bias,
            bidirectional=bidirectional,
            proj_size=proj_size,
            dtype=param_dtype,
        )
        for name, array in params.items():
            setattr(self, name, nnx.Param(array))

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTM":
        """A module with these parameters, in their own types.

        Args:
            params: Torch's names to arrays; sizes, layers, directions, biases and
                projection are read off them.
            **options: `batch_first`, `dropout`, `dtype`, `precision`, `remat`,
                `backend`.

        Raises:
            ValueError: If the keys and shapes are not those of one LSTM.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        known = "batch_first dropout dtype precision remat backend"
        _checks.check_known(where, options, known)
        arrays = _checks.read_params(where, params)
        spec = _checks.read_spec(where, arrays)
        make = partial(cls, **spec.constructor_arguments(), **options)
        module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Torch's names of the parameters, and their shapes."""
        return self.spec.shapes()

    def __call__(
        self,
        xs: Inputs,
        state: StateLike | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        reset_state: StateLike | None = None,
        deterministic: bool = False,
        rngs: Rngs | None = None,
    ) -> tuple[Outputs, LSTMState]:
        """Run over a sequence, see `lstm_jax.lstm` for the arrays.

        Args:
            xs: Inputs, `(T, *B, I)`, or `(*B, T, I)` with `batch_first`.
            state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`; None means zeros.
            lengths: Steps of each row, shape `*B`; None means T.
            resets: True where a row starts anew before the step.
            reset_state: The state after a reset; None means zeros.
            deterministic: Whether dropout is left out.
            rngs: A key, or an `nnx.Rngs` (stream `dropout`), where dropout acts.

        Returns:
            Outputs of the last layer, and the state after each row's last step.

        Raises:
            ValueError: If shapes do not fit, or dropout has no `rngs`.
            TypeError: If an argument is not an array of the right kind.
        """
        active = not deterministic and self.dropout > 0 and self.spec.num_layers > 1
        return lstm(
            self.params(),
            xs,
            state,
            lengths=lengths,
            resets=resets,
            reset_state=reset_state,
            batch_first=self.batch_first,
            dropout=self.dropout if active else 0.0,
            dropout_key=_dropout_key("LSTM", rngs) if active else None,
            **self._product_options(),
        )

    def step(
        self, x: Input, state: StateLike, reset: Bool[AnyArray, "*B"] | None = None
    ) -> tuple[Outputs, LSTMState]:
        """Run one time step, without dropout.

        Args:
            x: Input, `(*B, I)`.
            state: State before, as `initial_state` or the last call returned it.
            reset: True for rows whose state is zeroed before the step, shape `*B`.

        Returns:
            Output `(*B, P)` and the state after.

        Raises:
            ValueError: If the stack is bidirectional, or shapes do not fit.
            TypeError: If an argument is not an array of the right kind.
        """
        _checks.check_steppable("LSTM.step", self.spec)
        x = _checks.check_input("LSTM.step", x, self.spec)
        if reset is not None:
            reset = _checks.check_resets(
                "LSTM.step", "reset", reset, self.spec, x.shape[:-1]
            )[None]
        options = self._product_options()
        ys, state = lstm(self.params(), x[None], state, resets=reset, **options)
        return ys[0], state

    def initial_state(self, batch_shape: tuple[int, ...] = ()) -> LSTMState:
        """The state of zeros that a call without one starts from."""
        batch = _checks.check_batch_shape("LSTM.initial_state", batch_shape)
        return zero_state(self.spec, batch, self.dtype or _dtype(self))

    def _product_options(self) -> dict[str, Any]:
        names = ("dtype", "precision", "remat", "backend")
        return {name: getattr(self, name) for name in names}


class LSTMCell(WithParams, RNNCellBase):
    """One LSTM layer, one step at a time: `torch.nn.LSTMCell` for `nnx.RNN`.

    Called as Flax calls its cells, `(carry, x) -> (carry, y)`; torch's order is `step`.
    The carry is an `LSTMState`, no bare tuple: Flax writes `(c, h)`, torch `(h, c)`.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        bias: Whether there are torch's two biases.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        precision: Of the products, see `lstm_jax.lstm`.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is none there is.
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
        precision: Precision = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.spec = make_spec("LSTMCell", input_size, hidden_size, 1, bias, False, 0)
        self.dtype = _checks.dtype("LSTMCell", "dtype", dtype)
        self.precision = _checks.precision("LSTMCell", precision)
        key = _params_key("LSTMCell", rngs)
        params = init_params(key, input_size, hidden_size, bias=bias, dtype=param_dtype)
        for name, array in params.items():
            setattr(self, name.removesuffix("_l0"), nnx.Param(array))

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTMCell":
        """A cell with these parameters (`weight_ih`, ...), in their own types.

        Args:
            params: The names of `torch.nn.LSTMCell` to arrays.
            **options: `dtype`, `precision`.

        Raises:
            ValueError: If the keys and shapes are not those of one cell.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        _checks.check_known(where, options, "dtype precision")
        arrays = _checks.read_params(where, params)
        spec = _checks.read_cell_spec(where, arrays)
        sizes = (spec.input_size, spec.hidden_size, spec.bias)
        module = nnx.eval_shape(lambda: cls(*sizes, **options, rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Torch's names of the parameters, and their shapes."""
        return {
            name.removesuffix("_l0"): size for name, size in self.spec.shapes().items()
        }

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
        state = self.step(x, carry)
        return state, state.h

    def step(self, x: Input, state: StateLike | None = None) -> LSTMState:
        """Torch's call: input `(*B, I)` and state, `(h, c)` or None, to the next state.

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If an argument is not an array, or `state` is not a pair.
        """
        return cell_step(
            "LSTMCell",
            self.params(),
            x,
            state,
            dtype=self.dtype,
            precision=self.precision,
        )

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> LSTMState:
        """Zeros for inputs of that shape, `(*B, I)`; `nnx.RNN` calls it."""
        del rngs, carry_init
        batch = tuple(input_shape[:-1])
        state = zero_state(self.spec, batch, self.dtype or _dtype(self))
        return LSTMState(state.h[0], state.c[0])

    @property
    def num_feature_axes(self) -> int:
        """1: the features are the last axis."""
        return 1


def _dtype(module: WithParams) -> jnp.dtype:
    return next(iter(module.params().values())).dtype


def _params_key(where: str, rngs: nnx.Rngs) -> Array:
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


def _dropout_key(where: str, rngs: Rngs | None) -> Array | None:
    if rngs is None:
        raise ValueError(
            f"{where}: rngs must be a key or nnx.Rngs: dropout acts between the "
            "layers. Use rngs=jax.random.key(seed), or deterministic=True to evaluate."
        )
    if not isinstance(rngs, nnx.Rngs):
        _checks.check_key(where, "rngs", rngs)
        return rngs
    if not hasattr(rngs, "dropout"):
        raise ValueError(
            f"{where}: rngs must have a stream named dropout: dropout acts between the "
            "layers. Use nnx.Rngs(dropout=seed), or deterministic=True to evaluate."
        )
    return rngs.dropout()
