"""`fit` and `resume`: from a model and samples to a `Run`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from flax import nnx

from lstm_jax.model import LSTMModel
from lstm_jax.train.chunks import streams_of
from lstm_jax.train.finishing import finish, refuse_outputs, refuse_unscored
from lstm_jax.train.loop.devices import Devices, read_devices
from lstm_jax.train.loop.program import split
from lstm_jax.train.loop.progress import Reporter
from lstm_jax.train.loop.signals import Signals
from lstm_jax.train.loop.sources import Drawn, Source, read_source
from lstm_jax.train.loop.training import Arrays, DivergedError, Ends, Reads, Training
from lstm_jax.train.optimizers import trained_names
from lstm_jax.train.options import (
    Keeping,
    Learning,
    check_options,
    given_functions,
    recorded_ends,
)
from lstm_jax.train.run import COLUMNS, PathLike, Run, levels_of
from lstm_jax.train.saved.folder import Folder
from lstm_jax.train.table.dataset import Dataset


def fit(
    model: nnx.Module,
    data: Any,
    *,
    validation: Any = None,
    loss: str | Callable[..., Any] = "squared_error",
    optimizer: Any = None,
    rate: float | Callable[..., Any] = 1e-3,
    clip: float | None = 1.0,
    trainable: str | Sequence[str] | None = None,
    batch: int = 64,
    truncate: int | None = None,
    seed: int = 0,
    epochs: int = 50,
    steps: int | None = None,
    patience: int | None = 10,
    minutes: float | None = None,
    folder: PathLike | None = None,
    resume: bool = False,
    fingerprint: str | None = None,
    section: Mapping[str, Any] | None = None,
    progress: bool = False,
    devices: Sequence[Any] | None = None,
    unit_devices: int = 1,
) -> Run:
    """Train a model.

    A step sees one batch. Its loss is the mean over the batch's known targets, each
    counted by its weight. The batch and the dropout of a step are functions of `seed`
    and the step alone, so that the same call gives the same weights, to the bit, also
    where it was stopped and resumed. On several devices, or in several processes, the
    weights are those of one device but for rounding.

    Args:
        model: An `LSTMModel`, or another `nnx.Module` that predicts from `xs`. It stays
            as it is.
        data: Samples to train on: arrays `(xs, ys)`, `(xs, ys, weights)` or `(xs, ys,
            weights, lengths)`; `Rows`; batches, each a `Batch`, that are there anew at
            each pass, such as a list, a Grain loader or `streams(...)` (for a model
            with `with_state` and `initial_state`, as `LSTMModel`); or an object with
            `train`, `valid` and `recipe`, as `windows` returns.
        validation: Samples, given likewise: their loss after each epoch chooses the
            weights. None means `data.valid`, or no validation where there is none.
        loss: "squared_error", `pinball(...)`, "cross_entropy", or a function of
            predictions and targets that returns the loss of each target.
        optimizer: Any of optax that asks for the gradients, the parameters and the
            loss (`value`) at most. None means Adam.
        rate: Adam's rate at the start, which falls to 0 along a cosine over the planned
            steps; or a schedule of optax. Not used with an `optimizer`.
        clip: The largest global norm of the gradients; None means any.
        trainable: Beginnings of the names of the parameters that are trained, such as
            "fc" or `("fc", "lstm.weight_hh")`; the others stay, to the bit. None means
            all.
        batch: Samples of a step.
        truncate: Rows of a chunk, for the windows of a table and a model with
            `outputs="all"`: each series is read from its first row on, a chunk in each
            step and up to `batch` series side by side. The state after a chunk is the
            state before the next, and no gradient passes between them (truncated
            back-propagation through time). None means windows.
        seed: Of the order and of dropout.
        epochs: How often every sample is shown, at most.
        steps: Steps at most, instead of `epochs`.
        patience: Epochs without a better validation loss that end the run; None means
            any number.
        minutes: Minutes that end the run. A run that the clock ended is not the same
            twice.
        folder: Where the run is kept: `config.json`, `model.safetensors`,
            `metrics.jsonl` and `checkpoints`, one after each epoch. SIGTERM and SIGUSR1
            end the process after the step, with a checkpoint and exit code 143, SIGINT
            with 130. None means nowhere.
        resume: Whether to go on from the last checkpoint of `folder`. Where there is
            none, the run begins at its first step.
        fingerprint: What names the samples, such as the SHA-256 of a file. None means
            that of the arrays, where `data` are arrays.
        section: What else is written to the section `training` of `config.json`.
        progress: Whether a line on stderr shows the losses, the rate and the time left.
        devices: Devices that share each batch, such as `jax.devices()`. None means the
            default device, and with `jax.distributed` all devices of all processes:
            each process makes the same call, process 0 writes, and all of them see
            `folder`.
        unit_devices: Devices that share the units of the LSTM, and its gradients and
            averages: for one that is too large for a device, see
            `lstm_jax.shard_units`. It divides the devices of each process; the batch
            is shared by as many groups as there are. 1 means whole weights on each.

    Returns:
        The trained model, on the default device, and how its training went. `scores`
        has process 0 only.

    Raises:
        ValueError: If an argument is out of its range, shapes do not fit, there is a
            run in `folder`, what is resumed is another run, the loss is no number
            before the first epoch ends, or the processes make different calls.
        TypeError: If `data` or `model` is of another kind.
        ConnectionError: If another process ends before the run does.
        OSError: If `folder` cannot be written. What was there stays whole.

    Example:
        >>> xs = np.linspace(-1, 1, 40, dtype=np.float32).reshape(40, 1, 1)
        >>> model = LSTMModel(1, 4, 1, rngs=nnx.Rngs(0))
        >>> run = fit(model, (xs, xs[:, 0]), rate=0.05, epochs=20, batch=10)
        >>> first, last = run.history["loss"].iloc[[0, -1]]
        >>> first > 20 * last, run.said
        (True, ('There is no validation: the weights are those of the last epoch.',))
    """
    learning = Learning(loss, optimizer, rate, clip, trainable)
    ends = Ends(epochs, steps, patience, minutes)
    numbers = {"batch": batch, "seed": seed, "truncate": truncate}
    check_options(numbers, learning, ends)
    refuse_unscored(data, loss)
    refuse_outputs(model, data, truncate)
    recipe = getattr(data, "recipe", None)
    keeping = Keeping(folder, resume, fingerprint, section, recipe)
    shared = read_devices(devices, unit_devices)
    reads = _read(data, validation, batch, seed, shared, truncate)
    options = {
        **learning.recorded(),
        **numbers,
        **recorded_ends(ends),
    }
    place = keeping.place(model, shared.process)
    with shared.watched():
        training = _begin(model, learning, reads, ends, seed, shared)
        if place or shared.processes > 1:
            _open(training, place, keeping, keeping.written(options, reads))
        run = _run(training, place, progress and shared.process == 0)
        if isinstance(data, Dataset):
            run = replace(run, recipe=recipe, quantiles=levels_of(loss))
            run = run if shared.process else finish(run, data, loss, place)
        shared.wait()
    return run


def _read(
    data: Any,
    validation: Any,
    batch: int,
    seed: int,
    devices: Devices,
    truncate: int | None = None,
) -> Reads:
    if hasattr(data, "train"):
        validation = data.valid if validation is None else validation
        data = data.train
    if truncate is not None:
        data = streams_of(data, truncate, batch)
        if validation is not None:
            validation = streams_of(validation, truncate, batch)
    train = read_source("data", data, batch, seed, devices)
    if validation is None:
        return Reads(train, None)
    return Reads(train, read_source("validation", validation, batch, None, devices))


def _begin(
    model: Any,
    learning: Learning,
    reads: Reads,
    ends: Ends,
    seed: int,
    devices: Devices,
) -> Training:
    network, params, others = split(model)
    names = trained_names(learning.trainable, params)
    trained = {name: params[name] for name in names}
    frozen = {name: array for name, array in params.items() if name not in trained}
    program = learning.program(network, ends.total(reads.train.steps))
    arrays = Arrays(trained, frozen, others, jax.random.key(seed))
    training = Training(program, arrays, reads, ends, model, devices)
    training.said += _said_of_rows(reads.train, devices)
    return training


def _said_of_rows(source: Source, devices: Devices) -> list[str]:
    """Say that a batch is filled up, where there is something to say of it."""
    rows = 0 if devices.count == 1 else source.width
    filled = devices.filled(rows)
    if filled == rows:
        return []
    sentence = (
        f"The {devices.count} devices do not divide a batch of {rows}: each step has "
        f"{filled} rows, those past {rows} of weight 0, and dropout draws other masks "
        "than on one device."
    )
    return [sentence]


def _open(
    training: Training, place: Folder | None, keeping: Keeping, section: dict[str, Any]
) -> None:
    """Begin the folder, or go to where its run stands."""
    going_on = place is not None and keeping.resume and place.is_run()
    if place is not None:
        place.said = training.said
        if going_on:
            _go_on(training, place, section)
        else:
            place.refuse_other()
    called_with = _called_with(training, section)
    called_with["whether there is a folder"] = place is not None
    training.devices.refuse_unequal(called_with)
    if place is not None and not going_on:
        place.begin(training.model, section)


def _called_with(training: Training, section: dict[str, Any]) -> dict[str, Any]:
    """What must be the same in every process, by the name of what may differ."""
    devices, reads = training.devices, training.reads
    sizes = [_size(reads.train), reads.valid and _size(reads.valid)]
    return {
        **section["options"],
        "minutes": training.ends.minutes,
        "unit_devices": devices.units,
        "data": (section["fingerprint"], section.get("recipe"), sizes),
        "the first batch": {} if section["fingerprint"] else _first(reads.train),
        "model": training.network.text,
        "weights": devices.held(training.moving.params),
        "the step of the last checkpoint": training.standing.step,
    }


def _size(source: Source) -> int | None:
    """How many samples there are, or batches; None where that is not known."""
    return len(source.rows) if isinstance(source, Drawn) else source.steps


def _first(source: Source) -> dict[str, Any]:
    """The arrays of the first batch, or of the first sample of rows."""
    drawn = isinstance(source, Drawn)
    first = source.rows.take(np.zeros(1, int)) if drawn else next(iter(source.batches))
    return {name: a for name, a in first._asdict().items() if a is not None}


def _go_on(training: Training, place: Folder, section: dict[str, Any]) -> None:
    """Go to where the run of the folder stands."""
    _refuse_changes(place, section)
    if training.restore(place):
        training.rows = place.cut(training.standing.step)
    else:
        training.rows = place.cut(0)
        place.said.append("There is no checkpoint: the run begins at its first step.")
    if training.over():
        place.said.append(
            f"The run in {str(place.path)!r} is finished: nothing is left to do."
        )


def _refuse_changes(place: Folder, section: dict[str, Any]) -> None:
    """Refuse to go on with other options or samples than a run was begun with."""
    before, shown = place.section(), str(place.path)
    old, new = before["options"], section["options"]
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:
        wrong = ", ".join(f"{name}={new[name]!r}" for name in changed)
        right = ", ".join(f"{name}={old.get(name)!r}" for name in changed)
        raise ValueError(
            f"fit: {wrong} must be {right}: the run in {shown!r} was begun so. Use "
            "these, or another folder."
        )
    marks = before.get("fingerprint"), section["fingerprint"]
    if None not in marks and marks[0] != marks[1]:
        raise ValueError(
            f"fit: fingerprint={marks[1]!r} must be {marks[0]!r}: the run in {shown!r} "
            "was begun with other samples. Use the same ones, or another folder."
        )
    if before.get("versions") != section["versions"]:
        place.said.append(
            f"The run in {shown!r} was begun by other versions: the weights may differ "
            "in their last bits from those of a run that was never stopped."
        )


def _run(training: Training, place: Folder | None, progress: bool) -> Run:
    said, ends = training.said, training.ends
    epochs = ends.epochs if ends.steps is None else None
    shown = Reporter(progress, training.total, epochs)
    if training.reads.valid is None:
        said.append("There is no validation: the weights are those of the last epoch.")
    with Signals(active=place is not None) as signals, shown:
        try:
            training.run(place, shown, signals)
        except DivergedError as error:
            if training.standing.best_epoch == 0:
                raise
            said.append(str(error))
        finally:
            shown.say([*said, *training.ended()])
    history = pd.DataFrame(training.rows, columns=COLUMNS)
    model = training.best()
    model.eval()
    return Run(model, history, place and place.path, tuple(said))


def resume(
    folder: PathLike,
    data: Any,
    *,
    validation: Any = None,
    loss: str | Callable[..., Any] | None = None,
    optimizer: Any = None,
    rate: float | Callable[..., Any] | None = None,
    minutes: float | None = None,
    fingerprint: str | None = None,
    progress: bool = False,
    devices: Sequence[Any] | None = None,
    unit_devices: int = 1,
) -> Run:
    """Go on with the run in a folder, from its last checkpoint.

    The weights are those of a run that was never stopped, to the bit; on other devices
    than it was begun on, or in another number of processes, but for rounding.

    Args:
        folder: Where `fit` kept the run of an `LSTMModel`.
        data: The samples that the run was begun with, see `fit`.
        validation: The samples that it was validated with.
        loss: The loss, where it is a function of your own.
        optimizer: The optimizer, where one was given.
        rate: The schedule, where one was given.
        minutes: Minutes that end this part of the run.
        fingerprint: What names the samples, see `fit`.
        progress: Whether a line on stderr shows how far the run is.
        devices: Devices that share each batch, see `fit`.
        unit_devices: Devices that share the units of the LSTM, see `fit`.

    Returns:
        The trained model, and how its training went, from the first step on.

    Raises:
        FileNotFoundError: If there is no run in `folder`.
        ValueError: If the samples are others, a function is missing, or no checkpoint
            reads.
        ConnectionError: If another process ends before the run does.
        OSError: If `folder` cannot be written. What was there stays whole.
    """
    place = Folder(Path(folder))
    if not place.is_run():
        raise FileNotFoundError(
            f"resume: {str(folder)!r} must hold a run: `fit` writes one where `folder` "
            "is given. Use fit(..., folder=...) first."
        )
    _refuse_unreadable(place)
    options = place.section()["options"]
    given = {"loss": loss, "optimizer": optimizer, "rate": rate}
    own = given_functions("resume", options, given)
    kept: Any = {k: v for k, v in options.items() if k not in given}
    model = LSTMModel.from_pretrained(folder)
    kept |= {"folder": folder, "resume": True, "minutes": minutes, **own}
    kept |= {"fingerprint": fingerprint, "progress": progress}
    kept |= {"devices": devices, "unit_devices": unit_devices}
    return fit(model, data, validation=validation, **kept)


def _refuse_unreadable(place: Folder) -> None:
    """Refuse a run whose first weights are replaced, and whose checkpoints are lost."""
    shown = str(place.checkpoints)
    if place.has_checkpoints() and place.restore() is None:
        raise ValueError(
            f"resume: {shown!r} must have a checkpoint that reads: none does, and the "
            "weights of the start are replaced. Train anew in another folder."
        )
