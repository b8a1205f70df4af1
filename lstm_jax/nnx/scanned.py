"""`nnx.Module` for the loops of recurrent reinforcement learning."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from lstm_jax import _checks, backends
from lstm_jax._types import AnyArray, DTypeLike, Inputs, Outputs, Precision
from lstm_jax.carry import scanned, zero_carry
from lstm_jax.init import Draws, Sizes, draw_params, make_draws, make_spec
from lstm_jax.nnx.params import Sized, WithParams, params_key

_OPTIONS = "dtype precision remat truncate backend"


class ScannedLSTM(Sized, WithParams):
    """A stack of LSTM layers, called as purejaxrl calls its `ScannedRNN`.

    `carry, ys = rnn(carry, (xs, done))`: the carry is one array, `(B, L*(P+H))`, with
    `h` of every layer, then `c` of every layer. `done[t]` is what the environment
    returned together with the observation of step `t`; where it is not zero, the row
    starts from zeros *before* the step. Laws: one step after the other and all at once
    are the same; the outputs are those of `LSTM` with these weights and `resets=done`.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        num_layers: `L`.
        bias: Whether the layers have torch's two biases.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.
        precision: Of the products, see `lstm_jax.lstm`.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        truncate: Steps between cuts of the state's gradient, see `lstm_jax.lstm`.
        backend: See `lstm_jax.backends.explain`.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is unknown.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> from lstm_jax.nnx import ScannedLSTM
        >>> rnn = ScannedLSTM(3, 4, rngs=nnx.Rngs(0))
        >>> carry = ScannedLSTM.initialize_carry(5, 4)
        >>> carry, ys = rnn(carry, (jnp.ones((7, 5, 3)), jnp.zeros((7, 5))))
        >>> carry.shape, ys.shape, bool((carry[:, :4] == ys[-1]).all())
        ((5, 8), (7, 5, 4), True)

    References:
        `ScannedRNN` of purejaxrl (Lu et al., arXiv:2210.05639, 2022), whose call this
        is. There is no dropout and no reverse direction: an agent acts step by step.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        proj_size: int = 0,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
        forget_bias: float | None = None,
        precision: Precision = None,
        remat: int | str | None = None,
        truncate: int | None = None,
        backend: str | backends.Backend = "auto",
        rngs: nnx.Rngs,
    ) -> None:
        sizes = Sizes(input_size, hidden_size, num_layers, proj_size)
        self.spec = make_spec("ScannedLSTM", sizes, bias=bias)
        _checks.check_remat("ScannedLSTM", remat)
        _checks.check_truncate("ScannedLSTM", truncate, self.spec)
        backends.check_backend("ScannedLSTM", backend)
        self.dtype = _checks.dtype("ScannedLSTM", "dtype", dtype)
        self.precision = _checks.precision("ScannedLSTM", precision)
        self.remat = remat
        self.truncate = truncate
        self.backend = backend
        draws = Draws(param_dtype, recurrent, forget_bias)
        draws = make_draws("ScannedLSTM", self.spec, draws)
        self._set(draw_params(params_key("ScannedLSTM", rngs), self.spec, draws))

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> Any:
        """A module with these parameters, in their own types.

        Args:
            params: Torch's names to arrays; sizes, layers, biases and projection are
                read off them.
            **options: `dtype`, `precision`, `remat`, `truncate`, `backend`.

        Raises:
            ValueError: If the keys and shapes are not those of one LSTM without
                reverse directions, or JAX would round an array: float64 while
                `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        _checks.check_known(where, options, _OPTIONS)
        arrays = _checks.read_exact(where, params)
        spec = _checks.read_spec(where, arrays)
        _checks.check_steppable(where, spec)
        sizes = spec.constructor_arguments()
        del sizes["bidirectional"]
        make = partial(cls, **sizes, **options)
        module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    @staticmethod
    def initialize_carry(
        batch_size: int, hidden_size: int, num_layers: int = 1, proj_size: int = 0
    ) -> Float[Array, "B W"]:
        """The carry of zeros, `(B, L*(P+H))`, that an episode starts with.

        Raises:
            ValueError: If a size is out of range.
        """
        sizes = Sizes(1, hidden_size, num_layers, proj_size)
        return zero_carry("ScannedLSTM.initialize_carry", batch_size, sizes)

    def __call__(
        self,
        carry: Float[AnyArray, "B W"],
        inputs: tuple[Inputs, Shaped[AnyArray, "T B"]],
    ) -> tuple[Float[Array, "B W"], Outputs]:
        """Run over a rollout, or over one step of it with `T = 1`.

        Args:
            carry: The state before the first step, `(B, L*(P+H))`.
            inputs: `xs` `(T, B, I)`, and `done` `(T, B)` of booleans, integers or
                floats: not zero where the row starts anew before the step.

        Returns:
            The carry after, and the outputs `(T, B, P)`.

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If an argument is of the wrong kind.
        """
        call = partial(scanned, "ScannedLSTM", self.spec, self._params())
        return call(carry, inputs, **self._options())

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return self.spec.shapes()

    def _arguments(self) -> dict[str, Any]:
        arguments = self.spec.constructor_arguments() | self._options()
        del arguments["bidirectional"]
        return arguments

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _OPTIONS.split()}
