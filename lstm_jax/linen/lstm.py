"""`flax.linen.Module` of a stack of layers."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen
from jaxtyping import Array, Bool

from lstm_jax import _checks, pretrained
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Input,
    Inputs,
    Lengths,
    LSTMSpec,
    LSTMState,
    Outputs,
    Precision,
    Resets,
    StateLike,
    States,
)
from lstm_jax.backends import Backend
from lstm_jax.call import zero_state
from lstm_jax.init import Sizes, make_spec
from lstm_jax.linen.params import bound, checked, declare, dtype_of, save
from lstm_jax.stack import lstm, time_step

_OPTIONS = "dtype precision variational remat truncate backend"
_SIZES = "input_size hidden_size num_layers bias bidirectional proj_size"
_SAVED = f"{_SIZES} batch_first dropout deterministic {_OPTIONS}"


class LSTM(linen.Module):
    """A stack of LSTM layers: `torch.nn.LSTM`'s arguments, `lstm_jax.lstm`'s numbers.

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
        param_dtype: Type of the parameters that `init` draws.
        precision: Of the products, see `lstm_jax.lstm`.
        variational: Whether dropout zeroes the same elements at every step.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        truncate: Steps between cuts of the state's gradient, see `lstm_jax.lstm`.
        backend: See `lstm_jax.backends.explain`.
        deterministic: Whether dropout is left out, where the call does not say.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.

    Raises:
        ValueError: At `init` or `apply`, if a size is out of range.

    Example:
        >>> model = LSTM(3, 4, num_layers=2)
        >>> variables = model.init(jax.random.key(0), jnp.ones((7, 5, 3)))
        >>> ys, state = model.apply(variables, jnp.ones((7, 5, 3)))
        >>> ys.shape, state.h.shape, list(variables["params"])[:2]
        ((7, 5, 4), (2, 5, 4), ['weight_ih_l0', 'weight_hh_l0'])

    References:
        `torch.nn.LSTM`, whose defaults these are. Dropout acts unless `deterministic`
        says otherwise, as `flax.linen.Dropout`'s, here or in the call.
    """

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    proj_size: int = 0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Precision = None
    variational: bool = False
    remat: int | str | None = None
    truncate: int | None = None
    backend: str | Backend = "auto"
    deterministic: bool | None = None
    recurrent: Literal["uniform", "orthogonal"] = "uniform"
    forget_bias: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTM":
        """The module for these parameters, to be applied to `{"params": params}`.

        Args:
            params: Torch's names to arrays; sizes, layers, directions, biases and
                projection are read off them.
            **options: `batch_first`, `dropout`, `deterministic`, `variational`,
                `dtype`, `param_dtype` (None given: that of the parameters),
                `precision`, `remat`, `truncate`, `backend`.

        Raises:
            ValueError: If the keys and shapes are not those of one LSTM, or JAX
                would round an array: float64 while `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"linen.{cls.__name__}.from_params"
        known = f"batch_first dropout deterministic param_dtype {_OPTIONS}"
        _checks.check_known(where, options, f"{known} name parent")
        arrays = _checks.read_exact(where, params)
        sizes = _checks.read_spec(where, arrays).constructor_arguments()
        _ = options.setdefault("param_dtype", dtype_of(arrays))
        return cls(**sizes, **options)

    @classmethod
    def from_pretrained(
        cls, path: pretrained.PathLike
    ) -> tuple["LSTM", dict[str, dict[str, Array]]]:
        """A module and its variables, as `save_pretrained` wrote them.

        Args:
            path: A folder, or a `.safetensors` file; an `nnx` module's, too.

        Raises:
            FileNotFoundError: If there is no such folder or file.
            ValueError: If it holds another class, an option or a tensor that the class
                has not, or if one is missing.
        """
        where = "linen.LSTM.from_pretrained"
        options, arrays = pretrained.read(where, path, "LSTM", _SAVED.split())
        sizes = _checks.read_spec(where, arrays).constructor_arguments()
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
        where = "linen.LSTM.save_pretrained"
        _checks.check_rate(where, self.dropout)
        params = checked(where, variables, self.spec, "")
        save(self, path, _SAVED, params)

    @property
    def spec(self) -> LSTMSpec:
        """Sizes and flags, checked."""
        sizes = Sizes(
            self.input_size, self.hidden_size, self.num_layers, self.proj_size
        )
        return make_spec(
            "linen.LSTM", sizes, bias=self.bias, bidirectional=self.bidirectional
        )

    def setup(self) -> None:
        """Declare the parameters."""
        _checks.check_rate("linen.LSTM", self.dropout)
        self._params = declare(self, self.spec, "")

    def __call__(
        self,
        xs: Inputs,
        state: StateLike | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        reset_state: StateLike | None = None,
        deterministic: bool | None = None,
    ) -> tuple[Outputs, LSTMState]:
        """Run over a sequence, see `lstm_jax.lstm` for the arrays.

        Args:
            xs: Inputs, `(T, *B, I)`, or `(*B, T, I)` with `batch_first`.
            state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`; None means zeros.
            lengths: Steps of each row, shape `*B`; None means T.
            resets: True where a row starts anew before the step.
            reset_state: The state after a reset; None means zeros.
            deterministic: Whether dropout is left out; None means as the module's
                own `deterministic` says. Where it acts, `apply` needs `rngs=key` or
                `rngs={"dropout": key}`.

        Returns:
            Outputs of the last layer, and the state after each row's last step.

        Raises:
            ValueError: If shapes do not fit, or dropout has no key.
            TypeError: If an argument is not an array of the right kind.
        """
        params = bound(self)
        fixed = self.deterministic if deterministic is None else deterministic
        active = not fixed and self.dropout > 0 and self.num_layers > 1
        if active and not (self.has_rng("dropout") or self.has_rng("params")):
            raise ValueError(
                "linen.LSTM: rngs must have a key named 'dropout': dropout acts "
                "between the layers. Use apply(..., rngs={'dropout': key}), or "
                "deterministic=True to evaluate."
            )
        return lstm(
            params,
            xs,
            state,
            lengths=lengths,
            resets=resets,
            reset_state=reset_state,
            batch_first=self.batch_first,
            dropout=self.dropout if active else 0.0,
            dropout_key=self.make_rng("dropout") if active else None,
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
        """Run one time step, without dropout: `apply(..., method="step")`.

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
        call = partial(time_step, "linen.LSTM.step", self.spec, bound(self))
        return call(x, states, reset, **self._options())

    @linen.nowrap
    def initial_state(self, batch_shape: tuple[int, ...] = ()) -> LSTMState:
        """The state of zeros that a call without one starts from."""
        batch = _checks.check_batch_shape("linen.LSTM.initial_state", batch_shape)
        return zero_state(self.spec, batch, self.dtype or self.param_dtype)

    @property
    def num_feature_axes(self) -> int:
        """Refuse: `linen.RNN` asks its cell for it, and a stack is no cell."""
        # An AttributeError would be replaced by `linen.Module.__getattr__`'s own.
        raise TypeError(_checks.no_cell("linen.LSTM", "linen.RNN"))

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS.split()}
