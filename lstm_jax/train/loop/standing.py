"""Where a run stands: its place, and the best weights so far."""

import math
from dataclasses import dataclass

import numpy as np

_NUMBERS = ("epoch", "within", "step", "loss", "weight", "best", "best_epoch", "waited")


@dataclass
class Standing:
    """What the loop keeps between steps, beside the arrays of the device.

    Attributes:
        arrays: The best weights so far, those of the start before any.
        epoch: Epochs done.
        within: Batches of this epoch done.
        step: Steps done.
        loss: Sum of this epoch's weighted losses.
        weight: Sum of this epoch's weights.
        best: The least validation loss.
        best_epoch: The epoch that gave it, 1 for the first; 0 for none.
        waited: Epochs since.
    """

    arrays: dict[str, np.ndarray]
    epoch: int = 0
    within: int = 0
    step: int = 0
    loss: float = 0.0
    weight: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    waited: int = 0

    def numbers(self) -> np.ndarray:
        """All but the arrays, exact in float64."""
        return np.array([getattr(self, name) for name in _NUMBERS], np.float64)

    def set_numbers(self, numbers: np.ndarray) -> None:
        """Take the numbers of a checkpoint."""
        for name, number in zip(_NUMBERS, numbers.tolist(), strict=True):
            kind = type(getattr(self, name))
            setattr(self, name, kind(number))

    def add(self, loss: float, weight: float) -> None:
        """Count a step's losses."""
        self.loss += loss
        self.weight += weight

    def end_epoch(self, validation: float | None) -> bool:
        """Go to the next epoch; whether its weights are the best so far."""
        self.epoch, self.within, self.loss, self.weight = self.epoch + 1, 0, 0.0, 0.0
        better = validation is None or validation < self.best
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best_epoch = self.epoch
            self.best = math.inf if validation is None else validation
        return better
