"""The plain XLA backend: every spec, every device, every transform."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax._types import LayerParams, LSTMSpec, LSTMState
from lstm_jax.layer import Chunks, run_layer
from lstm_jax.recurrence import Masks, Options, Precision


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
    options, after = Options(precision=precision), []
    for index, layer in enumerate(layers):
        first = index * spec.num_directions
        rows = slice(first, first + spec.num_directions)
        before, reset = jax.tree.map(lambda a, rows=rows: a[rows], (state, reset_state))
        with jax.named_scope(f"layer_{index}"):
            xs, new = run_layer(options, layer, xs, before, masks, reset, chunks=chunks)
        after.append(new)
    return xs, jax.tree.map(lambda *parts: jnp.concatenate(parts), *after)
