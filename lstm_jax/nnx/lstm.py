"""`nnx.Module` of a stack of layers."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool

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
    States,
)
from lstm_jax.call import zero_state
from lstm_jax.init import Draws, Sizes, draw_params, make_draws, make_spec
from lstm_jax.nnx.params import Rngs, Saved, Sized, dropout_key, params_key
from lstm_jax.stack import lstm, time_step

_OPTIONS = "dtype precision variational remat truncate backend"


class LSTM(Sized, Saved):
    """A stack of LSTM layers: `torch.nn.LSTM`'s arguments, `lstm_jax.lstm`'s numbers.

    The module holds parameters and options and no random state: `jax.jit`, `nnx.jit`,
    `grad` and `vmap` take it as an argument. A compiled function that closes over it
    keeps the weights of its first call, as it does for every module of Flax.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        num_layers: `L`.
        bias: Whether the layers have torch's two biases.
        batch_first: Whether `xs` and the outputs are `(*B, T, ...)`; never the state.
        dropout: Probability of zeroing an element of a layer's output, but the last's.
        bidirectional: Whether there is a reverse direction, too.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.
        precision: Of the products, see `lstm_jax.lstm`.
        variational: Whether dropout zeroes the same elements at every step.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        truncate: Steps between cuts of the state's gradient, see `lstm_jax.lstm`.
        backend: See `lstm_jax.backends.explain`.
        deterministic: Whether dropout is left out, where the call does not say.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is unknown.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> model = LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0))
        >>> ys, state = model(jnp.ones((7, 5, 3)))
        >>> ys.shape, state.h.shape, list(model.params())[:2]
        ((7, 5, 4), (2, 5, 4), ['weight_ih_l0', 'weight_hh_l0'])

    References:
        `torch.nn.LSTM`, whose defaults these are; `flax.nnx.Dropout`, whose
        `deterministic` this is: `eval()`, `train()` and `nnx.view` set it.
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
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
        forget_bias: float | None = None,
        precision: Precision = None,
        variational: bool = False,
        remat: int | str | None = None,
        truncate: int | None = None,
        backend: str | backends.Backend = "auto",
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        sizes = Sizes(input_size, hidden_size, num_layers, proj_size)
        self.spec = make_spec("LSTM", sizes, bias=bias, bidirectional=bidirectional)
        _checks.check_flag("LSTM", "batch_first", batch_first)
        _checks.check_rate("LSTM", dropout)
        _checks.check_flag("LSTM", "variational", variational)
        _checks.check_remat("LSTM", remat)
        _checks.check_truncate("LSTM", truncate, self.spec)
        backends.check_backend("LSTM", backend)
        _checks.check_flag("LSTM", "deterministic", deterministic)
        self.batch_first = batch_first
        self.dropout = dropout
        self.dtype = _checks.dtype("LSTM", "dtype", dtype)
        self.precision = _checks.precision("LSTM", precision)
        self.variational = variational
        self.remat = remat
        self.truncate = truncate
        self.backend = backend
        self.deterministic = deterministic
        draws = Draws(param_dtype, recurrent, forget_bias)
        draws = make_draws("LSTM", self.spec, draws)
        self._set(draw_params(params_key("LSTM", rngs), self.spec, draws))

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTM":
        """A module with these parameters, in their own types.

        Args:
            params: Torch's names to arrays; sizes, layers, directions, biases and
                projection are read off them.
            **options: `batch_first`, `dropout`, `deterministic`, `variational`,
                `dtype`, `precision`, `remat`, `truncate`, `backend`.

        Raises:
            ValueError: If the keys and shapes are not those of one LSTM, or JAX
                would round an array: float64 while `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        known = f"batch_first dropout deterministic {_OPTIONS}"
        _checks.check_known(where, options, known)
        arrays = _checks.read_exact(where, params)
        spec = _checks.read_spec(where, arrays)
        make = partial(cls, **spec.constructor_arguments(), **options)
        module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    def __call__(
        self,
        xs: Inputs,
        state: StateLike | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        reset_state: StateLike | None = None,
        deterministic: bool | None = None,
        rngs: Rngs | None = None,
    ) -> tuple[Outputs, LSTMState]:
        """Run over a sequence, see `lstm_jax.lstm` for the arrays.

        Args:
            xs: Inputs, `(T, *B, I)`, or `(*B, T, I)` with `batch_first`.
            state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`; None means zeros.
            lengths: Steps of each row, shape `*B`; None means T.
            resets: True where a row starts anew before the step.
            reset_state: The state after a reset; None means zeros.
            deterministic: Whether dropout is left out; None means as the module's
                own `deterministic` says.
            rngs: Where dropout acts, a key, an `nnx.RngStream`, or an `nnx.Rngs`
                (stream `dropout`).

        Returns:
            Outputs of the last layer, and the state after each row's last step.

        Raises:
            ValueError: If shapes do not fit, or dropout has no `rngs`.
            TypeError: If an argument is not an array of the right kind.
        """
        fixed = self.deterministic if deterministic is None else deterministic
        active = not fixed and self.dropout > 0 and self.spec.num_layers > 1
        return lstm(
            self._params(),
            xs,
            state,
            lengths=lengths,
            resets=resets,
            reset_state=reset_state,
            batch_first=self.batch_first,
            dropout=self.dropout if active else 0.0,
            dropout_key=dropout_key("LSTM", rngs) if active else None,
            **self._options(),
        )

    def step(
        self,
        x: Input,
        state: StateLike | None,
        reset: Bool[AnyArray, "*B"] | None = None,
        *,
        reset_state: StateLike | None = None,
    ) -> tuple[Outputs, LSTMState]:
        """Run one time step, without dropout.

        Args:
            x: Input, `(*B, I)`.
            state: State before, as `initial_state` or the last call returned it; None
                means zeros. Its batch is axis 1: `jax.vmap(step, (0, 1), (0, 1))`.
            reset: True for rows that start anew before the step, shape `*B`; one step
                of a call's `resets`.
            reset_state: The state after a reset; None means zeros.

        Returns:
            Output `(*B, P)` and the state after.

        Raises:
            ValueError: If the stack is bidirectional, or shapes do not fit.
            TypeError: If an argument is not an array of the right kind.
        """
        states = States(state, reset_state)  # type: ignore[arg-type]
        call = partial(time_step, "LSTM.step", self.spec, self.params())
        return call(x, states, reset, **self._options())

    def initial_state(self, batch_shape: tuple[int, ...] = ()) -> LSTMState:
        """The state of zeros that a call without one starts from."""
        batch = _checks.check_batch_shape("LSTM.initial_state", batch_shape)
        return zero_state(self.spec, batch, self.dtype or self.dtype_of_params())

    def set_view(self, deterministic: bool | None = None) -> None:
        """Set the mode of a copy that `nnx.view` makes.

        Args:
          deterministic: Whether dropout is left out.
        """  # `nnx.view_info` reads the argument at an indentation of two
        if deterministic is not None:
            self.deterministic = deterministic

    @property
    def num_feature_axes(self) -> int:
        """Refuse: `nnx.RNN` asks its cell for it, and a stack is no cell."""
        raise AttributeError(_checks.no_cell("LSTM", "nnx.RNN"))

    @classmethod
    def _sizes_of(cls, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return _checks.read_spec(where, params).constructor_arguments()

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return self.spec.shapes()

    def _arguments(self) -> dict[str, Any]:
        names = f"batch_first dropout deterministic {_OPTIONS}".split()
        options = {name: getattr(self, name) for name in names}
        return self.spec.constructor_arguments() | options

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS.split()}
