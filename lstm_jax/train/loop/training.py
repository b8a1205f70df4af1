"""The loop: steps, epochs, and what ends them."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lstm_jax.train.batch import Batch
from lstm_jax.train.loop.devices import ONE, Devices
from lstm_jax.train.loop.program import Moving, Network, Program, evaluation_of, step_of
from lstm_jax.train.loop.progress import Reporter
from lstm_jax.train.loop.signals import Signals
from lstm_jax.train.loop.sources import Source
from lstm_jax.train.loop.standing import Standing
from lstm_jax.train.loop.units import check_units
from lstm_jax.train.optimizers import rate_of
from lstm_jax.train.saved import checkpoints
from lstm_jax.train.saved.folder import Folder

AHEAD = 4  # steps that the device may be behind the host: none waits for the other
LATE = 1  # what a process asks by whose clock has run out; by a signal, its exit code


class DivergedError(ValueError):
    """A loss that is no number."""


@dataclass(frozen=True)
class Ends:
    """What ends a run: the first of these that comes."""

    epochs: int
    steps: int | None
    patience: int | None
    minutes: float | None

    def total(self, of_epoch: int | None) -> int | None:
        """Steps of the whole run; None where that is not known."""
        if self.steps is not None:
            return self.steps
        return None if of_epoch is None else self.epochs * of_epoch


@dataclass(frozen=True)
class Reads:
    """What a run reads: batches to train on, and those to validate with."""

    train: Source
    valid: Source | None


@dataclass(frozen=True)
class Arrays:
    """The arrays of a run at its start."""

    trained: dict[str, Array]
    frozen: dict[str, Array]
    others: Any
    key: Array


class Training:
    """A run under way."""

    def __init__(
        self,
        program: Program,
        arrays: Arrays,
        reads: Reads,
        ends: Ends,
        model: Any,
        devices: Devices = ONE,
    ) -> None:
        self.network: Network = program.network
        self.devices = devices
        optimizer = self._initial(program.optimizer, arrays)
        self.frozen, self.key = devices.put((arrays.frozen, arrays.key))
        self.reads, self.ends, self.model = reads, ends, model
        self._step_program = step_of(program, devices)
        self._evaluate_program = evaluation_of(program.network, program.loss, devices)
        carry = self._zeros("data", reads.train)
        zero = jnp.zeros((), jnp.int32)
        moving = Moving(arrays.trained, optimizer, arrays.others, carry, zero)
        self.moving = self._on_devices(moving)
        self.standing = Standing(self._best_now())
        self.total = ends.total(reads.train.steps)
        self.rows: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._pending: deque[tuple[int, Any]] = deque()
        self._asked = 0
        self._kept_at: tuple[int, int] | None = None  # epochs and steps
        self._began = self._epoch_began = time.monotonic()

    def _zeros(self, name: str, source: Source) -> Any:
        """The state before a source's first batch; None where none is carried."""
        first = next(source.epoch(0), None)
        if first is None:
            raise ValueError(
                f"fit: {name} must give a batch: it is empty. Use more samples."
            )
        if first.reset is None:
            return None
        spec = getattr(self.model, "spec", None)
        both_ways = spec is not None and spec.bidirectional
        if not hasattr(self.model, "with_state") or both_ways:
            raise ValueError(
                f"fit: model must carry a state: {name} is cut into chunks, and the "
                "state of one is the start of the next. Use an LSTMModel that is not "
                "bidirectional."
            )
        return jax.tree.map(jnp.copy, self.model.initial_state((source.width,)))

    def _initial(self, optimizer: Any, arrays: Arrays) -> Any:
        """The optimizer's state; on the host where no device holds all of it."""
        if self.devices.units == 1:
            return jax.tree.map(jnp.array, optimizer.init(arrays.trained))
        whole = {**arrays.trained, **arrays.frozen}
        check_units(whole, self.devices.units, optimizer)
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            return optimizer.init(jax.tree.map(np.asarray, arrays.trained))

    def _on_devices(self, moving: Moving) -> Moving:
        carry = self.devices.put_state(moving.carry)
        return self.devices.put(moving._replace(carry=None))._replace(carry=carry)

    def over(self) -> bool:
        """Whether nothing is left to do."""
        at = self.standing
        if at.within:
            return False
        return (
            self._waited_enough()
            or (self.total is not None and at.step >= self.total)
            or (self.ends.steps is None and at.epoch >= self.ends.epochs)
        )

    def _waited_enough(self) -> bool:
        patience = self.ends.patience
        return patience is not None and self.standing.waited >= patience

    def ended(self) -> list[str]:
        """Say what ended the run, and whose weights it has."""
        at = self.standing
        if self.reads.valid is None or not at.best_epoch or not self.over():
            return []
        epochs = "epoch" if at.waited == 1 else f"{at.waited} epochs"
        why = f"no better validation loss in the last {epochs}"
        end = f": {why}" if self._waited_enough() else ""
        whose = (
            f"The weights are those of epoch {at.best_epoch}, the best by validation."
        )
        return [f"The run ended after epoch {at.epoch}{end}. {whose}"]

    def run(self, folder: Folder | None, report: Reporter, signals: Signals) -> None:
        """Run to the end."""
        while not self.over():
            for batch in self.reads.train.epoch(
                self.standing.epoch, self.standing.within
            ):
                if self.total is not None and self.standing.step >= self.total:
                    break
                self._step(batch, self._ask(signals), report)
                self._listen(signals)
                self._obey(folder)
                if self._asked == LATE:
                    return self._end_by_clock(folder)
            self._end_epoch(folder, report)
            self._listen(signals)
            self._obey(folder)
        return None

    def _ask(self, signals: Signals) -> int:
        """What this process asks by: an exit code, `LATE`, or 0 for nothing."""
        if signals.code is not None:
            return signals.code
        return LATE if self._late() else 0

    def _listen(self, signals: Signals) -> None:
        """Of several processes, each hears after the same step what one has asked."""
        if self.devices.processes == 1:
            self._asked = self._ask(signals)

    def _step(self, batch: Batch, asked: int, report: Reporter) -> None:
        arrays = self.moving, self.frozen, self.key, self.devices.put_rows(batch)
        asked_of_all = self.devices.put_asked(asked)
        with self.devices.tracing():
            self.moving, told = self._step_program(*arrays, asked_of_all)
        self.standing.step += 1
        self.standing.within += 1
        self._pending.append((self.standing.step, told))
        if len(self._pending) > AHEAD:
            self._fetch(report)

    def _fetch(self, report: Reporter | None = None) -> None:
        """Count the losses of the earliest step that is not counted."""
        step, (sums, asked) = self._pending.popleft()
        loss, weight = (float(number) for number in jax.device_get(sums))
        self._asked = max(self._asked, 0 if asked is None else int(asked))
        if not np.isfinite(loss):
            raise DivergedError(
                f"fit: the loss of step {step} must be a number, not {loss}: the run "
                "ends there. Use a smaller `rate` or `clip`, inputs of about unit size "
                "without NaN, and weight 0 for targets that are not known."
            )
        self.standing.add(loss, weight)
        if report:
            report.step(step, self.standing.epoch, loss / (weight or 1))

    def _settle(self) -> None:
        while self._pending:
            self._fetch()

    def _obey(self, folder: Folder | None) -> None:
        """End the process where a signal asked for it, with a checkpoint."""
        if self._asked > LATE and folder:
            self._settle()
            self._keep(folder)
            self.devices.wait()
            raise SystemExit(self._asked)

    def _late(self) -> bool:
        minutes = self.ends.minutes
        return minutes is not None and time.monotonic() - self._began > 60 * minutes

    def _end_by_clock(self, folder: Folder | None) -> None:
        """Keep what can be resumed; the result is the best of now and before."""
        self._settle()
        at = self.standing
        self.said.append(
            f"The clock ended the run after step {at.step}, as "
            f"minutes={self.ends.minutes} says."
        )
        if folder:
            self._keep(folder)
        validation = self._validate()
        if validation is None or validation < at.best:
            at.arrays = self._best_now()
            if folder:
                folder.keep_model(self.best())

    def _end_epoch(self, folder: Folder | None, report: Reporter) -> None:
        self._settle()
        at = self.standing
        validation = self._validate()
        row = self._row(validation)
        if at.end_epoch(validation):
            at.arrays = self._best_now()
        self.rows.append(row)
        report.epoch(row)
        if folder:
            folder.add(row)
            self._keep(folder)
            if at.waited == 0:  # after the checkpoint: before it, the start is there
                folder.keep_model(self.best())

    def _row(self, validation: float | None) -> dict[str, Any]:
        at, now = self.standing, time.monotonic()
        if at.weight == 0:
            raise ValueError(
                "fit: data must have a known target: every weight is 0. Use 1 for the "
                "targets that are known."
            )
        seconds, self._epoch_began = now - self._epoch_began, now
        return {
            "step": at.step,
            "epoch": at.epoch + 1,
            "loss": at.loss / at.weight,
            "validation": validation,
            "rate": rate_of(self.moving.optimizer),
            "seconds": round(seconds, 3),
        }

    def _validate(self) -> float | None:
        """The loss of the validation; None where there is none."""
        if self.reads.valid is None:
            return None
        sums: list[Any] = []
        carry = self.devices.put_state(self._zeros("validation", self.reads.valid))
        for batch in self.reads.valid.epoch(0):
            arrays = (
                self._all(),
                self.moving.others,
                carry,
                self.devices.put_rows(batch),
            )
            with self.devices.tracing():
                one, carry = self._evaluate_program(*arrays)
            sums.append(one)
            jax.block_until_ready(sums[-AHEAD:][0])
        loss, weight = np.array(jax.device_get(sums), np.float64).sum(0)
        if weight == 0:
            raise ValueError(
                "fit: validation must have a known target: every weight is 0. Use 1 "
                "for the targets that are known."
            )
        if not np.isfinite(loss):
            raise DivergedError(
                f"fit: the validation loss after step {self.standing.step} must be a "
                f"number, not {loss}: the run ends there. Use a smaller `rate` or "
                "`clip`, inputs of about unit size without NaN, and weight 0 for "
                "targets that are not known."
            )
        return float(loss / weight)

    def _all(self) -> dict[str, Array]:
        return {**self.moving.params, **self.frozen}

    def best(self) -> Any:
        """The model with the best weights so far."""
        now = self.moving.params, self.moving.others
        now = self.devices.held(now)
        params, others = checkpoints.refill("the run", now, self.standing.arrays)
        frozen = self.devices.taken(self.frozen)
        arrays = jax.tree.map(jnp.asarray, {**params, **frozen})
        return self.network.merge(arrays, others)

    def _best_now(self) -> checkpoints.Named:
        now = self.moving.params, self.moving.others
        return checkpoints.flatten(self.devices.held(now))

    def _kept(self) -> dict[str, Any]:
        numbers = self.standing.numbers()
        best, frozen = self.standing.arrays, self.frozen
        carry = self._taken_carry()
        run = self.moving._replace(carry=carry)
        run, frozen = self.devices.held((run, frozen))
        return {"run": run, "frozen": frozen, "best": best, "numbers": numbers}

    def _taken_carry(self) -> Any:
        """The carried state, its rows whole and none more: for any devices."""
        carry = self.moving.carry
        if carry is None:
            return None
        return self.devices.take_state(carry, self.reads.train.width)

    def _keep(self, folder: Folder) -> None:
        """Write a checkpoint, where this state has none: an epoch ends with one."""
        at = self.standing
        if self._kept_at != (at.epoch, at.step):
            folder.keep(at.step, checkpoints.flatten(self._kept()))
            self._kept_at = at.epoch, at.step

    def restore(self, folder: Folder) -> bool:
        """Go to the last checkpoint that reads; whether there is one."""
        found = folder.restore()
        if found is None:
            return False
        step, named = found
        where = str(folder.checkpoints / str(step))
        kept = checkpoints.refill(where, self._kept(), named)
        self.moving = self._on_devices(kept["run"])
        self.frozen = self.devices.put(kept["frozen"])
        self.standing.arrays = kept["best"]
        self.standing.set_numbers(kept["numbers"])
        if self.standing.best_epoch:
            folder.keep_model(self.best())
        return True
