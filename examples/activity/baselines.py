"""A linear model on rolling features: what a step is told of without a network."""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.lib.stride_tricks import sliding_window_view

from examples.activity.data import CLASSES, Streams

UPDATES, TINY = 200, 1e-3
WIDTHS = ((11,), (5, 21), (11, 31))  # of the windows, in steps
PENALTIES = (1e-4, 1e-3)
SMOOTHED = (1, 11, 21, 31)  # steps over which the probabilities are averaged


class Linear(NamedTuple):
    """Multinomial logistic regression on standardised rolling features.

    Attributes:
        widths: Of the windows, see `rolling`.
        smoothed: Steps over which the probabilities are averaged, odd.
        weights: `w` and `b`, of the logits.
        centre: Means of the features on the training streams.
        scale: Their deviations.
    """

    widths: tuple[int, ...]
    smoothed: int
    weights: dict[str, np.ndarray]
    centre: np.ndarray
    scale: np.ndarray

    def predict(self, xs: np.ndarray) -> np.ndarray:
        """The class of each step, `(N, T)`."""
        features = (rolling(xs, self.widths) - self.centre) / self.scale
        logits = features @ self.weights["w"] + self.weights["b"]
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = odds / odds.sum(axis=-1, keepdims=True)
        return around(shares, self.smoothed).mean(axis=-1).argmax(axis=-1)


def fit_linear(
    trains: Sequence[Streams], valid: Streams, tried: Sequence[tuple[int, ...]] = WIDTHS
) -> Linear:
    """The best on `valid`, of every training part, widths, penalty and smoothing."""
    best: tuple[float, Any] = (-1.0, None)
    for train, widths, penalty in product(trains, tried, PENALTIES):
        features = rolling(train.xs, widths)
        features = features.reshape(-1, features.shape[-1])
        centre, scale = features.mean(axis=0), features.std(axis=0)
        weights = minimum((features - centre) / scale, train.ys.ravel(), penalty)
        for smoothed in SMOOTHED:
            made = Linear(widths, smoothed, weights, centre, scale)
            right = float(np.mean(made.predict(valid.xs) == valid.ys))
            best = max(best, (right, made), key=lambda pair: pair[0])
    return best[1]


def around(values: np.ndarray, width: int) -> np.ndarray:
    """The `width` steps around each, `(N, T, I, width)`; the ends are repeated."""
    sides = ((0, 0), (width // 2, width // 2), (0, 0))
    return sliding_window_view(np.pad(values, sides, mode="edge"), width, axis=1)


def rolling(xs: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
    """The values, and what is found in windows around each step.

    Args:
        xs: Streams, `(N, T, I)`.
        widths: Steps of the windows, odd: a step is in the middle of its windows.

    Returns:
        The values, then for each width the mean, the least, the most, the deviation and
        its logarithm, `(N, T, I * (1 + 5 * len(widths)))`.
    """
    parts = [xs]
    for width in widths:
        seen = around(xs, width)
        spread = seen.std(axis=-1)
        parts += [seen.mean(axis=-1), seen.min(axis=-1), seen.max(axis=-1)]
        parts += [spread, np.log(spread + TINY)]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def minimum(
    features: np.ndarray, ys: np.ndarray, penalty: float
) -> dict[str, np.ndarray]:
    """Weights with the least cross-entropy and penalty, by L-BFGS.

    Args:
        features: `(n, features)`.
        ys: Classes, `(n,)`.
        penalty: What the squares of the weights cost.
    """
    found = _minimum(jnp.asarray(features), jnp.asarray(ys), penalty)
    return {name: np.asarray(array) for name, array in found.items()}


@jax.jit
def _minimum(features: jax.Array, ys: jax.Array, penalty: float) -> Any:
    def loss(weights: Any) -> jax.Array:
        logits = features @ weights["w"] + weights["b"]
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, ys)
        return entropy.mean() + penalty * jnp.sum(weights["w"] ** 2)

    solver, slope = optax.lbfgs(), optax.value_and_grad_from_state(loss)

    def update(carry: Any, _: None) -> tuple[Any, None]:
        weights, state = carry
        value, grads = slope(weights, state=state)
        told = {"value": value, "grad": grads, "value_fn": loss}
        changes, state = solver.update(grads, state, weights, **told)
        return (optax.apply_updates(weights, changes), state), None

    shape = (features.shape[1], len(CLASSES))
    weights = {"w": jnp.zeros(shape), "b": jnp.zeros(len(CLASSES))}
    carry = (weights, solver.init(weights))
    return jax.lax.scan(update, carry, length=UPDATES)[0][0]
