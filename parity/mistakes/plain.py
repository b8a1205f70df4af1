"""A plain LSTM with exchangeable parts: what the known mistakes are made of."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import lstm_jax
from lstm_jax import LayerParams, LSTMSpec, LSTMState

Params = dict[str, Any]
Run = Callable[..., tuple[Any, Any]]
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
        h = product(h, params.weight_hr.T)
    return LSTMState(h, c)


def _keep(t: Any, steps: int, state: LSTMState) -> LSTMState:
    del t, steps
    return state


def plain_lstm(
    step: Callable[..., LSTMState] = step,
    before: Callable[[Any, int, LSTMState], LSTMState] = _keep,
) -> Run:
    """An LSTM of the signature of `lstm_jax.lstm`, scanned step by step.

    Args:
        step: The equations.
        before: Touches the state that step `t` of `T` starts from.
    """

    def run(params: Params, xs: Any, state: Any) -> tuple[Any, LSTMState]:
        spec, after = lstm_jax.spec_of(params), []
        state = state or _zeros(spec, xs)
        for layer in range(spec.num_layers):
            outputs = []
            for direction in range(spec.num_directions):
                keys = spec.layer_keys(layer, direction)
                weights = LayerParams(*map(params.get, keys))  # type: ignore[arg-type]
                start = LSTMState(*(a[len(after)] for a in state))
                body = partial(_body, partial(step, weights), before, xs.shape[0])
                inputs = (jnp.arange(xs.shape[0]), xs)
                new, hs = lax.scan(body, start, inputs, reverse=direction == 1)
                after.append(new)
                outputs.append(hs)
            xs = jnp.concatenate(outputs, axis=-1)
        return xs, jax.tree.map(lambda *parts: jnp.stack(parts), *after)

    return run


def _body(
    step: Callable[..., LSTMState],
    before: Callable[..., LSTMState],
    steps: int,
    state: LSTMState,
    inputs: tuple[Any, Any],
) -> tuple[LSTMState, Any]:
    new = step(inputs[1], before(inputs[0], steps, state))
    return new, new.h


def _zeros(spec: LSTMSpec, xs: Any) -> LSTMState:
    rows, batch = spec.num_layers * spec.num_directions, xs.shape[1:-1]
    sizes = (spec.output_size, spec.hidden_size)
    return LSTMState(*(jnp.zeros((rows, *batch, size), xs.dtype) for size in sizes))
