"""One layer over time: its directions, one after the other."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from lstm_jax._types import LayerParams, Layers, LSTMState, States, Steps
from lstm_jax.scan.chunks import over_time
from lstm_jax.scan.devices import to_scan
from lstm_jax.scan.loop import Loop
from lstm_jax.scan.transposed import transposed

Direction = Callable[..., tuple[Array, LSTMState]]


def run_layer(
    loop: Loop,
    layer: tuple[LayerParams, ...],
    steps: Steps,
    states: States,
    direction: Callable[[Loop, Steps], Direction] | None = None,
) -> tuple[Array, LSTMState]:
    """Run one layer over a sequence.

    Args:
        loop: What is fixed about the loop; `reverse` is set here.
        layer: Weights, forward first, then reverse if there is one.
        steps: Inputs in the type of the products, `(T, *B, I)`, and masks.
        states: States `(D, *B, P)` and `(D, *B, H)`.
        direction: What runs one direction; None means `by_xla`.

    Returns:
        Outputs `(T, *B, D*P)`, zero where a row has ended, and the state after.
    """
    outputs, after = [], []
    for index, params in enumerate(layer):
        one = jax.tree.map(itemgetter(index), states)
        run = (direction or by_xla)(replace(loop, reverse=index == 1), steps)
        hs, state = run(*to_scan(params, steps, one))
        outputs.append(hs)
        after.append(state)
    return side_by_side(outputs, steps), jax.tree.map(lambda *a: jnp.stack(a), *after)


def of_layer(states: States, index: int, layer: tuple[LayerParams, ...]) -> States:
    """The states of one layer out of those of a stack."""
    rows = slice(index * len(layer), (index + 1) * len(layer))
    return jax.tree.map(lambda a: a[rows], states)


def run_layers(
    loop_of: Callable[[Steps], Loop],
    layers: Layers,
    steps: Steps,
    states: States,
    direction: Callable[[Loop, Steps], Direction] | None = None,
) -> tuple[Array, LSTMState]:
    """Run layers one after the other, see `lstm_jax.backends.Backend`.

    Args:
        loop_of: The loop of a layer, from its steps.
        layers: Weights of each layer in each direction.
        steps: Inputs of the first layer, and masks.
        states: States of all layers.
        direction: What runs one direction; None means `by_xla`.

    Returns:
        Outputs of the last layer, and the state after of all.
    """
    after = []
    for index, layer in enumerate(layers):
        with jax.named_scope(f"layer_{index}"):
            before = of_layer(states, index, layer)
            ys, state = run_layer(loop_of(steps), layer, steps, before, direction)
        steps = steps._replace(xs=ys)
        after.append(state)
    return steps.xs, jax.tree.map(lambda *a: jnp.concatenate(a), *after)


def side_by_side(outputs: list[Array], steps: Steps) -> Array:
    """The directions' outputs side by side, zero where a row has ended."""
    ys = jnp.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
    return ys if steps.valid is None else jnp.where(steps.valid[..., None], ys, 0)


def by_xla(loop: Loop, steps: Steps) -> Direction:
    """What runs one direction: values from one loop, derivatives from another.

    Only a CPU runs `transposed`, without masks or derivatives, and with rows. The
    device is known when a program is lowered, not when it is traced. So both programs
    are traced, whatever this host is, and that of another device does not depend on it.
    """
    differentiable = partial(over_time, loop)
    masked = steps.valid is not None or steps.reset is not None
    if loop.transposed is None or masked or 0 in steps.xs.shape:
        return differentiable
    cpu = partial(transposed, loop) if loop.transposed else differentiable
    by_device = partial(lax.platform_dependent, cpu=cpu, default=differentiable)
    run: Any = jax.custom_jvp(by_device)
    run.defjvp(partial(jax.jvp, differentiable))
    return run
