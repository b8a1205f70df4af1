"""Wide layers on a CPU: where XLA's program has features before rows.

The choice depends on the process and on the sizes of a layer, not on the number of
steps, so that parts of a sequence are computed as the whole is.
"""

from math import prod

import jax

from lstm_jax._types import LSTMSpec, Steps
from lstm_jax.scan.devices import in_shard_map

# From these sizes on it is 1.1 to 2.3 times as fast (docs/speed.md).
UNITS, ROWS = 256, 4


def divided_here() -> bool:
    """Whether `jit` may divide a batch among the CPU devices of this process.

    In `shard_map` each device has rows of its own, so no batch is divided there.
    """
    several = jax.default_backend() == "cpu" and jax.device_count() > 1
    return several and not in_shard_map()


def transposed_of(steps: Steps, spec: LSTMSpec, divided: bool) -> bool | None:
    """`Loop.transposed` of a layer. Where a size is symbolic the layer is not wide."""
    shape = steps.xs.shape
    fixed = all(isinstance(size, int) for size in shape)
    wide = fixed and spec.hidden_size >= UNITS and prod(shape[1:-1]) >= ROWS
    return not divided if wide and not spec.gate_axis else None
