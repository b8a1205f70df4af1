"""Which order a CPU multiplies in: a table of rows, each with what it is worth.

A row is chosen only from values: the machine and the sizes of a layer. The number of
steps is not among them, so that parts of a sequence are computed as the whole is.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import jax

from lstm_jax.scan.devices import in_shard_map
from lstm_jax.scan.loop import Order


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What decides how a CPU multiplies fast.

    Args:
        cores: Cores that the process may use.
        devices: CPU devices of the process, which share the cores.
        split: Whether `jit` may divide a batch among devices.

    Example:
        >>> Machine(cores=2).several_cores, Machine(cores=2, devices=2).several_cores
        (True, False)
    """

    cores: int
    devices: int = 1
    split: bool = False

    @property
    def several_cores(self) -> bool:
        """Whether a device has more than one core."""
        return self.cores > self.devices

    @classmethod
    def here(cls) -> "Machine":
        """The machine of this process, as it is now.

        In `shard_map` each device has rows of its own, so no batch is divided there.
        """
        if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
            cores = len(os.sched_getaffinity(0))
        else:
            cores = os.cpu_count() or 1
        if jax.default_backend() != "cpu":
            return cls(cores=cores)
        split = jax.device_count() > 1 and not in_shard_map()
        return cls(cores=cores, devices=jax.local_device_count(), split=split)


class LayerSizes(NamedTuple):
    """Sizes of a layer: rows of the batch, features of its inputs, units."""

    rows: int
    inputs: int
    units: int


class OrderRow(NamedTuple):
    """An order: where it is taken, in words and as a function, and what it is worth.

    An order of None is the plain one on every device. Only a row that ignores the
    machine may have it: else an export for another device would depend on the host.
    """

    where: str
    holds: Callable[[Machine, LayerSizes], bool]
    order: Order | None
    worth: str


# The first row that holds is taken. Figures: two AVX-512 cores, float32.
ROWS = (
    OrderRow(
        "fewer than 4 rows",
        lambda _, a: a.rows < 4,
        None,
        "these products wait for the weights to be read",
    ),
    OrderRow(
        "256 units or more, several cores, a batch on one device",
        lambda m, a: a.units >= 256 and m.several_cores and not m.split,
        Order(transposed=2),
        "B 32, I 128, H 256, forward: 9.1 ms, not 13.4",
    ),
    OrderRow(
        "256 units or more, one core, 32 rows or more, a batch on one device",
        lambda m, a: (
            a.units >= 256 and not m.several_cores and not m.split and a.rows >= 32
        ),
        Order(per_gate=True, transposed=1),
        "B 32, H 256: a product at 268 GFLOP/s, not 227",
    ),
    OrderRow(
        "256 units or more, one core",
        lambda m, a: a.units >= 256 and not m.several_cores,
        Order(per_gate=True),
        "B 16, H 256: a step's product in 37 us, not 47",
    ),
    OrderRow(
        "256 units or more",
        lambda _, a: a.units >= 256,
        Order(),
        "the inputs' product is large enough for every core",
    ),
    OrderRow(
        "several cores, inputs at least a quarter of the units, and rows x inputs x "
        "units at least 2^16",
        lambda m, a: m.several_cores and 4 * a.inputs >= a.units and prod(a) >= 2**16,
        Order(),
        "B 32, T 100, H 64, forward: 1.17 ms, not 1.34",
    ),
    OrderRow(
        "128 units or more",
        lambda _, a: a.units >= 128,
        Order(fused_input=True, per_gate=True),
        "B 16, T 512, H 128 on two devices, forward: 6.5 ms, not 9.0",
    ),
    OrderRow(
        "fewer units",
        lambda *_: True,
        Order(fused_input=True),
        "B 4, T 128, H 64, forward: 0.33 ms, not 0.44",
    ),
)


def order_of(machine: Machine, shape: tuple[Any, ...], units: int) -> Order | None:
    """The order for inputs `(T, *B, I)`; None where a size is symbolic.

    Example:
        >>> order_of(Machine(cores=2), (100, 32, 128), 256)
        Order(fused_input=False, per_gate=False, transposed=2)
    """
    if not all(isinstance(size, int) for size in shape):
        return None
    sizes = LayerSizes(prod(shape[1:-1]), shape[-1], units)
    return next(row.order for row in ROWS if row.holds(machine, sizes))
