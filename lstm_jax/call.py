"""The arrays of a call: checked, time first, with masks and a state."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.experimental import checkify
from jaxtyping import Array

from lstm_jax import _checks
from lstm_jax._types import DTypeLike, LayerParams, LSTMSpec, LSTMState
from lstm_jax.scan.gates import accumulator
from lstm_jax.scan.recurrence import Masks


class Arrays(NamedTuple):
    """The arrays of a call, checked."""

    params: dict[str, Array]
    xs: Array
    state: LSTMState | None
    lengths: Array | None
    resets: Array | None
    reset_state: LSTMState | None


def read(
    where: str,
    params: Any,
    xs: Any,
    state: Any,
    lengths: Any,
    resets: Any,
    reset_state: Any,
    batch_first: bool,
) -> tuple[Arrays, LSTMSpec]:
    """Check the arrays of a call; the spec has the sizes and flags they show."""
    _checks.check_flag(where, "batch_first", batch_first)
    params = _checks.read_params(where, params)
    spec = _checks.read_spec(where, params)
    xs = _checks.check_inputs(where, xs, spec)
    time = xs.ndim - 2 if batch_first else 0
    batch = (*xs.shape[:time], *xs.shape[time + 1 : -1])
    if state is not None:
        state = _checks.check_state(where, "state", state, spec, batch)
    if lengths is not None:
        lengths = _checks.check_lengths(where, lengths, batch, xs.shape[time])
    if resets is not None:
        resets = _checks.check_resets(where, "resets", resets, spec, xs.shape[:-1])
    if reset_state is not None:
        _checks.check_reset_state(where, resets)
        reset_state = _checks.check_state(
            where, "reset_state", reset_state, spec, batch
        )
    spec = replace(spec, lengths=lengths is not None, resets=resets is not None)
    return Arrays(params, xs, state, lengths, resets, reset_state), spec


def common_dtype(where: str, arrays: Arrays) -> jnp.dtype:
    """The type that inputs and parameters have together."""
    types = {array.dtype for array in (arrays.xs, *arrays.params.values())}
    return _checks.common_dtype(where, types)


def prepare(
    arrays: Arrays, spec: LSTMSpec, batch_first: bool
) -> tuple[Array, LSTMState, Masks]:
    """Inputs time first in the type of the products, the state before, the masks.

    What lies past the lengths is zeroed here, once: outputs masked afterwards would
    leave 0 times NaN in the gradients of the weights.
    """
    dtype = jnp.dtype(spec.dtype)
    xs = jnp.moveaxis(arrays.xs, -2, 0) if batch_first else arrays.xs
    xs = xs.astype(dtype)
    masks = _masks(arrays, xs.shape[0], batch_first)
    if masks.valid is not None:
        xs = jnp.where(masks.valid[..., None], xs, 0)
    return xs, arrays.state or zero_state(spec, xs.shape[1:-1], dtype), masks


def _masks(arrays: Arrays, steps: Any, batch_first: bool) -> Masks:
    """Masks `(T, *B)` of lengths and resets."""
    valid, reset = None, arrays.resets
    if arrays.lengths is not None:
        lengths = arrays.lengths.astype(jnp.int32)
        checkify.debug_check(
            jnp.all((lengths >= 0) & (lengths <= steps)),
            "lstm: lengths must be within 0 and T, they are clamped",
        )
        times = jnp.arange(steps, dtype=jnp.int32)
        valid = times.reshape(steps, *(1,) * lengths.ndim) < lengths
    if reset is not None and batch_first:
        reset = jnp.moveaxis(reset, -1, 0)
    return Masks(valid, reset)


def zero_state(spec: LSTMSpec, batch: tuple, dtype: DTypeLike) -> LSTMState:
    """The state of zeros for products of type `dtype`."""
    rows = spec.num_layers * spec.num_directions
    return LSTMState(
        jnp.zeros((rows, *batch, spec.output_size), dtype),
        jnp.zeros((rows, *batch, spec.hidden_size), accumulator(dtype)),
    )


def layers_of(
    params: dict[str, Array], spec: LSTMSpec
) -> tuple[tuple[LayerParams, ...], ...]:
    """The parameters of each layer in each direction."""

    def weights(layer: int, direction: int) -> LayerParams:
        weight_ih, weight_hh, *others = spec.layer_keys(layer, direction)
        return LayerParams(
            params[weight_ih], params[weight_hh], *map(params.get, others)
        )

    return tuple(
        tuple(weights(layer, direction) for direction in range(spec.num_directions))
        for layer in range(spec.num_layers)
    )
