"""The devices that share each batch, of one process or of several."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from lstm_jax.train.loop.units import apart, map_units, stacked
from lstm_jax.train.saved.checkpoints import is_key, plain

AXIS, UNITS = "batch", "units"
# What Gloo, NCCL and the service of jax.distributed say of a process that is gone.
_LOST = re.compile(
    "Gloo|NCCL|coordination service|heartbeat|[Cc]onnection (reset|closed)|"
    "UNAVAILABLE|DEADLINE_EXCEEDED|Socket closed"
)


class LostError(ConnectionError):
    """Another process that has ended before the run did."""


@dataclass(frozen=True)
class Devices:
    """The devices that share each batch, and those that share the units of an LSTM.

    The mesh has an axis for either. Without one there is one device, and arrays go
    where JAX puts them.
    """

    mesh: Mesh | None = None

    @property
    def count(self) -> int:
        """How many parts a batch has, each of as many rows."""
        return 1 if self.mesh is None else self.mesh.shape[AXIS]

    @property
    def units(self) -> int:
        """How many parts the units have."""
        return 1 if self.mesh is None else self.mesh.shape[UNITS]

    @property
    def processes(self) -> int:
        """How many processes have them, each as many."""
        return 1 if self.mesh is None else len(_by_process(self.mesh.devices.flat))

    @property
    def process(self) -> int:
        """The number of this process; 0 writes and prints."""
        return 0 if self.processes == 1 else jax.process_index()

    def filled(self, rows: int) -> int:
        """The rows of a batch that is filled up, so that the devices divide it."""
        return -(-rows // self.count) * self.count

    def own(self, rows: int) -> tuple[int, int]:
        """The first row of a filled batch that this process has, and its end."""
        part = self.filled(rows) // self.processes
        return self.process * part, (self.process + 1) * part

    def sharding(self, rows_axis: int | None) -> NamedSharding | None:
        """Where arrays lie: divided on the axis of rows; for None, whole on each."""
        if self.mesh is None:
            return None
        axes = () if rows_axis is None else (*(None,) * rows_axis, AXIS)
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    @property
    def by_units(self) -> NamedSharding:
        """Where parameters of an LSTM lie that are divided by units."""
        assert self.mesh is not None, "there are units"  # noqa: S101
        return NamedSharding(self.mesh, PartitionSpec(None, UNITS))

    def put(self, tree: Any, rows_axis: int | None = None) -> Any:
        """Whole arrays, that each process has, put on the devices."""
        if self.mesh is None:
            return tree
        sharding = self.sharding(rows_axis)

        def whole(leaf: Any) -> Array:
            return _put(leaf, sharding)

        if self.units == 1:
            return jax.tree.map(whole, tree)
        divided = self.by_units
        return map_units(lambda key, a: _put(apart(key, a), divided), tree, whole)

    def kept_apart(self, tree: Any) -> Any:
        """The arrays that a program returns, where `put` puts them."""
        if self.units == 1:
            return tree
        to = jax.lax.with_sharding_constraint
        whole, divided = self.sharding(None), self.by_units
        return map_units(lambda _, a: to(a, divided), tree, lambda a: to(a, whole))

    def held(self, tree: Any) -> Any:
        """The same with whole weights in torch's shapes, those of units on the host."""
        return tree if self.units == 1 else map_units(stacked, tree, lambda a: a)

    def put_rows(self, tree: Any) -> Any:
        """The rows of this process, put on its devices as a part of the batch."""
        if self.mesh is None:
            return tree
        make = jax.make_array_from_process_local_data
        return jax.tree.map(lambda a: make(self.sharding(0), np.asarray(a)), tree)

    def put_state(self, carry: Any) -> Any:
        """A state of every row, `(L*D, B, P)`, divided; zeros fill it up."""
        if self.mesh is None:
            return carry
        return self.put(jax.tree.map(self._filled_state, carry), 1)

    def _filled_state(self, state: Array) -> np.ndarray:
        more = self.filled(state.shape[1]) - state.shape[1]
        return np.pad(np.asarray(state), ((0, 0), (0, more), (0, 0)))

    def take_state(self, carry: Any, rows: int) -> Any:
        """The first rows of a divided state, whole. Every process must call it."""
        if self.mesh is None or carry is None:
            return carry
        whole = jax.jit(lambda held: held, out_shardings=self.sharding(None))(carry)
        return jax.tree.map(lambda state: state[:, :rows], self.taken(whole))

    def put_asked(self, number: int) -> Array | None:
        """A number of each process, for the step to tell all of them the largest."""
        if self.processes == 1:
            return None
        return self.put_rows(np.full(self.count // self.processes, number, np.int32))

    def taken(self, tree: Any) -> Any:
        """Whole arrays of the devices as arrays of this process alone."""
        if self.mesh is None:
            return tree
        return jax.tree.map(_taken, self.held(tree))

    def tracing(self) -> AbstractContextManager[Any]:
        """Where a program of the run is called, so that it is traced for the mesh."""
        return nullcontext() if self.mesh is None else jax.set_mesh(self.mesh)

    def wait(self) -> None:
        """Wait for the other processes."""
        if self.processes > 1:
            multihost_utils.sync_global_devices("lstm_jax.train")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say in one sentence that another process is lost."""
        try:
            yield
        except (ValueError, RuntimeError) as error:  # ValueError is what Gloo's are
            if self.processes == 1 or not _LOST.search(str(error)):
                raise
            raise LostError(
                f"fit: all {self.processes} processes must run to the end: another one "
                "has ended, or is not reached. Start all of them again: `resume` goes "
                "on from the last checkpoint."
            ) from None

    def refuse_unequal(self, held: Mapping[str, Any]) -> None:
        """Refuse to train where the processes were not called with the same things."""
        if self.processes == 1:
            return
        marks = np.array([_mark(value) for value in held.values()], np.uint32)
        found = np.asarray(multihost_utils.process_allgather(marks))
        others = [name for k, name in enumerate(held) if len(set(found[:, k])) > 1]
        if others:
            raise ValueError(
                f"fit: {', '.join(others)} must be the same in all "
                f"{self.processes} processes: each trains on its rows of the same "
                "batches. Start all of them with the same command, on files that all "
                "of them see."
            )


ONE = Devices()


def read_devices(given: Sequence[Any] | None, units: int = 1) -> Devices:
    """The devices that the caller gave; with none, those of all processes, or one.

    Each `units` of them share the units of an LSTM.
    """
    if given is None:
        if jax.process_count() == 1 and units == 1:
            return ONE
        given = jax.devices()
    devices = list(given) if isinstance(given, Sequence) else [given]
    others = [d for d in devices if not isinstance(d, jax.Device)]
    if others:
        raise TypeError(
            f"fit: devices must be devices of JAX, not {type(others[0]).__name__}. Use "
            "devices=jax.devices()."
        )
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(
            f"fit: devices={devices} must be one or more, each of them once. Use "
            "devices=jax.devices()."
        )
    counts = [_by_process(devices)[k] for k in range(jax.process_count())]
    if len(set(counts)) > 1:
        raise ValueError(
            f"fit: devices must be as many of each process: of the {len(counts)} "
            f"processes there are {counts}. Start each process with as many, and leave "
            "`devices` out."
        )
    devices.sort(key=lambda device: (device.process_index, device.id))
    _check_divisor(units, counts[0])
    places = np.array(devices).reshape(-1, units)
    return Devices(Mesh(places, (AXIS, UNITS), axis_types=(AxisType.Auto,) * 2))


def _check_divisor(units: int, count: int) -> None:
    if isinstance(units, bool) or not isinstance(units, int):
        raise TypeError(
            f"fit: unit_devices must be an int, not {type(units).__name__}: so many "
            "devices share the units. Use 1 for whole weights on each device."
        )
    if units < 1 or count % units:
        raise ValueError(
            f"fit: unit_devices={units} must divide how many devices a process has, "
            f"{count}: each group of so many shares the units. Use unit_devices=1."
        )


def _by_process(devices: Any) -> Counter[int]:
    return Counter(device.process_index for device in devices)


def _put(leaf: Any, sharding: Any) -> Array:
    if is_key(leaf):
        put = _put(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(put, impl=jax.random.key_impl(leaf))
    held = np.asarray(leaf)
    return jax.make_array_from_callback(held.shape, sharding, lambda part: held[part])


def _taken(leaf: Any) -> Any:
    if is_key(leaf):
        impl = jax.random.key_impl(leaf)
        return jax.random.wrap_key_data(jax.numpy.array(plain(leaf)), impl=impl)
    return jax.numpy.array(plain(leaf))


def _mark(value: Any) -> int:
    """A number that tells values apart: arrays by their bytes, others by their text."""
    if isinstance(value, Mapping):
        return crc32(b"".join(plain(array).tobytes() for array in value.values()))
    return crc32(str(value).encode())
