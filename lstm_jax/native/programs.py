"""What the primitives compute, as XLA programs: chunk by chunk, as `over_time` does."""

from typing import Any

import jax

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.scan.chunks import in_chunks, length_of
from lstm_jax.scan.gates import Gates, weights_of
from lstm_jax.scan.layer import by_xla
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.recurrence import before_each, everything, forward, tangents_of

Known = tuple[LSTMState, Gates]  # the state after each step, and the gates


def outputs(
    loop: Loop, params: LayerParams, steps: Steps, states: States
) -> tuple[Any, LSTMState]:
    """`h` of every step, and the state after the last."""
    return by_xla(loop, steps)(params, steps, states)


def residuals(
    loop: Loop, params: LayerParams, steps: Steps, states: States
) -> tuple[LSTMState, Known]:
    """The state after the last step, and all that the derivatives need."""
    weights = weights_of(params, steps.xs.dtype)

    def chunk(state: LSTMState, part: Steps) -> tuple[LSTMState, Known]:
        start = states._replace(before=state)
        final, *known = forward(everything, loop, weights, part, start)
        return final, tuple(known)

    return in_chunks(
        chunk, states.before, steps, length_of(params, steps), loop.reverse
    )


def tangents(
    loop: Loop,
    primals: tuple[LayerParams, Steps, States],
    known: Known,
    given: tuple[LayerParams, Any, States],
) -> tuple[Any, LSTMState]:
    """Tangents of `outputs`: linear in `given`, those of parameters, xs and states."""
    (params, steps, states), (d_params, d_xs, d_states) = primals, given
    weights, d_weights = (weights_of(p, steps.xs.dtype) for p in (params, d_params))
    found = before_each(loop, known[0], states.before)

    def chunk(d_state: LSTMState, part: Any) -> tuple[LSTMState, Any]:
        steps, d_xs, known, found = part
        start = jax.tree.map(lambda a: a[-1 if loop.reverse else 0], found)
        primals = weights, steps, states._replace(before=start)
        given = d_weights, Steps(d_xs), d_states._replace(before=d_state)
        d_hs, d_state = tangents_of(loop, primals, list(known), given)
        return d_state, d_hs

    parts = steps, d_xs, known, found
    length = length_of(params, steps)
    d_final, d_hs = in_chunks(chunk, d_states.before, parts, length, loop.reverse)
    return d_hs, d_final
