"""What both sides train: a model with its first weights, and the batches in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from lstm_jax import LSTMModel, LSTMSpec
from parity.judge.tensors import Array

STEPS, BATCH, TIME, ROWS = 200, 16, 9, 96
SIZES = {"input_size": 3, "hidden_size": 12, "output_size": 2}
# The models that the command trains, by options of `LSTMModel`.
MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "projected": {"proj_size": 5},
    "dropout": {"num_layers": 2, "dropout": 0.25},
}


@dataclass(frozen=True)
class Work:
    """A model, its first weights and the batches of every step, in float32.

    Attributes:
        spec: Sizes of the LSTM.
        dropout: Between its layers.
        params: The weights before the first step, under the names of an `LSTMModel`.
        xs: Inputs of each step, `(S, B, T, I)`.
        ys: Targets, `(S, B, O)`.
        seed: Of the masks of dropout.
    """

    spec: LSTMSpec
    dropout: float
    params: Mapping[str, Array]
    xs: Array
    ys: Array
    seed: int

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.xs)

    def key(self, step: int) -> Any:
        """The key of the dropout of a step."""
        return jax.random.fold_in(jax.random.key(self.seed), step)

    def masks(self, step: int, dtype: str) -> list[Array]:
        """What dropout multiplies the outputs of each layer by, `(B, T, D * P)`.

        These are the draws of `lstm_jax.lstm`, time first, from the layer's own key.
        """
        if not self.dropout:
            return []
        features = self.spec.num_directions * self.spec.output_size
        shape = (self.xs.shape[2], self.xs.shape[1], features)
        with jax.enable_x64(dtype == "float64"):
            keys = [
                jax.random.fold_in(self.key(step), layer)
                for layer in range(1, self.spec.num_layers)
            ]
            kept = [jax.random.bernoulli(key, 1 - self.dropout, shape) for key in keys]
        scale = 1 - self.dropout or 1.0  # nothing is kept at a rate of 1
        return [np.moveaxis(np.asarray(one), 0, 1) / scale for one in kept]


def draw(model: LSTMModel, steps: int, seed: int) -> Work:
    """The batches that a model is trained on: 96 sequences, shuffled at each epoch.

    A target is what an LSTM must remember: the sum of the last steps, and one step a
    while ago; with noise, so that the loss does not fall to 0.
    """
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((ROWS, TIME, model.input_size))
    recent, earlier = np.tanh(xs[:, -4:, 0].sum(1)), xs[:, -6, -1]
    mixed = rng.standard_normal((2, model.output_size))
    ys = np.stack([recent, earlier], 1) @ mixed
    ys = ys + 0.3 * rng.standard_normal(ys.shape)
    epochs = -(-steps * BATCH // ROWS)
    order = np.concatenate([rng.permutation(ROWS) for _ in range(epochs)])
    rows = order[: steps * BATCH].reshape(steps, BATCH)
    params = {name: np.asarray(a, np.float32) for name, a in model.params().items()}
    arrays = xs.astype(np.float32)[rows], ys.astype(np.float32)[rows]
    return Work(model.spec, model.dropout, params, *arrays, seed)


def named_model(name: str, seed: int) -> LSTMModel:
    """A model of `MODELS`, with weights drawn as torch draws them."""
    return LSTMModel(**SIZES, **MODELS[name], rngs=nnx.Rngs(seed))


class Moment(NamedTuple):
    """A step: its loss, the norm of its gradients, and the weights after it."""

    loss: float
    norm: float
    weights: dict[str, Array]


class Run(NamedTuple):
    """All steps of a side: losses and norms `(S,)`, weights `(S, ...)` after each."""

    losses: Array
    norms: Array
    weights: dict[str, Array]


def run_of(moments: list[Moment]) -> Run:
    """The run of these moments, in float64."""
    losses, norms, weights = zip(*moments, strict=True)
    stacked = {name: np.stack([one[name] for one in weights]) for name in weights[0]}
    wide = {name: array.astype(np.float64) for name, array in stacked.items()}
    return Run(np.array(losses, np.float64), np.array(norms, np.float64), wide)
