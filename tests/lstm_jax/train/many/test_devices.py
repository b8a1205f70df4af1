"""Two devices of one process: losses and weights as on one, and what is sent."""

import os
import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from numpy.testing import assert_allclose

from lstm_jax import LSTMModel
from lstm_jax.scan.chunks import CHUNK_STEPS
from lstm_jax.train import Arrays, Batch, Run, cross_entropy, fit, resume, streams
from lstm_jax.train.fitting import _begin, _called_with, _read
from lstm_jax.train.loop.devices import ONE, _mark, read_devices
from lstm_jax.train.loop.training import Ends
from lstm_jax.train.options import Learning
from tests.given.training import RUN, TRAIN, VALID, H, I, T, model, samples, signalling

TWO = jax.devices()[:2]
BOUND = 32 * np.finfo(np.float32).eps  # of the largest


def assert_same(found: Run, alone: Run) -> None:
    """The losses of every epoch, and every weight, but for rounding.

    A weight's bound is of the largest of all: one alone may end near 0.
    """
    losses = [np.array(run.history["loss"]) for run in (found, alone)]
    weights = [run.model.params() for run in (found, alone)]
    vectors = [np.concatenate([np.ravel(a) for a in one.values()]) for one in weights]
    for one, other in (losses, vectors):
        assert_allclose(one, other, rtol=0, atol=BOUND * np.abs(other).max())


class Normalized(nnx.Module):
    """A mean over the batch, which devices must take together."""

    def __init__(self) -> None:
        self.norm = nnx.BatchNorm(I, rngs=nnx.Rngs(0))
        self.head = nnx.Linear(I, 1, rngs=nnx.Rngs(0))

    def __call__(self, xs: Any) -> Any:
        return self.head(self.norm(xs.mean(1)))

    def params(self) -> dict[str, Any]:
        norm: Any = self.norm
        head: Any = self.head
        return {"mean": norm.mean[...], "kernel": head.kernel[...]}


def classes() -> tuple[Any, Any]:
    rows = np.random.default_rng(2).normal(size=(24, T, I)).astype(np.float32)
    return rows, (rows[..., 0].mean(1) > 0).astype(np.int32)


def masked() -> Arrays:
    """Targets that are not known hold NaN; rows have lengths."""
    drawn, held = np.random.default_rng(3), samples(24)
    weights = (drawn.random((24, 1)) > 0.3).astype(np.float32)
    ys = np.where(weights > 0, held.ys, np.nan)
    return Arrays(held.xs, ys, weights, drawn.integers(1, T + 1, 24).astype(np.int32))


DEEP = partial(model, num_layers=2, dropout=0.3)
CASES: dict[str, Any] = {
    "dropout": (DEEP, samples(24), {"batch": 6}),
    "a batch of an odd size": (model, TRAIN, {"batch": 5}),
    "masked": (model, masked(), {"batch": 6}),
    "both directions": (lambda: model(bidirectional=True), samples(24), {"batch": 6}),
    "statistics of the batch": (Normalized, samples(24), {"batch": 6}),
    "the head alone": (model, samples(24), {"batch": 6, "trainable": "fc"}),
    "classes": (
        lambda: LSTMModel(I, H, 2, rngs=nnx.Rngs(0)),
        classes(),
        {"batch": 6, "loss": cross_entropy},
    ),
    "batches": (
        model,
        [Batch(*(a[k : k + 5] for a in (TRAIN.xs, TRAIN.ys))) for k in range(0, 23, 5)],
        {},
    ),
    "streams": (
        lambda: model(outputs="all"),
        streams(
            list(samples(3).xs.repeat(4, 1)),
            list(samples(3).xs[..., :1].repeat(4, 1)),
            chunk=5,
        ),
        {},
    ),
}


QUICK = ("dropout", "masked", "statistics of the batch", "streams")


@pytest.mark.parametrize(
    "case",
    [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
)
def test_two_devices_train_as_one(case: str) -> None:
    make, data, options = CASES[case]
    # Not Adam, which makes a step of what is all rounding.
    options = {"epochs": 3, "optimizer": optax.sgd(0.1, 0.9), **options}
    found = fit(make(), data, devices=TWO, **options)
    alone = fit(make(), data, **options)
    assert_same(found, alone)
    assert {d for a in found.model.params().values() for d in a.devices()} == {TWO[0]}


def test_the_validation_is_divided_and_chooses_the_same_weights() -> None:
    found, alone = (
        fit(model(), TRAIN, **RUN, devices=devices) for devices in (TWO, None)
    )
    assert_same(found, alone)
    assert_allclose(found.history["validation"], alone.history["validation"], 1e-5)


def test_devices_that_do_not_divide_the_batch_are_spoken_of() -> None:
    found = fit(model(), TRAIN, **RUN, devices=TWO)
    assert found.said[0] == (
        "The 2 devices do not divide a batch of 5: each step has 6 rows, those past 5 "
        "of weight 0, and dropout draws other masks than on one device."
    )
    make, three, _ = CASES["streams"]
    streamed = fit(make(), three, epochs=1, devices=TWO)
    assert streamed.said[0].startswith("The 2 devices do not divide a batch of 3:")
    assert not any("divide" in said for said in fit(model(), TRAIN, **RUN).said)


@pytest.mark.parametrize(
    ("before", "after", "carried"),
    [
        (TWO, None, True),
        (None, TWO, True),
        pytest.param(TWO, None, False, marks=pytest.mark.slow),
        pytest.param(None, TWO, False, marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_on_other_devices(
    tmp_path: Path, before: Any, after: Any, carried: bool
) -> None:
    """Three streams do not divide among two devices: the fourth state is not kept."""
    make, data, options = CASES["streams"] if carried else CASES["dropout"]
    options = {"epochs": 4, "rate": 0.03, **options}
    alone = fit(make(), data, **options)
    if carried:
        data = Ending(data, 7)
    else:
        data = signalling(7, 15)
        data.rows = CASES["dropout"][1]
    with pytest.raises(SystemExit):
        _ = fit(make(), data, folder=tmp_path / "run", devices=before, **options)
    data.at = -1
    assert_same(resume(tmp_path / "run", data, devices=after), alone)


class Ending:
    """Streams whose n-th batch ends the process."""

    def __init__(self, held: Any, at: int) -> None:
        self.held, self.at, self.taken = held, at, 0
        self.fingerprint = "a name"

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Any:
        for batch in self.held:
            self.taken += 1
            if self.taken == self.at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


def differing(*calls: tuple[Any, Any]) -> list[str]:
    """What two calls, each of a model and its data, are told apart by."""
    marks = []
    for made, data in calls:
        reads = _read(data, None, 6, 0, ONE)
        learning = Learning("squared_error", None, 1e-3, 1.0, None)
        training = _begin(made, learning, reads, Ends(1, 9, None, None), 0, ONE)
        held = _called_with(training, {"options": {}, "fingerprint": None})
        marks.append({name: _mark(value) for name, value in held.items()})
    first, second = marks
    return [name for name in first if first[name] != second[name]]


def test_processes_tell_calls_apart_where_nothing_names_the_samples() -> None:
    held, other = samples(12), samples(13)
    parts = [[Batch(held.xs[k:], held.ys[k:])] for k in (0, 6)]
    assert differing((DEEP(), held), (DEEP(), held)) == []
    assert differing((DEEP(), held), (DEEP(), other)) == ["data"]
    assert differing((model(), parts[0]), (model(), parts[1])) == ["the first batch"]
    assert differing((model(), held), (model(dropout=0.3), held)) == ["model"]
    assert differing((model(), held), (model(forget_bias=1.0), held)) == ["weights"]


Sent = list[tuple[str, list[int]]]


def sent(count: int, asked: bool = False) -> list[Sent]:
    """What a compiled step sends in loops, and outside: its kind, and numbers of each
    array.
    """
    devices = read_devices(jax.devices()[:count])
    long = replace(masked(), xs=masked().xs.repeat(200, 1))
    assert long.xs.shape[1] > 2 * CHUNK_STEPS[1], "one device has chunks"
    reads = _read(long, VALID, 6, 0, devices)
    learning = Learning("squared_error", None, 1e-3, 1.0, None)
    ends = Ends(1, None, None, None)
    made = _begin(DEEP(), learning, reads, ends, 0, devices)
    batch = devices.put_rows(next(reads.train.epoch(0)))
    number = devices.put_rows(np.zeros(count, np.int32)) if asked else None
    arrays = made.moving, made.frozen, made.key, batch, number
    with devices.tracing():
        text = made._step_program.lower(*arrays).compile().as_text()
    assert "while" in text, "the LSTM is a loop"
    first = text.index("ENTRY")
    return [collectives(text[:first]), collectives(text[first:])]


def collectives(text: str) -> Sent:
    kinds = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
    found = re.findall(rf"= (.*?) ({kinds})(?:-start)?\(", text)
    return [(kind, sizes(shapes)) for shapes, kind in found]


def sizes(shapes: str) -> list[int]:
    found = re.findall(r"\w+\[([\d,]*)\]", shapes)
    return [int(np.prod([int(n) for n in dims.split(",") if n])) for dims in found]


@pytest.mark.parametrize("processes", [False, True])
def test_a_step_sends_its_gradients_and_three_numbers_once(processes: bool) -> None:
    """What docs/scale.md says; among processes, one that tells of a signal, too."""
    inside, outside = sent(2, asked=processes)
    assert inside == []
    assert {kind for kind, _ in outside} == {"all-reduce"}
    params = DEEP().params()
    once = {n: a.size for n, a in params.items() if "bias_hh" not in n}
    assert len(once) == len(params) - 2, "both biases of a layer have one gradient"
    numbers = [size for _, sizes in outside for size in sizes]
    assert sum(numbers) == sum(once.values()) + 3 + processes
    assert max(len(sizes) for _, sizes in outside) >= len(once), "in one all-reduce"


def test_a_step_of_one_device_sends_nothing() -> None:
    assert sent(1) == [[], []]


REFUSED = {
    "devices of JAX": (
        TypeError,
        ["cpu"],
        "fit: devices must be devices of JAX, not str.",
    ),
    "none": (
        ValueError,
        [],
        r"fit: devices=\[\] must be one or more, each of them once.",
    ),
    "twice": (ValueError, [TWO[0]] * 2, "must be one or more, each of them once."),
}


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("case", REFUSED)
def test_what_are_no_devices_is_refused(case: str) -> None:
    kind, devices, sentence = REFUSED[case]
    with pytest.raises(kind, match=rf"{sentence} Use devices=jax\.devices\(\)\.$"):
        _ = fit(model(), TRAIN, devices=devices)
