"""A plain LSTM with exchangeable parts: what the known mistakes are made of."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

import lstm_jax
from lstm_jax import LayerParams, LSTMSpec, LSTMState
from parity.judge.tensors import Run
from parity.verify.mistakes.changes import Params

Function = Callable[[Any], Any]


def step(
    params: LayerParams,
    x: Any,
    state: LSTMState,
    *,
    gate: Function = jax.nn.sigmoid,
    squash: Function = jnp.tanh,
    out: Function = jnp.tanh,
    product: Callable[[Any, Any], Any] = jnp.matmul,
) -> LSTMState:
    """`lstm_jax.lstm_step` with its functions exchangeable."""
    gates = product(x, params.weight_ih.T) + product(state.h, params.weight_hh.T)
    i, f, g, o = jnp.split(gates + params.bias, 4, axis=-1)
    c = gate(f) * state.c + gate(i) * squash(g)
    h = gate(o) * out(c)
    if params.weight_hr is not None:
        h = product(h.astype(x.dtype), params.weight_hr.T)
    return LSTMState(h.astype(state.h.dtype), c.astype(state.c.dtype))


def _keep(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state


def replaced(mask: Any, new: LSTMState, old: LSTMState) -> LSTMState:
    """`new` in the rows of `mask`, `old` elsewhere."""
    h, c = (jnp.where(mask[..., None], a, b) for a, b in zip(new, old, strict=True))
    return LSTMState(h, c)


def _same(valid: Any, direction: int) -> Any:
    del direction
    return valid


def _cleaned(valid: Any, xs: Any) -> Any:
    return jnp.where(valid[..., None], xs, 0)


class Parts(NamedTuple):
    """What can be exchanged.

    `step` is the equations; `before` touches the state that step `t` of `T` starts
    from; `reset` puts a fresh state in the rows of a mask; `running` says which steps
    of a direction move its state; `clean` takes what lies past the lengths out of `xs`.
    """

    step: Callable[..., LSTMState] = step
    before: Callable[[Any, int, LSTMState], LSTMState] = _keep
    reset: Callable[[Any, LSTMState, LSTMState], LSTMState] = replaced
    running: Callable[[Any, int], Any] = _same
    clean: Callable[[Any, Any], Any] = _cleaned


class _StepInputs(NamedTuple):
    """The inputs of one step: its number, `x` and the masks."""

    t: Any
    x: Any
    running: Any
    resets: Any


def plain_lstm(**parts: Any) -> Run:
    """An LSTM of the signature of `lstm_jax.lstm`, scanned step by step.

    It is compiled once for each set of shapes, however often it is tried.

    Args:
        parts: Those of `Parts` that are not the right ones.
    """
    return jax.jit(partial(_scan_stack, Parts(**parts)))


def _scan_stack(
    parts: Parts,
    params: Params,
    xs: Any,
    state: Any,
    *,
    lengths: Any = None,
    resets: Any = None,
    reset_state: Any = None,
) -> tuple[Any, LSTMState]:
    spec, after, times = lstm_jax.spec_of(params), [], jnp.arange(xs.shape[0])
    valid = None
    if lengths is not None:
        valid = times.reshape(-1, *(1,) * jnp.ndim(lengths)) < lengths
        xs = parts.clean(valid, xs)
    state = state or _state_of_zeros(spec, xs)
    reset_state = reset_state or jax.tree.map(jnp.zeros_like, state)
    for layer in range(spec.num_layers):
        outputs = []
        for direction in range(spec.num_directions):
            keys = spec.layer_keys(layer, direction)
            weights = LayerParams(*map(params.get, keys))  # type: ignore[arg-type]
            start, fresh = (
                LSTMState(*(a[len(after)] for a in pair))
                for pair in (state, reset_state)
            )
            running = None if valid is None else parts.running(valid, direction)
            body = partial(_scan_body, parts, weights, xs.shape[0], fresh)
            inputs = _StepInputs(times, xs, running, resets)
            new, hs = lax.scan(body, start, inputs, reverse=direction == 1)
            after.append(new)
            outputs.append(hs)
        xs = jnp.concatenate(outputs, axis=-1)
        if valid is not None:
            xs = jnp.where(valid[..., None], xs, 0)
    return xs, jax.tree.map(lambda *rows: jnp.stack(rows), *after)


def _scan_body(
    parts: Parts,
    weights: LayerParams,
    steps: int,
    fresh: LSTMState,
    state: LSTMState,
    inputs: _StepInputs,
) -> tuple[LSTMState, Any]:
    start = state
    if inputs.resets is not None:
        start = parts.reset(inputs.resets, fresh, state)
    new = parts.step(weights, inputs.x, parts.before(inputs.t, steps, start))
    if inputs.running is not None:
        new = replaced(inputs.running, new, state)
    return new, new.h


def _state_of_zeros(spec: LSTMSpec, xs: Any) -> LSTMState:
    rows, batch = spec.num_layers * spec.num_directions, xs.shape[1:-1]
    wide = jnp.promote_types(xs.dtype, jnp.float32)
    return LSTMState(
        jnp.zeros((rows, *batch, spec.output_size), xs.dtype),
        jnp.zeros((rows, *batch, spec.hidden_size), wide),
    )
