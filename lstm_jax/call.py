"""The arrays of a call: checked, then time first, with masks and states."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax import _checks
from lstm_jax._types import (
    DTypeLike,
    LayerParams,
    Layers,
    LSTMSpec,
    LSTMState,
    States,
    Steps,
)
from lstm_jax.scan import units
from lstm_jax.scan.gates import accumulator


class Arrays(NamedTuple):
    """The arrays of a call; `states` are the one before and the one after a reset."""

    params: Any
    xs: Any
    states: tuple[Any, Any]
    lengths: Any = None
    resets: Any = None


def read(where: str, given: Arrays, batch_first: bool) -> tuple[Arrays, LSTMSpec]:
    """Check the arrays of a call; the spec has the sizes and flags they show."""
    _checks.check_flag(where, "batch_first", batch_first)
    params = _checks.read_params(where, given.params)
    spec = _checks.read_spec(where, units.stacked_shapes(params))
    spec = replace(spec, gate_axis=_checks.has_gate_axis(params))
    xs = _checks.check_inputs(where, given.xs, spec)
    time = xs.ndim - 2 if batch_first else 0
    batch = (*xs.shape[:time], *xs.shape[time + 1 : -1])
    (before, fresh), lengths, resets = given.states, given.lengths, given.resets
    if before is not None:
        before = _checks.check_state(where, "state", before, spec, batch)
    if lengths is not None:
        lengths = _checks.check_lengths(where, lengths, batch, xs.shape[time])
    if resets is not None:
        resets = _checks.check_resets(where, "resets", resets, spec, xs.shape[:-1])
    if fresh is not None:
        _checks.check_reset_state(where, "resets", resets)
        fresh = _checks.check_state(where, "reset_state", fresh, spec, batch)
    spec = replace(spec, lengths=lengths is not None, resets=resets is not None)
    return Arrays(params, xs, (before, fresh), lengths, resets), spec


def common_dtype(where: str, arrays: Arrays) -> jnp.dtype:
    """The type that inputs and parameters have together."""
    types = {array.dtype for array in (arrays.xs, *arrays.params.values())}
    return _checks.common_dtype(where, types)


def prepare(arrays: Arrays, spec: LSTMSpec, batch_first: bool) -> tuple[Steps, States]:
    """Inputs time first in the type of the products, with masks; and the states.

    What lies past the lengths is zeroed here, once: outputs masked afterwards would
    leave 0 times NaN in the gradients of the weights.
    """
    xs, reset = arrays.xs.astype(jnp.dtype(spec.dtype)), arrays.resets
    if batch_first:
        xs = jnp.moveaxis(xs, -2, 0)
        reset = None if reset is None else jnp.moveaxis(reset, -1, 0)
    valid = _valid(arrays.lengths, xs.shape[0])
    if valid is not None:
        xs = jnp.where(valid[..., None], xs, 0)
    before, fresh = arrays.states
    before = before or zero_state(spec, xs.shape[1:-1], xs.dtype)
    return Steps(xs, valid, reset), States(before, fresh)


def _valid(lengths: Array | None, steps: Any) -> Array | None:
    """The steps within the lengths, `(T, *B)`."""
    if lengths is None:
        return None
    lengths = lengths.astype(jnp.int32)
    times = jnp.arange(steps, dtype=jnp.int32)
    return times.reshape(steps, *(1,) * lengths.ndim) < lengths


def zero_state(spec: LSTMSpec, batch: tuple, dtype: DTypeLike) -> LSTMState:
    """The state of zeros for products of type `dtype`."""
    rows = spec.num_layers * spec.num_directions
    return LSTMState(
        jnp.zeros((rows, *batch, spec.output_size), dtype),
        jnp.zeros((rows, *batch, spec.hidden_size), accumulator(dtype)),
    )


def layers_of(params: dict[str, Array], spec: LSTMSpec) -> Layers:
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
