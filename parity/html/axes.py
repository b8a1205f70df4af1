"""Scales of the drawings: errors on a logarithmic axis, values on a linear one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LEAST, _MOST = 1e-2, 1e12


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place; of what is beyond an end, or no number, that end."""
        if math.isnan(value):
            value = self.high
        value = min(max(value, self.low), self.high)
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        part = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values to write at the axis."""
        return self._decades(most) if self.log else self._even(most)

    def _decades(self, most: int) -> list[float]:
        low, high = round(math.log10(self.low)), round(math.log10(self.high))
        step = max(1, math.ceil((high - low) / most))
        return [10.0**power for power in range(low, high + 1, step)]

    def _even(self, most: int) -> list[float]:
        rough = (self.high - self.low) / most
        if rough <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * 0.75)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [k * step for k in range(first, last + 1)]


def errors(values: Iterable[float], budget: float, start: float, end: float) -> Scale:
    """A logarithmic scale in whole decades that holds the errors and the budget."""
    finite = [v for v in values if math.isfinite(v) and v > 0]
    beyond = any(not math.isfinite(v) for v in values)
    low = max(_LEAST, min([*finite, 0.1]))
    high = min(_MOST, max([*finite, budget]) * (10 if beyond else 1))
    low, high = (10.0 ** f(math.log10(v)) for f, v in _rounded(low, high))
    return Scale(low, high, start, end, log=True)


def _rounded(low: float, high: float) -> tuple[tuple, tuple]:
    return (math.floor, low), (math.ceil, high)


def label(value: float) -> str:
    """A tick: 0.1, 10, 1e6."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:.6g}"
