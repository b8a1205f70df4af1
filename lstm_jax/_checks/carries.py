"""The state of a stack as one array, and the inputs that come with `done`."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lstm_jax._checks.arrays import as_array, floating, shape
from lstm_jax._types import LSTMSpec


def check_carry_sizes(
    where: str, batch_size: Any, sizes: tuple[Any, Any, Any, Any]
) -> None:
    """A number of rows that an array can have; `sizes` are checked by others."""
    whole = isinstance(batch_size, (int, np.integer))
    if not whole or isinstance(batch_size, bool) or batch_size < 0:
        raise ValueError(
            f"{where}: {batch_size=} must be a whole number of 0 or more: the carry "
            f"has that many rows. Use initialize_carry(3, {sizes[1]}) for 3 rows."
        )


def check_one_array(where: str, carry: Any) -> Array:
    """A carry of two axes, wide enough for the cell."""
    if isinstance(carry, (tuple, list)):
        raise TypeError(
            f"{where}: carry must be one array, not {type(carry).__name__}: h and c "
            "of every layer stand side by side in it. Use initialize_carry."
        )
    carry = floating(where, "carry", carry)
    if carry.ndim != 2:
        cure = "carry[0]" if carry.ndim == 3 else "initialize_carry"
        raise ValueError(
            f"{where}: {carry.shape=} must be (B, L * (P + H)): a row for each "
            f"environment. Use {cure}."
        )
    if jnp.finfo(carry.dtype).bits < 32:
        raise TypeError(
            f"{where}: carry.dtype={carry.dtype} must be float32 or wider: the cell "
            "would be rounded after each step of acting and not within a rollout. "
            "Use carry.astype('float32')."
        )
    return carry


def check_with_done(where: str, inputs: Any, rows: int) -> tuple[Array, Array]:
    """Inputs `(T, B, I)` and, of any type of numbers, `done` `(T, B)` as flags."""
    if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
        raise TypeError(
            f"{where}: inputs must be a pair (xs, done), not {_found(inputs)}: done "
            "says where a row starts anew. Use (xs, jax.numpy.zeros(xs.shape[:2])) "
            "where none does."
        )
    xs = floating(where, "xs", inputs[0])
    if xs.ndim != 3:
        cure = "xs[None] and done[None] for one step" if xs.ndim == 2 else "three axes"
        raise ValueError(
            f"{where}: {xs.shape=} must be (T, B, I): steps, rows and features. "
            f"Use {cure}."
        )
    if xs.shape[1] != rows:
        raise ValueError(
            f"{where}: {xs.shape=} must be (T, {rows}, I): the carry has {rows} rows. "
            "Use the carry and the inputs of the same rows."
        )
    done = as_array(where, "done", inputs[1])
    why = "a flag for each step of each row. Use the `done` that came with each input."
    shape(where, "done", done, xs.shape[:2], why)
    return xs, done != 0


def _found(inputs: Any) -> str:
    if isinstance(inputs, (tuple, list)):
        return f"{len(inputs)} values"
    return type(inputs).__name__


def hidden_size_of(where: str, carry: Array, num_layers: int, proj_size: int) -> int:
    """`H`, where a carry is as wide as h and c of all layers."""
    width, over = divmod(carry.shape[1], num_layers)
    hidden, odd = (width - proj_size, 0) if proj_size else divmod(width, 2)
    if over or odd or hidden <= proj_size:
        sizes = f"({proj_size} + H)" if proj_size else "2 * H"
        above = f" with H above {proj_size}" if proj_size else ""
        raise ValueError(
            f"{where}: {carry.shape=} must be (B, {num_layers} * {sizes}){above}: "
            f"h and c of {num_layers} layer{'s'[: num_layers > 1]}. "
            f"Use {_made(carry.shape[0], 'H', num_layers, proj_size)}."
        )
    return hidden


def check_width(where: str, carry: Array, spec: LSTMSpec) -> None:
    """A carry as wide as the weights ask for."""
    rows, layers = carry.shape[0], spec.num_layers
    expected = rows, layers * (spec.output_size + spec.hidden_size)
    made = _made(rows, spec.hidden_size, layers, spec.proj_size)
    why = f"h and c of weights with hidden_size={spec.hidden_size}. Use {made}."
    shape(where, "carry", carry, expected, why)


def _made(rows: int, hidden: Any, num_layers: int, proj_size: int) -> str:
    """The call that makes such a carry."""
    sizes = [rows, hidden, *([num_layers] if num_layers > 1 or proj_size else [])]
    sizes += [proj_size] if proj_size else []
    return f"initialize_carry({', '.join(map(str, sizes))})"
