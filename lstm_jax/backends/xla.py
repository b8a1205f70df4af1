"""The plain XLA backend: every spec, every device, every transform."""

import os
from dataclasses import replace
from math import prod

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState, Precision
from lstm_jax.scan.devices import in_shard_map
from lstm_jax.scan.gates import Options
from lstm_jax.scan.layer import Chunks, run_layer
from lstm_jax.scan.recurrence import Masks

# What was fastest on a CPU (docs/design.md). Rows below which a product is bound by
# reading its weights, and from which they may be the last axis of a product where a
# device has one core.
FEW_ROWS, MANY_ROWS = 4, 32
# Units from which a product for each gate is no slower than one for all, and from which
# weights are so large that reading them at each step is slow.
BY_GATE, WIDE = 128, 256
# Inputs for each unit from which their product for many steps gains by a second core,
# if a step of it has so many multiplications; and from which it gains on one core by
# being large.
GAINS, LARGE, GAINS_ALONE = 0.25, 2**16, 2

# What other devices do where sizes do not decide. Guesses: no GPU has run them.
DEVICES = {"gpu": Options(unroll=4, together=True)}


def unsupported(spec: LSTMSpec) -> str | None:
    """None: it runs everything."""
    del spec
    return None


def run(
    layers: tuple[tuple[LayerParams, ...], ...],
    xs: Array,
    state: LSTMState,
    reset_state: LSTMState | None,
    *,
    spec: LSTMSpec,
    masks: Masks,
    precision: Precision,
    chunks: Chunks,
) -> tuple[Array, LSTMState]:
    """Run the layers one after the other, see `lstm_jax.backends.run`."""
    after = []
    for index, layer in enumerate(layers):
        first = index * spec.num_directions
        rows = slice(first, first + spec.num_directions)
        options = replace(_order(spec, xs), precision=precision)
        before, reset = jax.tree.map(lambda a, rows=rows: a[rows], (state, reset_state))
        with jax.named_scope(f"layer_{index}"):
            xs, new = run_layer(options, layer, xs, before, masks, reset, chunks=chunks)
        after.append(new)
    return xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)


def _order(spec: LSTMSpec, xs: Array) -> Options:
    """The order of the products of a layer, by its inputs `(T, *B, I)`.

    T does not decide, so that parts of a sequence are computed as the whole is.
    """
    units, inputs = spec.hidden_size, xs.shape[-1]
    if not all(isinstance(size, int) for size in xs.shape):
        return Options()
    if spec.platform != "cpu":
        return DEVICES.get(spec.platform, Options())
    rows = prod(xs.shape[1:-1])
    if rows < FEW_ROWS:
        return Options()
    single = jax.local_device_count() >= _cores()  # no second core for a device
    if units < WIDE:
        large = inputs >= GAINS * units and rows * inputs * units >= LARGE
        if large and not single:
            return Options()
        return Options(joined=True, by_gate=units >= BY_GATE, alone="joined")
    every_row = not (spec.lengths or spec.resets)  # is computed at every step
    few = single and rows < MANY_ROWS
    if every_row and not few and _features_may_be_first():
        blocks = 1 if single or units % 2 else 2
        return Options(by_gate=single, alone="features", blocks=blocks)
    alone = "joined" if inputs < GAINS_ALONE * units else ""
    return Options(by_gate=single, alone=alone)


def _features_may_be_first() -> bool:
    """Whether the batch cannot lie on several devices: rows are no axis of their own.

    In `shard_map` each device has rows to itself.
    """
    return in_shard_map() or jax.device_count() == 1


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
