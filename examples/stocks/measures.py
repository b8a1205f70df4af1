"""What predictions of returns are worth, and why the famous curve says nothing."""

from typing import NamedTuple

import numpy as np

Z = 1.959964  # of a normal distribution: 95 % lie between -Z and Z


class HitRate(NamedTuple):
    """The share of days whose sign is predicted, and its 95 % interval."""

    rate: float
    low: float
    high: float


def hit_rate(predicted: np.ndarray, truth: np.ndarray, days: np.ndarray) -> HitRate:
    """How often a prediction has the sign of the return that came.

    Returns of 0 have no sign and are left out. The stocks move together, so that those
    of one day tell less than as many independent ones: the interval is Wilson's, with
    as many trials as independent ones would tell as much (Kish's design effect, over
    days).

    Args:
        predicted: Returns, `(N,)`, none of them 0.
        truth: Returns, `(N,)`.
        days: The day of each, `(N,)`.
    """
    signed = truth != 0
    hits = (np.sign(predicted) == np.sign(truth))[signed]
    rate, trials = float(hits.mean()), len(hits)
    _, place = np.unique(days[signed], return_inverse=True)
    apart = np.bincount(place, weights=hits - rate)  # of a day from the whole
    effect = (apart**2).sum() / (trials * rate * (1 - rate)) if 0 < rate < 1 else 1.0
    return HitRate(rate, *wilson(rate, trials / max(effect, 1.0)))


def wilson(rate: float, trials: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    References:
        Wilson, *Probable inference*, 1927, doi:10.1080/01621459.1927.10502953.
    """
    centre = rate + Z**2 / (2 * trials)
    half = Z * np.sqrt(rate * (1 - rate) / trials + (Z / (2 * trials)) ** 2)
    whole = 1 + Z**2 / trials
    return float((centre - half) / whole), float((centre + half) / whole)


def r_squared(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The share of the variance of `truth` that is predicted, as curves are praised."""
    return float(1 - ((predicted - truth) ** 2).mean() / truth.var())


def lag_correlations(
    predicted: np.ndarray, truth: np.ndarray, most: int = 5
) -> np.ndarray:
    """How the moves of a predicted price follow those of the price, at each lag.

    Args:
        predicted: The price predicted for each day, `(T,)`.
        truth: The price of each day, `(T,)`.
        most: The largest lag, K.

    Returns:
        Correlations of the changes of log prices, `(K + 1,)`: the predicted change of
        a day with the true one k days before. Where 0 is the largest the prediction
        comes in time; where 1 is, it repeats yesterday.
    """
    guess, true = np.diff(np.log(predicted)), np.diff(np.log(truth))
    pairs = ((guess[k:], true[: len(true) - k]) for k in range(most + 1))
    return np.array([np.corrcoef(*pair)[0, 1] for pair in pairs])
