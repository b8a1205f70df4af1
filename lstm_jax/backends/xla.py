"""The plain XLA backend: every spec, every device, every transform."""

import os
from dataclasses import replace
from math import prod

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState, Precision
from lstm_jax.gates import Options
from lstm_jax.layer import Chunks, run_layer
from lstm_jax.recurrence import Masks

# On a CPU the input's share of the gates is a product of its own where a single product
# is bound by reading its weights: with few rows.
MANY_ROWS = 4
# Units from which weights are so large that packing them anew at each step is slow.
WIDE = 256


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
    options = replace(_order(spec, xs), precision=precision)
    after = []
    for index, layer in enumerate(layers):
        first = index * spec.num_directions
        rows = slice(first, first + spec.num_directions)
        before, reset = jax.tree.map(lambda a, rows=rows: a[rows], (state, reset_state))
        with jax.named_scope(f"layer_{index}"):
            xs, new = run_layer(options, layer, xs, before, masks, reset, chunks=chunks)
        after.append(new)
    return xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)


def _order(spec: LSTMSpec, xs: Array) -> Options:
    """The order of the products, by what was fastest on a CPU (docs/design.md).

    Features come first only where the batch cannot lie on several devices: the rows are
    no longer an axis of their own. In `shard_map` each device has rows to itself.
    """
    batch, units = xs.shape[1:-1], spec.hidden_size
    if spec.platform != "cpu" or not all(isinstance(size, int) for size in batch):
        return Options()
    if prod(batch) < MANY_ROWS:
        return Options()
    if units < WIDE:
        return Options(joined=True)
    mesh = jax.sharding.get_abstract_mesh()
    manual = not mesh.empty and mesh.are_all_axes_manual
    if jax.device_count() > 1 and not manual:
        return Options()
    return Options(feature_blocks=1 if units % 2 or _cores() == 1 else 2)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
