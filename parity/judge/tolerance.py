"""The only place with a tolerance: how many roundings a result is from exact.

`error` is the worst time step of

    max|actual - exact| / (eps * max|exact| + noise + tiny)

`exact` and `noise` come from the oracle. `noise` is the step's largest change when
every intermediate is multiplied by `1 + eps * u`, `u` uniform in [-1, 1]: what rounding
by itself can change where a gradient cancels or fades. `tiny` is what rounding does to
numbers near zero: the type's smallest normal number, below which a device may flush, or
the smallest step of float16, which is computed in float32.

The budget is 32 roundings, and 4 in bfloat16 and float16, whose products are summed in
float32. Measured: a right LSTM is at most 3 and 1 away (docs/design.md). With a budget
of 32, known mistakes pass in bfloat16, where 32 roundings are a quarter of a value.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

BUDGETS = {"float64": 32.0, "float32": 32.0, "bfloat16": 4.0, "float16": 4.0}
# A rounding to TF32 in roundings of float32: it keeps 10 bits of 23. The budget is then
# as large a share of a number as that of bfloat16.
TF32 = 2.0**13
NOISE_RUNS = 4
# A known mistake is named if its numbers are within MATCH roundings of the wrong ones,
# and CLEARER times nearer to them than the right ones are. This is about what is said:
# it decides nothing about what passes.
MATCH = 1000.0
CLEARER = 10.0
# A longer profile is cut into so many groups, and keeps the largest error of each.
MOST_POINTS = 512


@dataclass(frozen=True)
class Exact:
    """The true value of a tensor, and its noise.

    `steps` says whether the first axis of `value` is time: `noise` then has a number
    for each step, else one for the whole tensor.
    """

    value: np.ndarray
    noise: np.ndarray
    steps: bool


@dataclass(frozen=True)
class Distance:
    """How far a tensor is from exact, in roundings, and where it is farthest."""

    error: float
    index: tuple[int, ...] = ()
    actual: float = np.nan
    exact: float = np.nan
    reason: str = ""


def from_runs(runs: np.ndarray, steps: bool) -> Exact:
    """Value and noise of runs `(T, N, ...)` or `(N, ...)`; the first run is exact."""
    runs = np.moveaxis(runs, int(steps), 0)
    value, change = runs[0], np.abs(runs[1:] - runs[:1])
    axes = tuple(a for a in range(change.ndim) if not (steps and a == 1))
    noise = change.max(axis=axes, initial=0)
    return Exact(value, np.atleast_1d(noise), steps)


def budget(dtype: str, *, tf32: bool = False) -> float:
    """The budget of a type; `tf32` says that products of float32 are rounded to TF32.

    Example:
        >>> budget("float32"), budget("float32", tf32=True) * eps_of("float32")
        (32.0, 0.03125)
    """
    return BUDGETS[dtype] * (TF32 if tf32 and dtype == "float32" else 1.0)


def eps_of(dtype: str) -> float:
    """The rounding of a type, twice its largest relative error."""
    return float(jnp.finfo(dtype).eps)


def tiny_of(dtype: str) -> float:
    """What rounding does to numbers near zero."""
    info = jnp.finfo(dtype)
    return float(info.smallest_subnormal if dtype == "float16" else info.tiny)


def distance(
    actual: np.ndarray, exact: Exact, dtype: str, stored: str | None = None
) -> Distance:
    """How far `actual`, computed in `dtype` and kept in `stored`, is from `exact`.

    Returns:
        An infinite error for another shape or type, for NaN, and for anything but zero
        where a whole step is exactly zero.
    """
    stored = stored or dtype
    if actual.shape != exact.value.shape or actual.dtype.name != stored:
        found = f"{actual.dtype.name}{list(actual.shape)}"
        expected = f"{stored}{list(exact.value.shape)}"
        return Distance(np.inf, reason=f"is {found}, must be {expected}")
    if not actual.size:
        return Distance(0.0)
    errors = elementwise(actual, exact, dtype)
    index = tuple(int(k) for k in np.unravel_index(np.argmax(errors), errors.shape))
    return Distance(
        float(errors[index]), index, float(actual[index]), float(exact.value[index])
    )


def profile(actual: np.ndarray, exact: Exact, dtype: str) -> tuple[float, ...]:
    """The worst error in each row, or in each group of rows if there are many rows."""
    worst = by_row(actual, exact, dtype)
    parts = np.array_split(worst, max(1, min(len(worst), MOST_POINTS)))
    return tuple(float(part.max()) for part in parts if part.size)


def by_row(actual: np.ndarray, exact: Exact, dtype: str) -> np.ndarray:
    """The worst error at each place of the first axis.

    Empty where the shapes differ or there is nothing.
    """
    if actual.shape != exact.value.shape or not actual.size:
        return np.zeros(0)
    errors = elementwise(actual, exact, dtype)
    return errors.reshape(len(errors), -1).max(axis=1)


def elementwise(actual: np.ndarray, exact: Exact, dtype: str) -> np.ndarray:
    """The error of every element, in roundings of its own step's scale."""
    value = exact.value if exact.steps else exact.value[None]
    actual = actual.astype(value.dtype)
    actual = actual if exact.steps else actual[None]
    largest = np.abs(value).max(axis=tuple(range(1, value.ndim)))
    scale = eps_of(dtype) * largest + exact.noise + tiny_of(dtype)
    scale = scale.reshape(-1, *(1,) * (value.ndim - 1))
    zero = largest.reshape(scale.shape) == 0
    with np.errstate(invalid="ignore"):
        errors = np.abs(actual - value) / scale
    errors = np.where(zero, np.where(actual == 0, 0.0, np.inf), errors)
    errors = np.where(np.isnan(errors), np.inf, errors)
    return errors if exact.steps else errors[0]
