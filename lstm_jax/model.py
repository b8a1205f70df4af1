"""A whole model: an LSTM, then a linear layer on the last time step."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lstm_jax import _checks
from lstm_jax._types import AnyArray, DTypeLike, Inputs, Lengths, Precision
from lstm_jax.init import Sizes, make_spec
from lstm_jax.nnx import LSTM, Rngs, Saved, Sized, WithParams


class LSTMModel(Sized, Saved):
    """An LSTM over a batch-first sequence, then a linear layer on the last time step.

    Args:
        input_size: `I`, features of the input.
        hidden_size: `H`, features of the cell.
        output_size: Features of the prediction.
        num_layers: `L`.
        bias: Whether the LSTM layers have torch's two biases.
        dropout: Probability of zeroing an element of a layer's output, but the last's.
        bidirectional: Whether there is a reverse direction. At the last step it has
            seen only that step, as in `torch.nn.LSTM`'s `out[:, -1]`.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the LSTM's two forget-gate biases.
        precision: Of the products, see `lstm_jax.lstm`.
        deterministic: Whether dropout is left out, where the call does not say.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is unknown.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> model = LSTMModel(1, 64, 1, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((32, 10, 1))).shape
        (32, 1)

    References:
        Its torch twin is `torch.nn.LSTM(..., batch_first=True)` named `lstm`, then
        `torch.nn.Linear` named `fc`: the state dicts have the same keys and shapes.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
        forget_bias: float | None = None,
        precision: Precision = None,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        sizes = Sizes(input_size, hidden_size, num_layers, proj_size)
        self.spec = make_spec(
            "LSTMModel", sizes, bias=bias, bidirectional=bidirectional
        )
        draws: Any = {"recurrent": recurrent, "forget_bias": forget_bias}
        draws["param_dtype"] = param_dtype
        self.lstm = LSTM(
            **self.spec.constructor_arguments(),
            **draws,
            batch_first=True,
            dropout=dropout,
            dtype=dtype,
            precision=precision,
            deterministic=deterministic,
            rngs=rngs,
        )
        features = self.spec.output_size * self.spec.num_directions
        self.fc = Head(features, output_size, precision, param_dtype, rngs=rngs)

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTMModel":
        """A model with these parameters, named `lstm.weight_ih_l0`, ..., `fc.bias`.

        Args:
            params: The names of the torch twin to arrays.
            **options: `dropout`, `deterministic`, `dtype`, `precision`.

        Raises:
            ValueError: If the keys and shapes are not those of one model.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        _checks.check_known(where, options, "dropout deterministic dtype precision")
        arrays = _checks.read_params(where, params)
        make = partial(cls, **cls._sizes_of(where, arrays), **options)
        module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    @property
    def output_size(self) -> int:
        """Features of the prediction."""
        return self.fc.output_size

    @property
    def dropout(self) -> float:
        """Probability of zeroing an element between two layers."""
        return self.lstm.dropout

    def load_params(self, params: Mapping[str, AnyArray]) -> None:
        """Replace every parameter, in the types given.

        Raises:
            ValueError: If a key is missing or not used, or a shape differs. Nothing is
                replaced then.
            TypeError: If a value is not a floating array.
        """
        where = f"{type(self).__name__}.load_params"
        arrays = _checks.check_params(where, params, self.shapes())
        self.lstm.load_params(_under("lstm.", arrays))
        self.fc.load_params(_under("fc.", arrays))

    def __call__(
        self,
        xs: Inputs,
        *,
        lengths: Lengths | None = None,
        deterministic: bool | None = None,
        rngs: Rngs | None = None,
    ) -> Float[Array, "... O"]:
        """Predict from each sequence.

        Args:
            xs: Inputs, `(*B, T, I)` with T at least 1.
            lengths: Steps of each row, shape `*B`; None means T. The last step is then
                the row's own; a row of length 0 has an output of zeros.
            deterministic: Whether dropout is left out; None means as the module's
                own `deterministic` says.
            rngs: Where dropout acts, a key, an `nnx.RngStream`, or an `nnx.Rngs`
                (stream `dropout`).

        Returns:
            Predictions, `(*B, O)`.

        Raises:
            ValueError: If shapes do not fit, or there is no step or no `rngs`.
            TypeError: If an argument is not an array of the right kind.
        """
        xs = _checks.check_inputs("LSTMModel", xs, self.spec)
        ys, _ = self.lstm(xs, lengths=lengths, deterministic=deterministic, rngs=rngs)
        _checks.check_last_step("LSTMModel", ys.shape)
        if lengths is None:
            return self.fc(ys[..., -1, :])
        # Signed, for 0 - 1 of uint8 is 255; within T, as `lstm` clamps what is traced.
        last = jnp.asarray(lengths).astype(jnp.int32) - 1
        last = jnp.clip(last, 0, ys.shape[-2] - 1)[..., None, None]
        return self.fc(jnp.take_along_axis(ys, last, axis=-2)[..., 0, :])

    @classmethod
    def _sizes_of(cls, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
        head = [name for name in params if not name.startswith("lstm.")]
        _checks.refuse_keys(where, head, ["fc.weight", "fc.bias"])
        spec = _checks.read_spec(where, _under("lstm.", params))
        sizes = {"output_size": params["fc.bias"].size}
        return spec.constructor_arguments() | sizes

    def _arguments(self) -> dict[str, Any]:
        known = inspect.signature(LSTMModel.__init__).parameters
        held = self.lstm._arguments() | {"output_size": self.output_size}
        return {name: held[name] for name in known if name in held}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return _over("lstm.", self.lstm.shapes()) | _over("fc.", self.fc.shapes())

    def _params(self) -> dict[str, Array]:
        return _over("lstm.", self.lstm.params()) | _over("fc.", self.fc.params())


class Head(WithParams):
    """A linear layer under torch's names: `weight` `(O, P)`, `bias` `(O,)`."""

    def __init__(
        self,
        features: int,
        output_size: int,
        precision: Precision = None,
        param_dtype: DTypeLike = jnp.float32,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        _checks.check_size("LSTMModel", "output_size", output_size)
        self.features, self.output_size = features, output_size
        self.precision = precision
        bound = features**-0.5
        for name, shape in self.shapes().items():
            draw = jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
            setattr(self, name, nnx.Param(draw.astype(param_dtype)))

    def __call__(self, x: Float[Array, "... P"]) -> Float[Array, "... O"]:
        """`x @ weight.T + bias`."""
        params = self._params()
        weight, bias = (params[name].astype(x.dtype) for name in ("weight", "bias"))
        return jnp.matmul(x, weight.T, precision=self.precision) + bias

    def _arguments(self) -> dict[str, Any]:
        names = ["features", "output_size", "precision"]
        return {name: getattr(self, name) for name in names}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        outputs = self.output_size
        return {"weight": (outputs, self.features), "bias": (outputs,)}


def _over(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in values.items()}


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
