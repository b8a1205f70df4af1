"""Scales of the drawings: errors on a logarithmic axis, values on a linear one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Number = float | int
_LEAST, _MOST = 1e-2, 1e12


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to places between `start` and `end`."""

    low: Number
    high: Number
    start: Number
    end: Number
    log: bool = False

    def __call__(self, value: Number) -> float:
        """The place of a value: an end for one beyond it, the upper one for NaN."""
        if math.isnan(value):
            value = self.high
        value = min(max(value, self.low), self.high)
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        part = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self, most: int = 5) -> list[Number]:
        """Round values, to be written at the axis."""
        return self._decades(most) if self.log else self._even(most)

    def _decades(self, most: int) -> list[Number]:
        low, high = round(math.log10(self.low)), round(math.log10(self.high))
        step = max(1, math.ceil((high - low) / most))
        return [10.0**power for power in range(low, high + 1, step)]

    def _even(self, most: int) -> list[Number]:
        rough = (self.high - self.low) / most
        if rough <= 0:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough * 0.75)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [k * step for k in range(first, last + 1)]


def errors(values: Iterable[float], budget: float, start: Number, end: Number) -> Scale:
    """A logarithmic scale in whole decades that holds the errors and the budget."""
    values = list(values)
    finite = [value for value in values if math.isfinite(value) and value > 0]
    beyond = len(finite) < sum(value != 0 for value in values)
    low = max(_LEAST, min([*finite, 0.1]))
    high = min(_MOST, max([*finite, budget]) * (10 if beyond else 1))
    low, high = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return Scale(10.0**low, 10.0**high, start, end, log=True)


def label(value: Number) -> str:
    """A tick: 0.1, 10, 1e6."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e5
    text = f"{value:.6g}" if plain else f"{value:.3g}"
    return text.replace("e+0", "e").replace("e-0", "e-")
