"""The static half of a loop over time: what a program is compiled for."""

from dataclasses import dataclass
from typing import Literal

from lstm_jax._types import Precision

Remat = int | Literal["sqrt"] | None


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What is fixed about a loop over time.

    Args:
        precision: Precision of the products.
        remat: Steps between kept states; the backward pass computes the rest again.
            None keeps everything.
        truncate: Steps between cuts of the gradient through the state.
        transposed: Whether a CPU has features before rows where no derivative is asked
            for. None: one program for every device, that with rows first.
        reverse: Whether the loop runs from the last step to the first.
    """

    precision: Precision = None
    remat: int | None = None
    truncate: int | None = None
    transposed: bool | None = None
    reverse: bool = False
