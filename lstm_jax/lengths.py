"""Lengths of the rows of a batch, from a mask of their steps."""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Int32

from lstm_jax import _checks
from lstm_jax._types import AnyArray

_WHERE = "lengths_from_mask"


def lengths_from_mask(
    mask: Bool[AnyArray, "..."], *, batch_first: bool = False
) -> Int32[Array, "*B"]:
    """The lengths of rows whose steps are marked True, as `lstm` takes them.

    Args:
        mask: True where a step belongs to its row, `(T, *B)`; with `batch_first`,
            `(*B, T)`. Each row is True up to its length, then False.
        batch_first: Whether time is the last axis.

    Returns:
        The number of steps of each row, shape `*B`.

    Raises:
        ValueError: If a row has a hole, which includes padding in front. (A traced
            mask has no values to look at: the steps that are True are counted.)
        TypeError: If the mask is not boolean.

    Example:
        >>> mask = jnp.array([[True, True, False], [True, True, True]])
        >>> lengths_from_mask(mask, batch_first=True)
        Array([2, 3], dtype=int32)
    """
    _checks.check_flag(_WHERE, "batch_first", batch_first)
    mask = _checks.check_mask(_WHERE, mask)
    time = -1 if batch_first else 0
    if not isinstance(mask, Tracer):
        hole = np.diff(np.asarray(mask, np.int8), axis=time) > 0
        _checks.check_holes(_WHERE, np.moveaxis(hole, time, 0))
    return mask.sum(axis=time, dtype=jnp.int32)
