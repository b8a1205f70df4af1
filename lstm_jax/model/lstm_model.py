"""`LSTMModel`: an LSTM over a batch-first sequence, and a head."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from lstm_jax import _checks
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Lengths,
    LSTMState,
    Precision,
    StateLike,
)
from lstm_jax.init import Sizes, make_spec
from lstm_jax.model.parts import Embedding, Head
from lstm_jax.model.readout import OUTPUTS, read_out
from lstm_jax.nnx import LSTM, Rngs, Saved, Sized

_OPTIONS = "outputs activation dropout deterministic dtype precision remat"


class LSTMModel(Sized, Saved):
    """An LSTM over a batch-first sequence, then a linear layer on its outputs.

    Args:
        input_size: `I`, features of the input, or of the embedding of a token.
        hidden_size: `H`, features of the cell.
        output_size: `O`, features of the prediction.
        num_layers: `L`.
        num_embeddings: `V`, rows of an embedding before the LSTM: inputs are tokens, 0
            to V-1. 0 means none: inputs are features.
        outputs: What the head is given. "last": the outputs of each row's last step,
            `out[:, -1]` in torch; its reverse direction has seen that step alone.
            "final": `h_n` of the last layer, each direction at its own end. "mean": the
            mean over each row's steps. "all": every step.
        activation: What the head's sums go through: None, "relu", "sigmoid", "softmax"
            or "tanh".
        bias: Whether the LSTM layers have torch's two biases.
        dropout: Probability of zeroing an element of a layer's output, but the last's.
        bidirectional: Whether there is a reverse direction.
        proj_size: `P`, features of the output; 0 means no projection, `P = H`.
        dtype: Type of the products; None means that of parameters and inputs together.
        param_dtype: Type of the parameters.
        recurrent: "uniform", or "orthogonal", see `lstm_jax.init_params`.
        forget_bias: None, or the initial sum of the LSTM's two forget-gate biases.
        precision: Of the products, see `lstm_jax.lstm`.
        remat: Steps between the states kept for the backward pass, see `lstm_jax.lstm`.
        deterministic: Whether dropout is left out, where the call does not say.
        rngs: Source of the initial parameters, stream `params`.

    Raises:
        ValueError: If a size is out of range, or an option is unknown.
        TypeError: If a type is not floating, or a flag is not True or False.

    Example:
        >>> model = LSTMModel(1, 64, 1, rngs=nnx.Rngs(0))
        >>> model(jnp.ones((32, 10, 1))).shape
        (32, 1)
        >>> tagger = LSTMModel(
        ...     8, 16, 5, num_embeddings=50, outputs="all", rngs=nnx.Rngs(0)
        ... )
        >>> tagger(jnp.zeros((3, 7), int)).shape
        (3, 7, 5)

    References:
        Its torch twin is `torch.nn.Embedding` named `embedding` where there is one,
        `torch.nn.LSTM(..., batch_first=True)` named `lstm`, then `torch.nn.Linear`
        named `fc`: the state dicts have the same keys and shapes. "final" is what a
        `keras.layers.Bidirectional` returns.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        num_layers: int = 1,
        *,
        num_embeddings: int = 0,
        outputs: Literal["last", "final", "mean", "all"] = "last",
        activation: Literal["relu", "sigmoid", "softmax", "tanh"] | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        recurrent: Literal["uniform", "orthogonal"] = "uniform",
        forget_bias: float | None = None,
        precision: Precision = None,
        remat: int | Literal["sqrt"] | None = None,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        sizes = Sizes(input_size, hidden_size, num_layers, proj_size)
        self.spec = make_spec(
            "LSTMModel", sizes, bias=bias, bidirectional=bidirectional
        )
        _checks.check_choice("LSTMModel", "outputs", outputs, OUTPUTS)
        self.outputs = outputs
        draws: Any = {"recurrent": recurrent, "forget_bias": forget_bias}
        draws |= {"param_dtype": param_dtype, "remat": remat}
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
        head = partial(Head, features, output_size, precision, param_dtype)
        self.fc = head(activation, rngs=rngs)
        embedding = None
        if num_embeddings != 0:
            sizes = num_embeddings, input_size
            embedding = Embedding(*sizes, param_dtype, rngs=rngs)
        self.embedding = nnx.data(embedding)

    @classmethod
    def from_params(cls, params: Mapping[str, AnyArray], **options: Any) -> "LSTMModel":
        """A model with these parameters, named `lstm.weight_ih_l0`, ..., `fc.bias`.

        Args:
            params: The names of the torch twin to arrays.
            **options: `outputs`, `activation`, `dropout`, `deterministic`, `dtype`,
                `precision`, `remat`.

        Raises:
            ValueError: If the keys and shapes are not those of one model, or JAX
                would round an array: float64 while `jax_enable_x64` is off.
            TypeError: If a value is not a floating array, or an option is unknown.
        """
        where = f"{cls.__name__}.from_params"
        _checks.check_known(where, options, _OPTIONS)
        arrays = _checks.read_exact(where, params)
        make = partial(cls, **cls._sizes_of(where, arrays), **options)
        module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
        module.load_params(arrays)
        return module

    @property
    def output_size(self) -> int:
        """`O`, features of the prediction."""
        return self.fc.output_size

    @property
    def num_embeddings(self) -> int:
        """`V`, rows of the embedding; 0 where inputs are features."""
        return 0 if self.embedding is None else self.embedding.num_embeddings

    @property
    def activation(self) -> str | None:
        """What the head's sums go through."""
        return self.fc.activation

    @property
    def remat(self) -> int | str | None:
        """Steps between the states kept for the backward pass; None means every one."""
        return self.lstm.remat

    @property
    def dropout(self) -> float:
        """Probability of zeroing an element between two layers."""
        return self.lstm.dropout

    def load_params(self, params: Mapping[str, AnyArray]) -> None:
        """Replace every parameter, in the types given: the module takes these types.

        Raises:
            ValueError: If a key is missing or not used, a shape differs, or JAX would
                round an array: float64 while `jax_enable_x64` is off. Nothing is
                replaced then.
            TypeError: If a value is not a floating array.
        """
        where = f"{type(self).__name__}.load_params"
        arrays = _checks.check_exact(where, params, self.shapes())
        for prefix, part in self._parts().items():
            part.load_params(_under(prefix, arrays))

    def __call__(
        self,
        xs: AnyArray,
        *,
        lengths: Lengths | None = None,
        deterministic: bool | None = None,
        rngs: Rngs | None = None,
    ) -> Float[Array, "... O"]:
        """Predict from each sequence.

        Args:
            xs: Inputs, `(*B, T, I)`; with an embedding, tokens `(*B, T)`.
            lengths: Steps of each row, shape `*B`; None means T. A row of length 0
                predicts what the head makes of zeros.
            deterministic: Whether dropout is left out; None means as the module's
                own `deterministic` says.
            rngs: Where dropout acts, a key, an `nnx.RngStream`, or an `nnx.Rngs`
                (stream `dropout`).

        Returns:
            Predictions, `(*B, O)`; `(*B, T, O)` with `outputs="all"`, where those past
            a row's length are what the head makes of zeros.

        Raises:
            ValueError: If shapes do not fit, a token has no row, or there is no step
                or no `rngs`.
            TypeError: If an argument is not an array of the right kind.
        """
        masks: Any = {"lengths": lengths, "deterministic": deterministic, "rngs": rngs}
        return self._run(xs, None, **masks)[0]

    def with_state(
        self,
        xs: AnyArray,
        state: StateLike | None = None,
        *,
        lengths: Lengths | None = None,
        deterministic: bool | None = None,
        rngs: Rngs | None = None,
    ) -> tuple[Float[Array, "... O"], LSTMState]:
        """Predict from each sequence, and keep the state for the next part of it.

        Args:
            xs: As in a call.
            state: State before, `(L*D, *B, P)` and `(L*D, *B, H)`; None means zeros.
            lengths: As in a call.
            deterministic: As in a call.
            rngs: As in a call.

        Returns:
            Predictions as of a call, and the state after each row's last step.

        Raises:
            ValueError: As a call.
            TypeError: As a call.
        """
        masks: Any = {"lengths": lengths, "deterministic": deterministic, "rngs": rngs}
        return self._run(xs, state, **masks)

    def step(
        self, x: AnyArray, state: StateLike | None
    ) -> tuple[Float[Array, "*B O"], LSTMState]:
        """Predict from one time step, without dropout.

        Args:
            x: Input, `(*B, I)`; with an embedding, tokens `*B`.
            state: State before, as `initial_state` or the last call returned it; None
                means zeros.

        Returns:
            The prediction `(*B, O)` of a sequence that ends here, and the state after.

        Raises:
            ValueError: If the stack is bidirectional, `outputs` is "mean", or shapes
                do not fit.
            TypeError: If an argument is not an array of the right kind.
        """
        _checks.check_no_mean("LSTMModel.step", self.outputs)
        if self.embedding is not None:
            x = self.embedding(
                _checks.check_tokens("LSTMModel.step", "x", x, self.num_embeddings)
            )
        y, after = self.lstm.step(x, state)
        return self.fc(y), after

    def initial_state(self, batch_shape: tuple[int, ...] = ()) -> LSTMState:
        """The state of zeros that a call without one starts from."""
        return self.lstm.initial_state(batch_shape)

    def _run(
        self, xs: Any, state: StateLike | None, **masks: Any
    ) -> tuple[Array, LSTMState]:
        xs = self._features(xs, masks["lengths"])
        ys, after = self.lstm(xs, state, **masks)
        if self.outputs in ("last", "mean"):
            _checks.check_last_step("LSTMModel", ys.shape)
        read = partial(read_out, self.outputs, ys, after, masks["lengths"])
        return self.fc(read(self.spec.num_directions)), after

    def _features(self, xs: Any, lengths: Any) -> Array:
        """The LSTM's inputs; what lies past a row's length is no token."""
        if self.embedding is None:
            return _checks.check_inputs("LSTMModel", xs, self.spec)
        tokens = _checks.check_token_rows("LSTMModel", xs)
        if lengths is not None:
            *batch, steps = tokens.shape
            lengths = _checks.check_lengths("LSTMModel", lengths, tuple(batch), steps)
            within = jnp.arange(steps) < lengths.astype(jnp.int32)[..., None]
            tokens = jnp.where(within, tokens, 0)
        rows = self.num_embeddings
        return self.embedding(_checks.check_tokens("LSTMModel", "xs", tokens, rows))

    @classmethod
    def _sizes_of(cls, where: str, params: Mapping[str, Any]) -> dict[str, Any]:
        others = [name for name in params if not name.startswith("lstm.")]
        embedding = [name for name in others if name == "embedding.weight"]
        _checks.refuse_keys(where, others, [*embedding, "fc.weight", "fc.bias"])
        spec = _checks.read_spec(where, _under("lstm.", params))
        rows = len(params["embedding.weight"]) if embedding else 0
        sizes = {"output_size": params["fc.bias"].size, "num_embeddings": rows}
        return spec.constructor_arguments() | sizes

    def _arguments(self) -> dict[str, Any]:
        known = inspect.signature(LSTMModel.__init__).parameters
        names = ("output_size", "num_embeddings", "outputs", "activation")
        held = self.lstm._arguments() | {name: getattr(self, name) for name in names}
        return {name: held[name] for name in known if name in held}

    def _parts(self) -> dict[str, Any]:
        """The parts by the prefix of their parameters, in the order of the twin."""
        parts: dict[str, Any] = {"lstm.": self.lstm, "fc.": self.fc}
        if self.embedding is not None:
            parts = {"embedding.": self.embedding, **parts}
        return parts

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            f"{prefix}{name}": shape
            for prefix, part in self._parts().items()
            for name, shape in part.shapes().items()
        }

    def _params(self) -> dict[str, Array]:
        return {
            f"{prefix}{name}": array
            for prefix, part in self._parts().items()
            for name, array in part.params().items()
        }


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
