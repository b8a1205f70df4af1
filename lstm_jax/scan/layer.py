"""One layer over time: its directions, cut into chunks of time."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMState
from lstm_jax.scan.devices import zero_of
from lstm_jax.scan.gates import Options, accumulator, weights_of
from lstm_jax.scan.recurrence import Masks, recurrence
from lstm_jax.scan.transposed import features_first

Run = Callable[[LSTMState, Any], tuple[LSTMState, Array]]
Direction = Callable[..., tuple[Array, LSTMState]]

# Elements of the gates of a chunk. Enough for large products of the inputs and of the
# weights' gradients, few enough that what one loop writes is in the cache of a core
# when the next reads it; but not fewer steps than so many, nor more.
CHUNK_ELEMENTS = 2**19
CHUNK_STEPS = (8, 512)


class Chunks(NamedTuple):
    """How time is cut; None where it is not.

    `remat` is the steps of a chunk whose insides the backward pass computes again
    instead of keeping; `truncate` the steps between cuts of the state's gradient.
    """

    remat: int | None = None
    truncate: int | None = None


def run_layer(
    options: Options,
    directions: tuple[LayerParams, ...],
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None = None,
    *,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """Run one layer over a sequence.

    Args:
        options: Static options; `reverse` is set here.
        directions: Weights, forward first, then reverse if there is one.
        xs: Inputs in the type of the products, `(T, *B, I)`.
        state: State before, `(D, *B, P)` and `(D, *B, H)`.
        masks: Ends and resets of the rows.
        reset_state: State after a reset, shaped as `state`; None means zeros.
        chunks: How time is cut.

    Returns:
        Outputs `(T, *B, D*P)`, zero where a row has ended, and the state after.
    """
    if options.together and len(directions) == 2:
        return _together(options, directions, xs, state, masks, reset_state, chunks)
    outputs, states = [], []
    for index, params in enumerate(directions):
        before, after_reset = jax.tree.map(
            lambda a, index=index: a[index], (state, reset_state)
        )
        setting = replace(options, reverse=index == 1)
        hs, after = _direction(setting, params, xs, before, masks, after_reset, chunks)
        outputs.append(hs)
        states.append(after)
    return join(outputs, masks), jax.tree.map(lambda *parts: jnp.stack(parts), *states)


def _together(
    options: Options,
    directions: tuple[LayerParams, ...],
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """Both directions in one loop: the reverse one runs forward over flipped inputs."""
    params = jax.tree.map(lambda *both: jnp.stack(both), *directions)
    turned = jax.tree.map(lambda a: jnp.stack([a, jnp.flip(a, 0)]), (xs, masks))
    run = partial(_direction, options, chunks=chunks)
    hs, after = jax.vmap(run)(params, turned[0], state, turned[1], reset_state)
    return join([hs[0], jnp.flip(hs[1], 0)], masks), after


def join(outputs: list[Array], masks: Masks) -> Array:
    """The directions' outputs side by side, zero where a row has ended."""
    ys = jnp.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
    return ys if masks.valid is None else jnp.where(masks.valid[..., None], ys, 0)


def _direction(
    options: Options,
    params: LayerParams,
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """One direction of a layer: `h` of every step, and the state after."""
    params, state, reset_state = place(params, xs, state, masks, reset_state)
    in_chunks = partial(_in_chunks, options, chunks)
    if not options.alone:
        return in_chunks(params, xs, state, masks, reset_state)
    if options.alone == "features":
        alone = partial(_features_first, options)
    else:
        alone = partial(_one_loop, replace(options, joined=True))
    return _outputs(alone, in_chunks, params, xs, state, masks, reset_state)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _outputs(
    alone: Direction, differentiable: Direction, *arrays: Any
) -> tuple[Array, LSTMState]:
    """`alone(*arrays)`, of which the derivatives are those of `differentiable`."""
    del differentiable
    return alone(*arrays)


@_outputs.defjvp
def _outputs_jvp(
    alone: Direction, differentiable: Direction, primals: tuple, tangents: tuple
) -> tuple:
    del alone
    return jax.jvp(differentiable, primals, tangents)


def _features_first(
    options: Options,
    params: LayerParams,
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[Array, LSTMState]:
    del masks, reset_state  # there are none, or the order is another
    return features_first(options, params, xs, state)


def _one_loop(
    options: Options,
    params: LayerParams,
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[Array, LSTMState]:
    """The steps that there are, in one loop."""
    weights = weights_of(params, xs.dtype)
    with jax.named_scope("recurrence"):
        return recurrence(options, xs, weights, state, masks, reset_state)


def _in_chunks(
    options: Options,
    chunks: Chunks,
    params: LayerParams,
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[Array, LSTMState]:
    """The same, fit to be differentiated: what is kept is made chunk by chunk."""

    def run(state: LSTMState, inputs: tuple[Array, Masks]) -> tuple[LSTMState, Array]:
        xs, masks = inputs
        hs, state = _one_loop(options, params, xs, state, masks, reset_state)
        return state, hs

    body = run if chunks.remat is None else jax.checkpoint(run)
    length = chunks.remat or _chunk_length(xs.shape[:-1], len(params.weight_hh))
    over = partial(_over_chunks, body, length=length, reverse=options.reverse)
    if chunks.truncate is None:
        state, hs = over(state, (xs, masks))
    else:
        state, hs = _over_windows(over, state, (xs, masks), chunks.truncate)
    return hs, state


def _over_windows(
    over: Run, state: LSTMState, inputs: Any, length: int
) -> tuple[LSTMState, Array]:
    """Scan over windows of `length` steps, no gradient of the state between them."""
    first = jnp.arange(jax.tree.leaves(inputs)[0].shape[0]) == 0

    def window(state: LSTMState, inputs: Any) -> tuple[LSTMState, Array]:
        first, inputs = inputs
        state = jax.tree.map(
            lambda a: jnp.where(first[0], a, lax.stop_gradient(a)), state
        )
        return over(state, inputs)

    if not first.size:
        return over(state, inputs)
    return _over_chunks(window, state, (first, inputs), length, False)


def place(
    params: LayerParams,
    xs: Array,
    state: LSTMState,
    masks: Masks,
    reset_state: LSTMState | None,
) -> tuple[LayerParams, LSTMState, LSTMState | None]:
    """Parameters and states in the types and the sharding of the scan."""
    params = jax.tree.map(lambda a: a.astype(accumulator(xs.dtype)), params)
    state = _carried(state, xs.dtype)
    if reset_state is not None:
        reset_state = _carried(reset_state, xs.dtype)
    return params, _placed(state, xs, (params, masks, reset_state)), reset_state


def _chunk_length(shape: tuple[Any, ...], gates: int) -> int:
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


def _over_chunks(
    run: Run,
    state: LSTMState,
    inputs: Any,
    length: int,
    reverse: bool,
) -> tuple[LSTMState, Array]:
    """Scan `run` over chunks of `length` steps; what remains at the end is one call."""
    steps = jax.tree.leaves(inputs)[0].shape[0]
    if not isinstance(steps, int) or steps <= length:  # a symbolic T is one chunk
        return run(state, inputs)
    count, rest = divmod(steps, length)
    whole = jax.tree.map(
        lambda a: a[: count * length].reshape(count, length, *a.shape[1:]), inputs
    )
    tail = jax.tree.map(lambda a: a[count * length :], inputs)

    def run_whole(state: LSTMState) -> tuple[LSTMState, Array]:
        state, hs = lax.scan(run, state, whole, reverse=reverse)
        return state, hs.reshape(count * length, *hs.shape[2:])

    if not rest:
        return run_whole(state)
    if reverse:
        state, last = run(state, tail)
        state, first = run_whole(state)
    else:
        state, first = run_whole(state)
        state, last = run(state, tail)
    return state, jnp.concatenate([first, last])


def _carried(state: LSTMState, dtype: jnp.dtype) -> LSTMState:
    """The state in the types that go with products of type `dtype`."""
    return LSTMState(state.h.astype(dtype), state.c.astype(accumulator(dtype)))


def _placed(state: LSTMState, xs: Array, others: Any) -> LSTMState:
    """The state with the batch sharding and varying axes that the scan will give it.

    JAX derives both from operands, so a zero that depends on all of them is added.
    """
    zero = jnp.sum(lax.stop_gradient(xs)[:0], axis=(0, -1))[..., None]
    for other in jax.tree.leaves(others):
        zero = zero + zero_of(other, zero.dtype)
    return LSTMState(*(a + zero.astype(a.dtype) for a in state))
