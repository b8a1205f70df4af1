"""One direction over time in chunks: this bounds what the backward pass holds."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.scan.devices import may_be_divided
from lstm_jax.scan.gates import weights_of
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.recurrence import recurrence

# Runs a chunk: the loop, the layer, its steps and states to `h` of each and the state.
OfChunk = Callable[[Loop, LayerParams, Steps, States], tuple[Array, LSTMState]]

# Elements of the gates of a chunk: enough for large products of the inputs and of the
# weights' gradients, few enough that what one loop writes is in the cache of a core
# when the next reads it. That many steps are within these bounds; a divisor of T near
# them may be a little outside.
CHUNK_ELEMENTS = 2**19
CHUNK_STEPS = (8, 512)


def over_time(
    loop: Loop,
    params: LayerParams,
    steps: Steps,
    states: States,
    *,
    of_chunk: OfChunk | None = None,
) -> tuple[Array, LSTMState]:
    """One direction, chunk by chunk: `h` of every step and the state after.

    The copy of the weights in the type of the products is made inside a chunk, so that
    gradients are summed over the chunks in float32. `of_chunk` runs a chunk; None means
    the recurrence.
    """
    run_chunk = of_chunk or _by_recurrence

    def chunk(state: LSTMState, part: Steps) -> tuple[LSTMState, Array]:
        hs, state = run_chunk(loop, params, part, states._replace(before=state))
        return state, hs

    def window(state: LSTMState, part: Any) -> tuple[LSTMState, Array]:
        part, first = part
        start = jax.tree.map(partial(_cut_gradient, first), state)
        within = replace(loop, truncate=None)
        start = states._replace(before=start)
        hs, state = over_time(within, params, part, start, of_chunk=of_chunk)
        return state, hs

    if loop.truncate is not None:
        first = jnp.arange(steps.xs.shape[0]) == 0
        cut = loop.truncate, loop.reverse
        state, hs = in_chunks(window, states.before, (steps, first), *cut)
        return hs, state
    run: Any = chunk if loop.remat is None else jax.checkpoint(chunk)
    length = loop.remat or length_of(params, steps)
    state, hs = in_chunks(run, states.before, steps, length, loop.reverse)
    return hs, state


def length_of(params: LayerParams, steps: Steps) -> int:
    """Steps of a chunk that is not asked for.

    Where `jit` divides the rows, all: the gradients of the weights are sums over
    devices, and each chunk would wait for its own.
    """
    if may_be_divided() and isinstance(steps.xs.shape[0], int):
        return max(1, steps.xs.shape[0])
    gates = prod(params.weight_hh.shape[:-1])
    return max(1, chunk_length(steps.xs.shape[:-1], gates))


def _by_recurrence(
    loop: Loop, params: LayerParams, steps: Steps, states: States
) -> tuple[Array, LSTMState]:
    weights = weights_of(params, steps.xs.dtype)
    with jax.named_scope("recurrence"):
        return recurrence(loop)(weights, steps, states)


def in_chunks(
    run: Callable[[Any, Any], tuple[Any, Any]],
    state: Any,
    steps: Any,
    length: int,
    reverse: bool,
) -> tuple[Any, Any]:
    """Scan over chunks of steps, the last ones first if reversed.

    Args:
        run: Takes a state and a chunk of `steps`; returns the state after it and what
            it gives for each of its steps.
        state: The state before the first chunk.
        steps: Arrays whose axis 0 is time.
        length: Steps of a chunk.
        reverse: Whether the last chunk comes first.

    Returns:
        The state after the last chunk, and what all chunks gave.
    """
    done = []
    for scanned, part in _parts(steps, length, reverse):
        if scanned:
            state, out = lax.scan(run, state, part, reverse=reverse)
            out = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), out)
        else:
            state, out = run(state, part)
        done.append(out)
    done = done[::-1] if reverse else done
    if len(done) == 1:
        return state, done[0]
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *done)


def _cut_gradient(first: Array, a: Array) -> Array:
    """No gradient passes to the steps before a window; the first window has none."""
    if not first.size:
        return a
    return jnp.where(first[0], a, lax.stop_gradient(a))


def _parts(steps: Any, length: int, reverse: bool) -> list[tuple[bool, Any]]:
    """The steps in chunks of `length`, to be scanned, and what remains at the end.

    They come in the order in which they run.
    """
    count = jax.tree.leaves(steps)[0].shape[0]
    if not isinstance(count, int) or count <= length:  # a symbolic T is one chunk
        return [(False, steps)]
    chunks, rest = divmod(count, length)
    whole = jax.tree.map(
        lambda a: a[: chunks * length].reshape(chunks, length, *a.shape[1:]), steps
    )
    if not rest:
        return [(True, whole)]
    tail = jax.tree.map(lambda a: a[chunks * length :], steps)
    parts = [(True, whole), (False, tail)]
    return parts[::-1] if reverse else parts


def chunk_length(shape: tuple[Any, ...], gates: int) -> int:
    """Steps of a chunk of inputs `(T, *B)`: a divisor of T if there is a near one."""
    steps, *batch = shape
    least, most = CHUNK_STEPS
    if not all(isinstance(size, int) for size in shape):
        return most
    length = CHUNK_ELEMENTS // max(1, prod(batch) * gates)
    length = min(max(length, least), most)
    if steps < 2 * length:
        return max(1, steps)
    near = sorted(range(length // 2 + 1, 2 * length), key=lambda k: abs(k - length))
    return next((k for k in near if steps % k == 0), length)
