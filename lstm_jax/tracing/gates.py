"""Every gate and state of a run, to look at."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float

from lstm_jax import _checks
from lstm_jax._types import (
    AnyArray,
    DTypeLike,
    Inputs,
    LayerParams,
    Lengths,
    LSTMSpec,
    Precision,
    Resets,
    StateLike,
    States,
    Steps,
)
from lstm_jax.call import Arrays, common_dtype, layers_of, prepare, read
from lstm_jax.scan.devices import to_scan
from lstm_jax.scan.gates import Gates, weights_of
from lstm_jax.scan.layer import side_by_side
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.recurrence import everything, forward


class Trace(NamedTuple):
    """Gates and states of every step, a row for each layer and direction.

    `i`, `f`, `g`, `o` and `c` are `(L*D, T, *B, H)`, `h` is `(L*D, T, *B, P)`; with
    `batch_first`, `(L*D, *B, T, ...)`. The rows are ordered as those of a state. Where
    a row of the batch has ended, its gates are 0 and its state stays as it is.
    """

    i: Float[Array, "..."]
    f: Float[Array, "..."]
    g: Float[Array, "..."]
    o: Float[Array, "..."]
    h: Float[Array, "..."]
    c: Float[Array, "..."]


_ = export.register_namedtuple_serialization(Trace, serialized_name="lstm_jax.Trace")


def trace(
    params: Mapping[str, AnyArray],
    xs: Inputs,
    state: StateLike | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Resets | None = None,
    reset_state: StateLike | None = None,
    batch_first: bool = False,
    dtype: DTypeLike | None = None,
    precision: Precision = None,
) -> Trace:
    """Every gate and both states after every step of `lstm`, without dropout.

    Laws: the last layer's `h` are the outputs of `lstm`, and the last step of a forward
    direction (the first of a reverse one) is the state after.

    Args:
        params: See `lstm`, as for the other arguments.
        xs: Inputs, `(T, *B, I)`; with `batch_first`, `(*B, T, I)`.
        state: State before; None means zeros.
        lengths: Steps of each row; None means T.
        resets: True where a row starts anew before the step.
        reset_state: The state after a reset; None means zeros.
        batch_first: Whether time is the second last axis.
        dtype: Type of the products.
        precision: Of the products.

    Returns:
        The gates and states.

    Raises:
        ValueError: If keys, shapes or lengths do not fit.
        TypeError: If an argument is not an array of the right kind.

    Example:
        >>> params = init_params(jax.random.key(0), input_size=3, hidden_size=4)
        >>> xs = jnp.ones((7, 5, 3))
        >>> found, (ys, state) = trace(params, xs), lstm(params, xs)
        >>> found.f.shape, bool(jnp.allclose(found.c[:, -1], state.c))
        ((1, 7, 5, 4), True)
    """
    given = Arrays(params, xs, (state, reset_state), lengths, resets)
    arrays, spec = read("trace", given, batch_first)
    found = _checks.dtype("trace", "dtype", dtype) or common_dtype("trace", arrays)
    loop = Loop(precision=_checks.precision("trace", precision))
    return _trace(loop, replace(spec, dtype=found.name), batch_first, arrays)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _trace(loop: Loop, spec: LSTMSpec, batch_first: bool, arrays: Arrays) -> Trace:
    steps, states = prepare(arrays, spec, batch_first)
    rows: list[Trace] = []
    for layer in layers_of(arrays.params, spec):
        for index, params in enumerate(layer):
            one = jax.tree.map(itemgetter(len(rows)), states)
            turned = replace(loop, reverse=index == 1)
            rows.append(_traced(turned, params, steps, one))
        outputs = [row.h for row in rows[-len(layer) :]]
        steps = steps._replace(xs=side_by_side(outputs, steps))
    time = -2 if batch_first else 1
    return jax.tree.map(lambda *parts: jnp.moveaxis(jnp.stack(parts), 1, time), *rows)


def _traced(loop: Loop, params: LayerParams, steps: Steps, states: States) -> Trace:
    """All steps of one direction of a layer."""
    params, steps, states = to_scan(params, steps, states)
    weights = weights_of(params, steps.xs.dtype)
    _, after, gates = forward(everything, loop, weights, steps, states)
    if steps.valid is not None:
        valid = steps.valid[..., None]
        gates = Gates(*(jnp.where(valid, gate, 0) for gate in gates))
    return Trace(*gates, *after)
