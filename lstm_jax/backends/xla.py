"""The plain XLA backend: every spec, every device, every transform."""

from math import prod

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState
from lstm_jax.layer import Chunks, run_layer
from lstm_jax.recurrence import Masks, Options, Precision

# Rows from which features come first on a CPU: below, a product is bound by reading its
# weights, and those of the inputs of many steps are better done at once. Where devices
# share the cores, products of narrower layers lose more at hand-over than they gain.
MANY_ROWS = 4
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
    options = Options(precision=precision, features_first=_features_first(spec, xs))
    after = []
    for index, layer in enumerate(layers):
        first = index * spec.num_directions
        rows = slice(first, first + spec.num_directions)
        before, reset = jax.tree.map(lambda a, rows=rows: a[rows], (state, reset_state))
        with jax.named_scope(f"layer_{index}"):
            xs, new = run_layer(options, layer, xs, before, masks, reset, chunks=chunks)
        after.append(new)
    return xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)


def _features_first(spec: LSTMSpec, xs: Array) -> bool:
    """Whether outputs alone are computed with features before rows.

    Only on a CPU, and not where the batch may lie on several devices: the rows are no
    longer an axis of their own. In `shard_map` each device has rows to itself.
    """
    batch = xs.shape[1:-1]
    if spec.platform != "cpu" or not all(isinstance(size, int) for size in batch):
        return False
    mesh = jax.sharding.get_abstract_mesh()
    manual = not mesh.empty and mesh.are_all_axes_manual
    alone = jax.device_count() == 1 or (manual and spec.hidden_size >= WIDE)
    return alone and prod(batch) >= MANY_ROWS
