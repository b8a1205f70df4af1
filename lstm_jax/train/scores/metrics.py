r"""How far predictions are from the truth, one number each.

Every function takes the predictions $p$ and the truth $y$ in one shape, in the target's
own unit, and computes in float64. A truth that is NaN is not known and is left out.
What is undefined is NaN, never 0 or infinite: each function says when. So is every
score where no truth is known, or a prediction of a known truth is not finite.
"""

import numpy as np
from jaxtyping import Num

Array = np.ndarray


def rmse(predicted: Num[Array, "*N"], truth: Num[Array, "*N"]) -> float:
    r"""Root of the mean squared error, $\sqrt{\text{mean}((p - y)^2)}$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> rmse(np.array([1.0, 2.0, 9.0]), np.array([2.0, 9.0, np.nan]))  # 1, 49
        5.0
    """
    return _mean_square("rmse", predicted, truth) ** 0.5


def mae(predicted: Num[Array, "*N"], truth: Num[Array, "*N"]) -> float:
    r"""Mean absolute error, $\text{mean}(|p - y|)$.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mae(np.array([1.0, 2.0, 9.0]), np.array([4.0, 6.0, np.nan]))
        3.5
    """
    p, y = known_pairs("mae", predicted, truth)
    return mean_of(np.abs(p - y))


def skill(
    predicted: Num[Array, "*N"], truth: Num[Array, "*N"], reference: Num[Array, "*N"]
) -> float:
    r"""What share of the reference's squared error is gone, $1 - MSE / MSE_{ref}$.

    1 is perfect, 0 as good as the reference, below 0 worse. Where the reference is not
    finite, neither of the two is counted.

    Args:
        predicted: Predictions $p$.
        truth: The truth $y$.
        reference: What a baseline predicts for the same places: persistence.

    Returns:
        The skill; NaN where the reference makes no error.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> truth, last = np.array([2.0, 4.0]), np.array([0.0, 2.0])
        >>> skill(np.array([1.0, 3.0]), truth, last)  # 1 - 1 / 4
        0.75

    References:
        Murphy, *Skill scores based on the mean square error*, 1988,
        doi:10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """
    refuse_shapes("skill", predicted, truth)
    refuse_shapes("skill", reference, truth)
    both = np.where(np.isfinite(reference), truth, np.nan)
    theirs = _mean_square("skill", reference, both)
    return 1 - _ratio(_mean_square("skill", predicted, both), theirs)


def nse(predicted: Num[Array, "*N"], truth: Num[Array, "*N"]) -> float:
    r"""Nash-Sutcliffe efficiency, $1 - \sum (p - y)^2 / \sum (y - \bar y)^2$.

    1 is perfect, 0 as good as the mean of this very truth. It flatters: where the truth
    changes slowly, the last known value alone comes close to 1.

    Returns:
        The efficiency; NaN where the truth is constant.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> nse(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))  # 1 - 1 / 2
        0.5

    References:
        Nash and Sutcliffe, *River flow forecasting through conceptual models*, 1970,
        doi:10.1016/0022-1694(70)90255-6.
    """
    p, y = known_pairs("nse", predicted, truth)
    return 1 - _ratio(mean_of((p - y) ** 2), _spread(y) ** 2)


def kge(predicted: Num[Array, "*N"], truth: Num[Array, "*N"]) -> float:
    r"""Kling-Gupta efficiency.

    $$
    1 - \sqrt{(r - 1)^2 + (\alpha - 1)^2 + (\beta - 1)^2}, \quad
    \alpha = \sigma_p / \sigma_y, \quad \beta = \bar p / \bar y
    $$

    with $r$ the linear correlation of $p$ and $y$. 1 is perfect. $\beta$ needs a unit
    with a true zero: in °C and in °F the same predictions have different efficiencies.

    Returns:
        The efficiency; NaN where the truth or the prediction is constant, or the mean
        of the truth is 0.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> kge(np.array([2.0, 4.0]), np.array([1.0, 2.0])) + 2**0.5  # r is 1
        1.0

    References:
        Gupta et al., *Decomposition of the mean squared error and NSE performance
        criteria*, 2009, doi:10.1016/j.jhydrol.2009.08.003.
    """
    p, y = known_pairs("kge", predicted, truth)
    together = mean_of((p - mean_of(p)) * (y - mean_of(y)))
    r = _ratio(together, _spread(p) * _spread(y))
    alpha, beta = _ratio(_spread(p), _spread(y)), _ratio(mean_of(p), mean_of(y))
    return float(1 - np.sqrt((r - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2))


def mase(
    predicted: Num[Array, "*N"], truth: Num[Array, "*N"], naive_error: float
) -> float:
    r"""Mean absolute scaled error, $\text{mean}(|p - y|) / q$.

    Below 1 the errors are smaller than those that the seasonal naive prediction made,
    one step ahead, over the training part.

    Args:
        predicted: Predictions $p$.
        truth: The truth $y$.
        naive_error: $q = \text{mean}(|y_t - y_{t-m}|)$ over the training part, with
            the season's period $m$, or 1.

    Returns:
        The scaled error; NaN where $q$ is 0 or NaN.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> training = np.array([1.0, 3.0, 5.0])
        >>> naive_error = mae(training[:-1], training[1:])  # m = 1: 2.0
        >>> mase(np.array([6.0]), np.array([7.0]), naive_error)
        0.5

    References:
        Hyndman and Koehler, *Another look at measures of forecast accuracy*, 2006,
        doi:10.1016/j.ijforecast.2006.03.001.
    """
    return _ratio(mae(predicted, truth), naive_error)


def known_pairs(where: str, predicted: Array, truth: Array) -> tuple[Array, Array]:
    """Predictions and truths where the truth is known; none if one is not finite."""
    refuse_shapes(where, predicted, truth)
    known = ~np.isnan(truth)
    p, y = predicted[known].astype(np.float64), truth[known].astype(np.float64)
    return (p, y) if np.isfinite(p).all() else (p[:0], y[:0])


def refuse_shapes(where: str, predicted: Array, truth: Array) -> None:
    """Refuse predictions that are not one for each truth."""
    if predicted.shape != truth.shape:
        raise ValueError(
            f"{where}: {predicted.shape=} must be {truth.shape}: that is the shape of "
            "the truth. Use one prediction for each truth."
        )


def _mean_square(where: str, predicted: Array, truth: Array) -> float:
    p, y = known_pairs(where, predicted, truth)
    return mean_of((p - y) ** 2)


def mean_of(values: Array) -> float:
    """The mean; NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")


def _spread(values: Array) -> float:
    """The standard deviation; exactly 0 for equal values, whatever their rounding."""
    if not values.size or values.min() == values.max():
        return 0.0
    return float(values.std())


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")
