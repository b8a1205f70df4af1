"""How good quantiles are: their loss, and the share of truths between them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num

from lstm_jax.train.scores.metrics import known_pairs, mean_of

Array = np.ndarray


def pinball(
    predicted: Num[Array, "*N Q"], truth: Num[Array, "*N"], quantiles: Sequence[float]
) -> float:
    r"""Mean pinball loss over all quantiles.

    For the quantile $\tau$, $\max(\tau (y - p), (\tau - 1)(y - p))$. For $\tau = 1/2$
    it is half the absolute error.

    Args:
        predicted: Predictions, the quantiles last.
        truth: The truth $y$.
        quantiles: $\tau$ of each.

    Returns:
        The loss, in the unit of the truth.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> pinball(np.array([[2.0, 8.0]]), np.array([4.0]), (0.25, 0.75))  # 0.5, 1
        0.75

    References:
        Koenker and Bassett, *Regression quantiles*, 1978, doi:10.2307/1913643.
    """
    taus = np.asarray(quantiles, np.float64)
    p, y = known_pairs(
        "pinball", predicted, np.repeat(truth[..., None], len(taus), axis=-1)
    )
    over = (y - p).reshape(-1, len(taus))
    return mean_of(np.maximum(taus * over, (taus - 1) * over))


def coverage(predicted: Num[Array, "*N Q"], truth: Num[Array, "*N"]) -> float:
    r"""The share of truths between the first and the last quantile, both included.

    Args:
        predicted: Predictions, the quantiles last, from the lowest to the highest.
        truth: The truth $y$.

    Returns:
        The share, from 0 to 1: with quantiles 0.1 and 0.9 it should be 0.8.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> band = np.array([[0.0, 2.0], [0.0, 2.0]])
        >>> coverage(band, np.array([2.0, 3.0]))
        0.5
    """
    lowest, y = known_pairs("coverage", predicted[..., 0], truth)
    highest, _ = known_pairs("coverage", predicted[..., -1], truth)
    if len(lowest) != len(highest):
        return float("nan")
    return mean_of((lowest <= y) & (y <= highest))
