"""The state of a stack as one array: what recurrent reinforcement learning carries.

A row of it holds `h` of every layer, then `c` of every layer: `(B, L*P + L*H)`.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax import _checks
from lstm_jax._types import AnyArray, LSTMSpec, LSTMState
from lstm_jax.init import Sizes, make_spec
from lstm_jax.stack import lstm


def zero_carry(where: str, batch_size: int, sizes: Sizes) -> Array:
    """The carry that an episode starts with."""
    spec = make_spec(where, sizes)
    _checks.check_carry_sizes(where, batch_size, sizes)
    width = spec.num_layers * (spec.output_size + spec.hidden_size)
    return jnp.zeros((batch_size, width))


def spec_of_carry(where: str, carry: Array, sizes: Sizes, bias: bool) -> LSTMSpec:
    """The spec of these layers, projection and inputs whose state has that width."""
    widest = sizes._replace(hidden_size=carry.shape[1])
    layers, proj_size = make_spec(where, widest).num_layers, sizes.proj_size
    hidden = _checks.hidden_size_of(where, carry, layers, proj_size)
    return make_spec(where, sizes._replace(hidden_size=hidden), bias=bias)


def scanned(
    where: str,
    spec: LSTMSpec,
    params: Mapping[str, AnyArray],
    carry: Any,
    inputs: Any,
    **options: Any,
) -> tuple[Array, Array]:
    """`lstm` over inputs with `done`, from one carry to the next.

    Args:
        where: Who asks, for errors.
        spec: Sizes and flags of the stack.
        params: Its parameters, see `lstm`.
        carry: The state before, `(B, L*(P+H))`.
        inputs: `xs` `(T, B, I)`, and `done` `(T, B)`, which came with each of them.
        **options: Those of `lstm` that the modules have.

    Returns:
        The carry after, in the type of the one given, and the outputs `(T, B, P)`.
    """
    carry = _checks.check_one_array(where, carry)
    _checks.check_width(where, carry, spec)
    xs, done = _checks.check_with_done(where, inputs, carry.shape[0])
    ys, state = lstm(params, xs, unpack(carry, spec), resets=done, **options)
    return pack(state), ys


def pack(state: LSTMState) -> Array:
    """A state `(L, B, P)` and `(L, B, H)` as one array."""
    return jnp.concatenate([jnp.concatenate([*part], axis=1) for part in state], axis=1)


def unpack(carry: Array, spec: LSTMSpec) -> LSTMState:
    """The state that a carry holds."""
    layers, outputs = spec.num_layers, spec.num_layers * spec.output_size
    parts = carry[:, :outputs], carry[:, outputs:]
    sizes = spec.output_size, spec.hidden_size
    h, c = (
        part.reshape(part.shape[0], layers, size).swapaxes(0, 1)
        for part, size in zip(parts, sizes, strict=True)
    )
    return LSTMState(h, c)
