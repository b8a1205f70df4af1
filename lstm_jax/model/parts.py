"""What stands before and after the LSTM of a model: an embedding, and a head."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lstm_jax import _checks
from lstm_jax._types import AnyArray, DTypeLike, Precision
from lstm_jax.nnx import WithParams

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "softmax": jax.nn.softmax,
    "tanh": jnp.tanh,
}


class Embedding(WithParams):
    """`torch.nn.Embedding`: a row of `weight` `(V, I)` for each token."""

    def __init__(
        self, num_embeddings: int, features: int, dtype: DTypeLike, *, rngs: nnx.Rngs
    ) -> None:
        _checks.check_size("LSTMModel", "num_embeddings", num_embeddings)
        self.num_embeddings, self.features = num_embeddings, features
        shape = (num_embeddings, features)
        self.weight = nnx.Param(jax.random.normal(rngs.params(), shape).astype(dtype))

    def __call__(self, tokens: AnyArray) -> Float[Array, "... I"]:
        """The rows; NaN for a token that is traced and has none."""
        weight = self.weight.get_value()
        # The sum of a row's gradients is made in float32 at least.
        wide = weight.astype(jnp.promote_types(weight.dtype, jnp.float32))
        tokens = jnp.where(tokens < 0, self.num_embeddings, tokens)
        rows = jnp.take(wide, tokens, axis=0, mode="fill", fill_value=jnp.nan)
        return rows.astype(weight.dtype)

    def _arguments(self) -> dict[str, Any]:
        return {"num_embeddings": self.num_embeddings, "features": self.features}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.num_embeddings, self.features)}


class Head(WithParams):
    """A linear layer under torch's names: `weight` `(O, P)`, `bias` `(O,)`."""

    def __init__(
        self,
        features: int,
        output_size: int,
        precision: Precision = None,
        param_dtype: DTypeLike = jnp.float32,
        activation: str | None = None,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        _checks.check_size("LSTMModel", "output_size", output_size)
        known = (None, *ACTIVATIONS)
        _checks.check_choice("LSTMModel", "activation", activation, known)
        self.features, self.output_size = features, output_size
        self.precision, self.activation = precision, activation
        bound = features**-0.5
        for name, shape in self.shapes().items():
            draw = jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
            setattr(self, name, nnx.Param(draw.astype(param_dtype)))

    def __call__(self, x: Float[Array, "... P"]) -> Float[Array, "... O"]:
        """`x @ weight.T + bias`, through the activation."""
        params = self._params()
        weight, bias = (params[name].astype(x.dtype) for name in ("weight", "bias"))
        sums = jnp.matmul(x, weight.T, precision=self.precision) + bias
        return sums if self.activation is None else ACTIVATIONS[self.activation](sums)

    def _arguments(self) -> dict[str, Any]:
        names = ["features", "output_size", "precision", "activation"]
        return {name: getattr(self, name) for name in names}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        outputs = self.output_size
        return {"weight": (outputs, self.features), "bias": (outputs,)}
