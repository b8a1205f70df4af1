"""The static half of a loop over time: what a program is compiled for."""

from dataclasses import dataclass, replace
from typing import Literal

from lstm_jax._types import Precision

Remat = int | Literal["sqrt"] | None


@dataclass(frozen=True, kw_only=True)
class Order:
    """How a layer arranges its products: the same numbers, but for rounding.

    Without an option, the inputs of many steps are one product before the loop.

    Args:
        fused_input: Each step multiplies inputs and state by their weights together.
        per_gate: Each step has a product for each gate, all in one call.
        transposed: Where no derivative is asked for, features come before rows, the
            units in this many blocks. 0 means never.
    """

    fused_input: bool = False
    per_gate: bool = False
    transposed: int = 0


@dataclass(frozen=True, kw_only=True)
class Loop:
    """What is fixed about a loop over time.

    Args:
        precision: Precision of the products.
        remat: Steps between kept states; the backward pass computes the rest again.
            None keeps everything.
        truncate: Steps between cuts of the gradient through the state.
        order: Order of the products on a CPU; other devices have the plain one. None
            is the plain one everywhere.
        reverse: Whether the loop runs from the last step to the first.
    """

    precision: Precision = None
    remat: int | None = None
    truncate: int | None = None
    order: Order | None = None
    reverse: bool = False

    def plain(self) -> "Loop":
        """The same loop in the plain order."""
        return replace(self, order=None)
