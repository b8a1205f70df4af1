"""`flax.linen.Module` for the loops of recurrent reinforcement learning."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen
from jaxtyping import Array, Float, Shaped

from lstm_jax import _checks
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Inputs,
    LSTMSpec,
    Outputs,
    Precision,
)
from lstm_jax.backends import Backend
from lstm_jax.carry import scanned, spec_of_carry, zero_carry
from lstm_jax.init import Sizes, make_spec
from lstm_jax.linen.params import declare, dtype_of

_WHERE = "linen.ScannedLSTM"
_OPTIONS = "dtype precision remat truncate backend"


class ScannedLSTM(linen.Module):
    """A stack of LSTM layers, called as purejaxrl calls its `ScannedRNN`.

    `carry, ys = ScannedLSTM()(carry, (xs, done))` within a parent's compact method. The
    carry is one array, `(B, L*(P+H))`, with `h` of every layer, then `c` of every
    layer: its width says how many units there are. `done[t]` is what the environment
    returned together with the observation of step `t`; where it is not zero, the row
    starts from zeros *before* the step. Laws: one step after the other and all at once
    are the same; the outputs are those of `LSTM` with these weights and `resets=done`.

    Args:
        num_layers: `L`.
        bias: Whether the layers have torch's two biases.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters that `init` draws.
        precision: Of the products, see `lstm_jax.lstm`.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        truncate: Steps between cuts of the state's gradient, see `lstm_jax.lstm`.
        backend: See `lstm_jax.backends.explain`.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the two forget-gate biases.

    Raises:
        ValueError: At `init` or `apply`, if a size is out of range.

    Example:
        >>> from lstm_jax.linen import ScannedLSTM
        >>> carry = ScannedLSTM.initialize_carry(5, 4)
        >>> inputs = jnp.ones((7, 5, 3)), jnp.zeros((7, 5))
        >>> variables = ScannedLSTM().init(jax.random.key(0), carry, inputs)
        >>> carry, ys = ScannedLSTM().apply(variables, carry, inputs)
        >>> carry.shape, ys.shape, variables["params"]["weight_hh_l0"].shape
        ((5, 8), (7, 5, 4), (16, 4))

    References:
        `ScannedRNN` of purejaxrl (Lu et al., arXiv:2210.05639, 2022), whose call this
        is. There is no dropout and no reverse direction: an agent acts step by step.
    """

    num_layers: int = 1
    bias: bool = True
    proj_size: int = 0
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = jnp.float32
    precision: Precision = None
    remat: int | str | None = None
    truncate: int | None = None
    backend: str | Backend = "auto"
    recurrent: Literal["uniform", "orthogonal"] = "uniform"
    forget_bias: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> Any:
        """The module for these parameters, to be applied to `{"params": params}`.

        Args:
            params: Torch's names to arrays; layers, biases and projection are read off
                them.
            **options: `dtype`, `param_dtype` (None given: that of the parameters),
                `precision`, `remat`, `truncate`, `backend`.

        Raises:
            ValueError: If the keys and shapes are not those of one LSTM without
                reverse directions, or JAX would round an array: float64 while
                `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"linen.{cls.__name__}.from_params"
        _checks.check_known(where, options, f"{_OPTIONS} param_dtype name parent")
        arrays = _checks.read_exact(where, params)
        spec = _checks.read_spec(where, arrays)
        _checks.check_steppable(where, spec)
        _ = options.setdefault("param_dtype", dtype_of(arrays))
        return cls(spec.num_layers, spec.bias, spec.proj_size, **options)

    @staticmethod
    def initialize_carry(
        batch_size: int, hidden_size: int, num_layers: int = 1, proj_size: int = 0
    ) -> Float[Array, "B W"]:
        """The carry of zeros, `(B, L*(P+H))`, that an episode starts with.

        Raises:
            ValueError: If a size is out of range.
        """
        sizes = Sizes(1, hidden_size, num_layers, proj_size)
        return zero_carry(f"{_WHERE}.initialize_carry", batch_size, sizes)

    @linen.compact
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
        carry = _checks.check_one_array(_WHERE, carry)
        xs, done = _checks.check_with_done(_WHERE, inputs, carry.shape[0])
        spec = self._spec(carry, xs)
        run = partial(scanned, _WHERE, spec, declare(self, spec, ""))
        options = {name: getattr(self, name) for name in _OPTIONS.split()}
        return run(carry, (xs, done), **options)

    def _spec(self, carry: Array, xs: Array) -> LSTMSpec:
        """Sizes by the weights where there are some, else by the carry and inputs."""
        given = linen.meta.unbox(self.variables.get("params", {}))
        sizes = Sizes(xs.shape[-1], 1, self.num_layers, self.proj_size)
        if not given:
            return spec_of_carry(_WHERE, carry, sizes, self.bias)
        found = _checks.read_spec(_WHERE, given)
        sizes = sizes._replace(input_size=found.input_size)
        sizes = sizes._replace(hidden_size=found.hidden_size)
        return make_spec(_WHERE, sizes, bias=self.bias)
