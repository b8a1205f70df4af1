"""The published tasks: their batches, that both learn the same, and their record."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from examples.published import adding, learners, measure, mnist_1d, vowels
from examples.published.task import Task, shuffled
from lstm_jax import LSTMModel
from lstm_jax.train import Batch
from tests.given import ROOT

PAGE = (ROOT / "docs" / "published.md").read_text("utf-8")
TASKS = measure.TASKS


def short(task: Task, **options: Any) -> Task:
    return replace(task, steps=4, **options)


def test_two_numbers_are_marked_and_their_sum_is_asked_for() -> None:
    xs, ys, *_ = next(adding.batches(3, 50))
    assert xs.shape == (adding.ROWS, 50, 2)
    assert set(np.unique(xs[..., 1])) == {0, 1}
    assert (xs[..., 1].sum(axis=1) == 2).all()
    exact = [row[row[:, 1] == 1, 0].sum() for row in xs]
    np.testing.assert_allclose(ys[:, 0], exact, rtol=1e-6)
    assert (xs[..., 0] >= 0).all()
    assert (xs[..., 0] < 1).all()


def test_the_marks_are_anywhere_and_saying_1_has_a_sixth() -> None:
    found = adding.test(40)
    counts = found.xs[..., 1].sum(axis=0)
    assert counts.min() > 20  # of 50 in the mean
    assert counts.max() < 100
    task = replace(adding.SHORT, steps=1)
    assert abs(task.scored(np.ones_like(found.ys), found.ys) - 1 / 6) < 0.02


def test_the_test_is_seen_by_no_seed() -> None:
    seen = adding.test(20).xs
    for seed in range(adding.SHORT.seeds):
        assert seed != adding.TEST
        batch = next(adding.batches(seed, 20))
        assert not (batch.xs[:, None] == seen).all(axis=(2, 3)).any()


def test_gates_are_open_for_as_long_as_the_sequences_are() -> None:
    params = adding.model(1, 200).params()
    biases = np.asarray(params["lstm.bias_ih_l0"] + params["lstm.bias_hh_l0"])
    inputs, forget, *others = np.split(biases, 4)
    assert 0 <= forget.min() < 3.5
    assert np.log(100) < forget.max() < np.log(199)
    np.testing.assert_array_equal(inputs, -forget)
    assert not np.any(others)


def test_utterances_are_of_nine_speakers_and_several_lengths() -> None:
    train, test = (vowels.part(name) for name in ("TRAIN", "TEST"))
    assert [train.xs.shape, len(test.xs)] == [(270, 26, 12), 370]
    assert np.bincount(train.ys).tolist() == [30] * 9
    for part in (train, test):
        assert part.lengths is not None
        past = np.arange(part.xs.shape[1]) >= part.lengths[:, None]
        assert not part.xs[past].any()
        assert (part.xs[~past] != 0).mean() > 0.999
    assert train.lengths is not None
    assert (train.lengths.min(), train.lengths.max()) == (7, 26)
    assert train.xs[0, 0, :2].tolist() == pytest.approx([1.860936, -0.207383])


def test_every_sample_comes_once_in_an_epoch() -> None:
    xs = np.arange(7.0, dtype=np.float32).reshape(7, 1, 1)
    whole = Batch(xs, np.arange(7), lengths=np.arange(7))
    epochs = [list(islice(shuffled(whole, 3, seed), 3)) for seed in (0, 0, 1)]
    orders = [np.concatenate([batch.ys for batch in one]).tolist() for one in epochs]
    assert sorted(orders[0]) == list(range(7))
    assert orders[0] == orders[1] != orders[2]
    for batch in epochs[0]:
        assert batch.lengths is not None
        assert batch.xs.ravel().tolist() == batch.ys.tolist() == batch.lengths.tolist()


def test_lines_are_those_of_the_package() -> None:
    _ = pytest.importorskip("mnist1d", reason="mnist1d is not installed")
    train, test = mnist_1d.parts()
    assert [train.xs.shape, test.xs.shape] == [(4000, 40, 1), (1000, 40, 1)]
    assert np.bincount(np.concatenate([train.ys, test.ys])).tolist() == [500] * 10


def small(name: str, **options: Any) -> Task:
    if name == "vowels":
        return short(vowels.TASK, **options)
    batches, model, test = adding.batches, adding.model, partial(adding.test, 12)
    made: Any = {"batches": partial(batches, steps=12), "test": test}
    return short(adding.SHORT, model=partial(model, steps=12), **made, **options)


@pytest.mark.parametrize("name", ["vowels", "adding_200"])
def test_both_learn_the_same(name: str, torch: Any) -> None:
    task = small(name)
    ours, theirs = (measure.trained(task, who, 0) for who in learners.LEARNERS)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)
    assert ours[0] == pytest.approx(theirs[0], rel=0.02)


def wide(task: Task) -> Task:
    """The task in float64, where the clip does not act."""

    def model(seed: int) -> LSTMModel:
        made = task.model(seed)
        params = {
            name: np.asarray(array, float) for name, array in made.params().items()
        }
        return LSTMModel.from_params(params, outputs=made.outputs)

    def widened(batch: Batch) -> Batch:
        ys = batch.ys if task.score == "accuracy" else batch.ys.astype(float)
        return batch._replace(xs=batch.xs.astype(float), ys=ys)

    def batches(seed: int) -> Iterator[Batch]:
        return map(widened, task.batches(seed))

    made: Any = {"model": model, "batches": batches, "test": lambda: widened(whole)}
    whole = task.test()
    return replace(task, clip=1e9, **made)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["vowels", "adding_200"])
def test_in_float64_both_are_one(name: str, torch: Any) -> None:
    task = wide(small(name))
    ours, theirs = (measure.trained(task, who, 0) for who in learners.LEARNERS)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-10)


@pytest.mark.parametrize("wrong", [{"clip": 1e-9}, {"rate": 0.02}, {"steps": 8}])
def test_another_clip_rate_or_end_of_the_rate_is_seen(wrong: Any, torch: Any) -> None:
    task = small("adding_200")
    _, ours = measure.trained(task, "lstm_jax", 0)
    _, theirs = measure.trained(replace(task, **wrong), "torch", 0)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert np.abs(np.array(ours) / theirs[:4] - 1).max() > 1e-3


def test_a_record_is_kept_seed_by_seed(
    tmp_path: Any, monkeypatch: Any, torch: Any
) -> None:
    monkeypatch.setattr(measure, "FOLDER", tmp_path)
    monkeypatch.setitem(TASKS, "vowels", small("vowels", seeds=2))
    monkeypatch.setattr(measure, "MEAN_OF", 3)
    measure.keep("vowels")
    held = measure.recorded()["vowels"]
    assert {steps: len(found) for steps, found in held["apart"].items()} == {
        "10": 2,
        "100": 2,
    }
    assert max(held["apart"]["10"]) < 1e-4
    for who in ("lstm_jax", "torch"):
        assert [len(means) for means in held[who]["losses"]] == [2, 2]
        assert 0 <= min(held[who]["score"]) <= 1
    assert set(held["versions"]) == {"jax", "optax", "torch"}


def test_a_line_of_the_table() -> None:
    held = {
        "lstm_jax": {"score": [0.91, 0.93, 0.9]},
        "torch": {"score": [0.912, 0.912, 0.912]},
        "apart": {"10": [1e-6, 3e-5], "100": [0.02, 0.001]},
    }
    line = measure.table({"mnist_1d": held}).splitlines()[-1]
    assert line == (
        "| MNIST-1D | accuracy | 91.0 % (90.0 % to 93.0 %) | 91.2 % (91.2 % to 91.2 %) "
        "| MLP 68.0 %, GRU 91.0 %, CNN 94.0 % | 3e-05 | 2e-02 |"
    )


def test_the_table_of_the_page_is_that_of_the_record() -> None:
    written = PAGE.split(measure.BEGIN)[1].split(measure.END)[0]
    record = json.loads((measure.FOLDER / "results.json").read_text("utf-8"))
    assert written == measure.table(record)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_recorded_with_all_of_its_seeds(name: str) -> None:
    held, task = measure.recorded()[name], TASKS[name]
    means = -(-task.steps // measure.MEAN_OF)
    for who in ("lstm_jax", "torch"):
        assert len(held[who]["score"]) == task.seeds
        assert [len(one) for one in held[who]["losses"]] == [means] * task.seeds
    assert [len(found) for found in held["apart"].values()] == [task.seeds] * 2
    assert max(held["apart"]["10"]) < 1e-3
