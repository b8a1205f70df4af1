"""A run that was stopped and resumed ends in the same weights, to the bit."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lstm_jax import LSTMModel
from lstm_jax.train import Run, fit, resume, streams
from lstm_jax.train.saved.folder import Folder
from tests.given.inputs import assert_equal
from tests.given.training import (
    RUN,
    TRAIN,
    VALID,
    Calling,
    Kept,
    model,
    names,
    signalling,
)

pytestmark = pytest.mark.usefixtures("unoptimised")

OPTIONS: Any = RUN | {"epochs": 3, "fingerprint": "a name"}
OPTIONS["trainable"] = ("lstm.", "fc.b")
STEPS, OF_EPOCH = 15, 5
FINISHED = "The run in '{}' is finished: nothing is left to do."
ANEW = "There is no checkpoint: the run begins at its first step."


def begun(folder: Path, rows: Any = TRAIN, **options: Any) -> Run:
    return fit(model(), rows, folder=folder, **(OPTIONS | options))


def stopped(folder: Path, at: int, number: int = signal.SIGTERM) -> None:
    """A run that a signal ends after its step `at`."""
    with pytest.raises(SystemExit) as caught:  # one batch is looked at before any step
        _ = begun(folder, signalling(at + 1, number))
    assert caught.value.code == (130 if number == signal.SIGINT else 143)


def files_of(folder: Path) -> dict[str, bytes]:
    names = ("model.safetensors", "config.json")
    found = {name: (folder / name).read_bytes() for name in names}
    lines = (folder / "metrics.jsonl").read_bytes().splitlines()
    found["metrics"] = b"\n".join(line.partition(b', "seconds"')[0] for line in lines)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, begun(folder)


@pytest.mark.parametrize("at", [1, 4, 5, 6, 10, 14, 15])
def test_a_run_stopped_after_any_step_ends_in_the_same_bits(
    whole: tuple[Path, Run], tmp_path: Path, at: int
) -> None:
    folder = tmp_path / "run"
    stopped(folder, at)
    assert str(at) in names(folder / "checkpoints")
    run = resume(folder, TRAIN, validation=VALID, fingerprint="a name")
    assert_equal(run.model.params(), whole[1].model.params())
    assert run.history["step"].tolist() == [5, 10, 15]
    assert_array_equal(run.history["loss"], whole[1].history["loss"])
    assert files_of(folder) == files_of(whole[0])


def test_a_run_stopped_often_ends_in_the_same_bits(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    stopped(folder, 3)
    for number in (signal.SIGUSR1, signal.SIGINT):
        rows = signalling(4, number)
        with pytest.raises(SystemExit):
            _ = begun(folder, rows, resume=True)
    run = begun(folder, resume=True)
    assert_equal(run.model.params(), whole[1].model.params())
    assert files_of(folder) == files_of(whole[0])


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    def fail() -> None:
        raise KeyError("the process is gone")

    folder = tmp_path / "run"
    with pytest.raises(KeyError):
        _ = begun(folder, Calling(TRAIN, 4, fail))
    assert not (folder / "checkpoints").exists()
    run = resume(folder, TRAIN, validation=VALID, fingerprint="a name")
    assert run.said == (ANEW,)
    assert_equal(run.model.params(), whole[1].model.params())
    assert files_of(folder) == files_of(whole[0])


def test_a_run_that_was_killed_between_two_files_is_made_whole(
    whole: tuple[Path, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of metrics without its checkpoint; weights older than the checkpoint."""

    def fail(*_: Any) -> None:
        raise KeyError("the process is gone")

    for name in ("keep", "keep_model"):
        folder = tmp_path / name
        stopped(folder, 6)
        monkeypatch.setattr(Folder, name, fail)
        with pytest.raises(KeyError):
            _ = begun(folder, resume=True)
        monkeypatch.undo()
        run = begun(folder, resume=True)
        assert_equal(run.model.params(), whole[1].model.params())
        assert files_of(folder) == files_of(whole[0])


def test_what_is_not_trained_is_that_of_the_run(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    """Also where `fit` is given a model with other weights to go on with."""
    stopped(tmp_path / "run", 7)
    options = OPTIONS | {"folder": tmp_path / "run", "resume": True}
    run = fit(model(seed=1), TRAIN, **options)
    assert_equal(run.model.params(), whole[1].model.params())


def test_a_finished_run_says_so(whole: tuple[Path, Run]) -> None:
    before = files_of(whole[0])
    run = resume(whole[0], TRAIN, validation=VALID, fingerprint="a name")
    assert run.said == (FINISHED.format(whole[0]),)
    assert_equal(run.model.params(), whole[1].model.params())
    assert files_of(whole[0]) == before


def test_early_stopping_goes_on_where_it_stood(tmp_path: Path) -> None:
    """The rate is so large that an epoch is soon the best one for long."""
    options: Any = {"rate": 0.9, "epochs": 12, "patience": 2, "trainable": None}
    whole = fit(Kept(), TRAIN, **(RUN | options))
    assert 3 < len(whole.history) < 12
    options |= {"folder": tmp_path / "run"}
    steps = OF_EPOCH * (len(whole.history) - 1) + 1  # it has waited for one
    with pytest.raises(SystemExit):
        _ = fit(Kept(), signalling(steps + 1, signal.SIGTERM), **(RUN | options))
    run = fit(Kept(), Calling(TRAIN, 0, None), resume=True, **(RUN | options))
    assert len(run.history) == len(whole.history)
    assert_equal(run.model.params(), whole.model.params())


@pytest.mark.parametrize("at", [4, 5])
def test_dropout_and_order_go_on_where_they_stood(tmp_path: Path, at: int) -> None:
    whole = fit(Kept(), TRAIN, **RUN)
    folder = tmp_path / "run"
    with pytest.raises(SystemExit):
        _ = fit(Kept(), signalling(at + 1, signal.SIGTERM), folder=folder, **RUN)
    rest: Any = RUN | {"folder": folder, "resume": True}
    run = fit(Kept(seed=3), Calling(TRAIN, 0, None), **rest)
    assert_equal(run.model.params(), whole.model.params())


def test_a_stream_goes_on_with_its_state(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    xs = [drawn.normal(size=(n, 3)).astype(np.float32) for n in (9, 5, 12)]
    ys = [x[:, :1].cumsum(0) for x in xs]
    given = model(outputs="all")
    rows = streams(xs, ys, chunk=4, lanes=2)

    class Stopped:
        fingerprint = rows.fingerprint

        def __len__(self) -> int:
            return len(rows)

        def __iter__(self) -> Any:
            for number, batch in enumerate(rows):
                if number == 2 and (tmp_path / "run").exists():
                    os.kill(os.getpid(), signal.SIGTERM)
                yield batch

    whole = fit(given, rows, epochs=2)
    with pytest.raises(SystemExit):
        _ = fit(given, Stopped(), folder=tmp_path / "run", epochs=2)
    assert names(tmp_path / "run" / "checkpoints") == {"3"}
    run = fit(given, rows, folder=tmp_path / "run", epochs=2, resume=True)
    assert_equal(run.model.params(), whole.model.params())


def test_the_clock_ends_a_run_that_is_resumed(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = begun(folder, minutes=1e-9)
    saved = LSTMModel.from_pretrained(folder).params()
    assert_equal(saved, run.model.params())
    again = resume(folder, TRAIN, validation=VALID, fingerprint="a name")
    assert_equal(again.model.params(), whole[1].model.params())


def test_a_signal_while_an_epoch_ends_writes_one_checkpoint(tmp_path: Path) -> None:
    """The epoch's own is the one: none is set aside as if it did not read."""
    folder = tmp_path / "run"
    rows = Calling(VALID, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        _ = fit(Kept(), TRAIN, folder=folder, **(RUN | {"validation": rows}))
    assert names(folder / "checkpoints") == {"5"}


def test_handlers_are_as_they_were(tmp_path: Path) -> None:
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    stopped(tmp_path / "one", 2)
    _ = begun(tmp_path / "two")
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_thread_is_left_alone_by_signals(tmp_path: Path) -> None:
    found: list[Run] = []
    thread = threading.Thread(target=lambda: found.append(begun(tmp_path / "run")))
    thread.start()
    thread.join()
    assert len(found[0].history) == 3
