"""The calls of the kernel: what it reads, flat, and what it gives, in our shapes."""

from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax._types import LayerParams, LSTMState, States, Steps
from lstm_jax.native.programs import Known
from lstm_jax.scan.gates import Gates
from lstm_jax.scan.loop import Loop

_TYPE = jnp.float32


class Asked(NamedTuple):
    """Of what gradients are asked for, beside those of the states."""

    weights: bool
    inputs: bool


class _Read(NamedTuple):
    """What both calls read, in the kernel's shapes: a batch is one axis."""

    xs: Any
    weight_hr: Any
    h: Any
    c: Any
    masks: tuple[Any, ...]  # reset, valid, and the state after a reset

    def sizes(self) -> tuple[int, int, int, int, int]:
        """`T`, `B`, `I`, `H` and `P`."""
        return *self.xs.shape, self.c.shape[-1], self.h.shape[-1]


def run_forward(
    loop: Loop, params: LayerParams, steps: Steps, states: States, keep: bool
) -> tuple[Any, LSTMState, Known | None]:
    """`h` of every step, the state after, and with `keep` what derivatives need."""
    read = _read(params, steps, states)
    count, rows, _, units, features = read.sizes()
    kept = (count, rows, units) if keep else (0,)
    shapes = [(count, rows, features), (rows, units), *[kept] * 5]
    bias = jnp.broadcast_to(jnp.asarray(params.bias, _TYPE), 4 * units)
    weights = params.weight_ih, params.weight_hh, bias, read.weight_hr
    hs, c, *known = _call(
        "forward", loop, shapes, read.xs, *weights, read.h, read.c, *read.masks
    )
    final = LSTMState(hs[0 if loop.reverse else -1], c)
    final = jax.tree.map(lambda a, like: a.reshape(like.shape), final, states.before)
    lead = steps.xs.shape[:-1]
    hs = hs.reshape(*lead, features)
    if not keep:
        return hs, final, None
    c, *gates = (a.reshape(*lead, units) for a in known)
    return hs, final, (LSTMState(hs, c), Gates(*gates))


def run_backward(
    loop: Loop,
    primals: tuple[LayerParams, Steps, States],
    known: Known,
    cotangents: tuple[Any, LSTMState],
    asked: Asked,
) -> tuple[LayerParams, Any, States]:
    """Gradients of parameters, xs and states from those of `h` and the state after.

    Those of the parameters and of xs are missing (of no elements) unless asked for.
    """
    params, steps, states = primals
    read = _read(params, steps, states)
    count, rows, inputs, units, features = read.sizes()
    gates = 4 * units
    shapes: list[tuple[int, ...]] = [(0,)] * 5
    if asked.inputs:
        shapes[0] = (count, rows, inputs)
    if asked.weights:
        shapes[1:4] = [(gates, inputs), (gates, features), (gates,)]
        shapes[4] = (0,) if params.weight_hr is None else (features, units)
    of_state = [(rows, features), (rows, units)]
    shapes += of_state + ([(0,)] * 2 if steps.reset is None else of_state)
    flat = jax.tree.map(
        lambda a: a.reshape(count, rows, -1), (tuple(known[0]), tuple(known[1]))
    )
    d_h, d_final = cotangents
    d_xs, ih, hh, bias, hr, h, c, *fresh = _call(
        "backward",
        loop,
        shapes,
        read.xs,
        params.weight_ih,
        params.weight_hh,
        read.weight_hr,
        read.h,
        read.c,
        *read.masks,
        *flat[0],
        *flat[1],
        d_h.reshape(count, rows, features),
        *(a.reshape(rows, -1) for a in d_final),
    )
    d_params: Any = LayerParams(ih, hh, bias, bias, hr)
    there = (None if a is None else d for a, d in zip(params, d_params, strict=True))
    d_params = LayerParams(*there)  # pyright: ignore[reportArgumentType]
    d_states = States(LSTMState(h, c), None)
    if states.fresh is not None:
        given = fresh if steps.reset is not None else map(jnp.zeros_like, states.fresh)
        d_states = d_states._replace(fresh=LSTMState(*given))
    d_states = jax.tree.map(lambda d, a: d.reshape(a.shape), d_states, states)
    d_xs = d_xs.reshape(steps.xs.shape) if asked.inputs else d_xs
    return d_params, d_xs, d_states


def _read(params: LayerParams, steps: Steps, states: States) -> _Read:
    count, *batch, inputs = steps.xs.shape
    rows = prod(batch)
    h, c = (a.reshape(rows, a.shape[-1]) for a in states.before)
    fresh = [_absent(_TYPE)] * 2
    if steps.reset is not None:
        after_reset = states.fresh or jax.tree.map(jnp.zeros_like, states.before)
        fresh = [a.reshape(rows, a.shape[-1]) for a in after_reset]
    masks = [
        _absent(bool) if mask is None else mask.reshape(count, rows)
        for mask in (steps.reset, steps.valid)
    ]
    weight_hr = _absent(_TYPE) if params.weight_hr is None else params.weight_hr
    xs = steps.xs.reshape(count, rows, inputs)
    return _Read(xs, weight_hr, h, c, (*masks, *fresh))


def _absent(dtype: Any) -> Any:
    """What the kernel takes for an array that there is none of."""
    return jnp.zeros(0, dtype)


def _call(name: str, loop: Loop, shapes: list[Any], *arrays: Any) -> list[Any]:
    out = [jax.ShapeDtypeStruct(shape, _TYPE) for shape in shapes]
    call = jax.ffi.ffi_call(f"lstm_jax_{name}", out)
    return list(call(*arrays, reverse=loop.reverse))
