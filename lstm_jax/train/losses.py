"""Losses: what each target costs. `fit` takes the mean over the targets it knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Shaped

from lstm_jax.train.batch import Batch

Loss = Callable[[Array, Array], Array]


class Sums(NamedTuple):
    """The losses of some targets, weighted and summed, and the sum of the weights."""

    loss: Float[Array, ""]
    weight: Float[Array, ""]

    def mean(self) -> Float[Array, ""]:
        """The mean over the targets; 0 where no target is known."""
        known = self.weight > 0
        return jnp.where(known, self.loss / jnp.where(known, self.weight, 1), 0)


def squared_error(
    predictions: Float[Array, "..."], ys: Shaped[Array, "..."]
) -> Float[Array, "..."]:
    """The square of each prediction's distance from its target.

    Args:
        predictions: `(B, O)`, or `(B, T, O)` for a model that predicts at every step.
        ys: Targets, in the same shape.

    Returns:
        Losses, in the same shape.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> squared_error(jnp.array([[1.0, 5.0]]), jnp.array([[3.0, 5.0]])).tolist()
        [[4.0, 0.0]]
    """
    if predictions.shape != ys.shape:
        cure = f"Use a model of output_size={ys.shape[-1]}."
        if predictions.ndim == ys.ndim + 1:
            cure = "Use ys[..., None]."
        raise ValueError(
            f"squared_error: {predictions.shape=} must be {ys.shape}, the shape of "
            f"`ys`. {cure}"
        )
    return (predictions - ys) ** 2


@dataclass(frozen=True)
class Pinball:
    """The pinball loss of several quantiles: made by `pinball`."""

    quantiles: tuple[float, ...]

    def __call__(
        self, predictions: Float[Array, "..."], ys: Shaped[Array, "..."]
    ) -> Float[Array, "..."]:
        """The mean over the quantiles of each target's loss."""
        levels = jnp.asarray(self.quantiles, predictions.dtype)
        miss = ys[..., None] - self.split(predictions, ys.shape)
        return jnp.maximum(levels * miss, (levels - 1) * miss).mean(-1)

    def split(self, predictions: Array, shape: tuple[int, ...]) -> Array:
        """Predictions `(..., O * Q)` as `(..., O, Q)`."""
        *before, outputs = shape or (0,)
        wide = (*before, outputs * len(self.quantiles))
        if predictions.shape != wide:
            raise ValueError(
                f"pinball: {predictions.shape=} must be {wide}: `ys` is {shape}, and "
                f"each target has {len(self.quantiles)} quantiles. Use a model of "
                f"output_size={wide[-1]}."
            )
        return predictions.reshape(*shape, len(self.quantiles))


def pinball(quantiles: Sequence[float]) -> Pinball:
    r"""A loss whose least value is reached by quantiles of the targets.

    With level $q$, target $y$ and prediction $p$ it is
    $\max(q (y - p), (q - 1) (y - p))$, and the mean over the levels.

    Args:
        quantiles: Levels, such as `(0.1, 0.5, 0.9)`: above 0, below 1, growing.

    Returns:
        A loss of predictions `(B, O * Q)`, or `(B, T, O * Q)`: a target's quantiles lie
        side by side. Targets are `(B, O)`, or `(B, T, O)`.

    Raises:
        ValueError: If the levels are not as above, or a call's shapes do not fit.

    Example:
        >>> loss = pinball((0.1, 0.9))  # 2 below costs 0.1 * 2, 1 above 0.1 * 1
        >>> [[round(float(loss(jnp.array([[1.0, 4.0]]), jnp.array([[3.0]]))[0, 0]), 6)]]
        [[0.15]]

    References:
        Koenker and Bassett, *Regression Quantiles*, 1978.
    """
    levels = tuple(float(level) for level in quantiles)
    inside = all(0 < level < 1 for level in levels)
    if not levels or not inside or list(levels) != sorted(set(levels)):
        raise ValueError(
            f"pinball: quantiles={levels} must be above 0, below 1 and growing: each "
            "is a share of the targets. Use quantiles=(0.1, 0.5, 0.9)."
        )
    return Pinball(levels)


def cross_entropy(
    predictions: Float[Array, "..."], ys: Int[Array, "..."]
) -> Float[Array, "..."]:
    """Minus the logarithm of the probability of each target's class.

    Args:
        predictions: Logits of C classes, `(B, C)`, or `(B, T, C)` for next tokens.
        ys: Classes, 0 to C-1: `(B,)`, or `(B, T)`. Another number costs NaN.

    Returns:
        Losses, in the shape of `ys`.

    Raises:
        ValueError: If the shapes do not fit.
        TypeError: If `ys` are no integers.

    Example:
        >>> float(cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0])  # log(4)
        1.3862943649291992
    """
    if not jnp.issubdtype(ys.dtype, jnp.integer):
        raise TypeError(
            f"cross_entropy: {ys.dtype=!s} must be an integer type: `ys` are classes. "
            "Use ys.astype('int32')."
        )
    if predictions.shape[:-1] != ys.shape:
        raise ValueError(
            f"cross_entropy: {predictions.shape[:-1]=} must be {ys.shape}, the shape "
            "of `ys`: the last axis of `predictions` counts classes. Use outputs='all' "
            "for a class at each step, outputs='last' for one."
        )
    losses = optax.softmax_cross_entropy_with_integer_labels(predictions, ys)
    known = (ys >= 0) & (ys < predictions.shape[-1])
    return jnp.where(known, losses, jnp.nan)


LOSSES: dict[str, Loss] = {
    "squared_error": squared_error,
    "cross_entropy": cross_entropy,
}


def sum_losses(loss: Loss, predictions: Any, batch: Batch) -> Sums:
    """The weighted losses of a batch; what has weight 0 is never looked at."""
    ys, weights = jnp.asarray(batch.ys), jnp.asarray(batch.weights)
    weights = weights.reshape(weights.shape + (1,) * (ys.ndim - weights.ndim))
    heads = jax.tree.leaves(predictions)
    if batch.lengths is not None and max(head.ndim for head in heads) > 2:
        within = jnp.arange(ys.shape[1]) < batch.lengths[:, None]
        weights = weights * within.reshape(*within.shape, *(1,) * (ys.ndim - 2))
    weights = jnp.broadcast_to(weights, ys.shape)
    known = weights != 0
    losses = loss(predictions, jnp.where(known, ys, _any_of(ys, known)))
    if losses.shape != ys.shape:
        raise ValueError(
            f"fit: the losses' shape {losses.shape} must be {ys.shape}, the shape of "
            "`ys`: `loss` gives one number for each target. Take no mean in it."
        )
    losses = jnp.where(known, losses, 0) * weights
    dtype = jnp.promote_types(losses.dtype, jnp.float32)
    return Sums(losses.sum(dtype=dtype), weights.sum(dtype=dtype))


def _any_of(ys: Array, known: Array) -> Array:
    """The largest target that is known: every loss is defined for it; 0 if none is.

    Devices that share the batch find it with one number of each.
    """
    least = _least(ys.dtype)
    found = jnp.max(ys, initial=least, where=known)
    return jnp.where(found == least, jnp.zeros_like(found), found)


def _least(dtype: Any) -> bool | int | float:
    if jnp.issubdtype(dtype, jnp.inexact):
        return -jnp.inf
    return jnp.iinfo(dtype).min if jnp.issubdtype(dtype, jnp.integer) else False
