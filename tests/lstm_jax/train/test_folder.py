"""The folder of a run: what is in it, what is refused, and what stays whole."""

import json
import resource
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from lstm_jax import LSTMModel
from lstm_jax.train import Run, fit, pinball, resume
from lstm_jax.train.loop.sources import fingerprint_of, read_source
from lstm_jax.train.options import Learning, given_functions
from lstm_jax.train.saved.checkpoints import flatten, refill
from tests.given.inputs import assert_equal
from tests.given.training import (
    RUN,
    TRAIN,
    VALID,
    Calling,
    Line,
    model,
    names,
)
from tests.given.wrong import assert_raises

pytestmark = pytest.mark.usefixtures("unoptimised")

OPTIONS: Any = RUN | {"epochs": 3, "fingerprint": "a name"}


def begun(folder: Path, rows: Any = TRAIN, given: Any = None, **options: Any) -> Run:
    return fit(given or model(), rows, folder=folder, **(OPTIONS | options))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, begun(folder)


@pytest.fixture
def run(whole: tuple[Path, Run], tmp_path: Path) -> Path:
    """A copy of a run that is finished."""
    return Path(shutil.copytree(whole[0], tmp_path / "run"))


def digest(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Recipe:
    def to_json(self) -> dict[str, Any]:
        return {"target": "flow"}


class Whole:
    train, valid, recipe = Calling(TRAIN, 0, None), VALID, Recipe()


def test_a_run_has_four_things(whole: tuple[Path, Run]) -> None:
    folder, run = whole
    four = {"config.json", "model.safetensors", "metrics.jsonl", "checkpoints"}
    assert names(folder) == four
    assert names(folder / "checkpoints") == {"10", "15"}
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == run.history.to_dict("records")
    saved = LSTMModel.from_pretrained(folder).params()
    assert_equal(saved, run.model.params())


def test_the_config_says_how_the_run_was_begun(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyError("the process is gone")

    rest: Any = {"loss": pinball((0.5,)), "section": {"flags": ["--horizon", "1"]}}
    Whole.train = Calling(TRAIN, 2, fail)
    with pytest.raises(KeyError):
        _ = fit(model(), Whole(), folder=tmp_path / "run", fingerprint="a name", **rest)
    section = json.loads((tmp_path / "run/config.json").read_text("utf-8"))["training"]
    assert section.pop("versions")["jax"] == jax.__version__
    assert section == {
        "flags": ["--horizon", "1"],
        "options": {
            "loss": {"pinball": [0.5]},
            "optimizer": None,
            "rate": 0.001,
            "clip": 1.0,
            "trainable": None,
            "batch": 64,
            "seed": 0,
            "truncate": None,
            "epochs": 50,
            "steps": None,
            "patience": 10,
        },
        "fingerprint": "a name",
        "recipe": {"target": "flow"},
    }


def test_another_run_is_refused(run: Path) -> None:
    before = digest(run)
    wrong = {
        f"fit: folder='{run}' must hold no run: it would be overwritten. Use resume("
        f"'{run}', ...) to go on with it, or another folder.": {},
        f"fit: rate=0.5, seed=1 must be rate=0.03, seed=0: the run in '{run}' was "
        "begun so. Use these, or another folder.": {
            "resume": True,
            "seed": 1,
            "rate": 0.5,
        },
        f"fit: fingerprint='other' must be 'a name': the run in '{run}' was begun with "
        "other samples. Use the same ones, or another folder.": {
            "resume": True,
            "fingerprint": "other",
        },
        f"fit: best/0/fc.weight of '{run}/checkpoints/15' must be float32(1, 3), not "
        "float32(1, 4): `model` and `optimizer` must be those of the run. Use the "
        "ones that it was begun with, or another folder.": {
            "resume": True,
            "given": LSTMModel(3, 3, 1, rngs=nnx.Rngs(0)),
        },
    }
    for message, options in wrong.items():
        assert_raises((lambda: begun(run, **options), ValueError, message))  # noqa: B023
    assert digest(run) == before


def test_what_does_not_fit_is_refused() -> None:
    tree = {"a": jnp.zeros(3), "b": (jnp.zeros(0), jax.random.key(1))}
    named = flatten(tree)
    again = refill("run/5", tree, named)
    assert again["b"][1] == tree["b"][1]
    assert_equal(flatten(again), named)
    wrong = [
        ({}, "a", "float32(3,)", "missing"),
        (named | {"a": named["a"].astype(int)}, "a", "float32(3,)", "int64(3,)"),
        (named | {"c": named["a"]}, "c", "left out", "float32(3,)"),
    ]
    for given, name, needed, held in wrong:
        message = (
            f"fit: {name} of 'run/5' must be {needed}, not {held}: `model` and "
            "`optimizer` must be those of the run. Use the ones that it was begun "
            "with, or another folder."
        )
        call = partial(refill, "run/5", tree, given)
        assert_raises((call, ValueError, message))


def test_arrays_have_a_fingerprint() -> None:
    def mark(*arrays: Any) -> str | None:
        return fingerprint_of(read_source("data", arrays, 5, 0), None)

    xs, ys = TRAIN.xs, TRAIN.ys
    ones = np.ones_like(ys)
    others = (xs, ys + 1), (ys, xs), (xs, ys, ones), (xs, ys, None, ones)
    marks = [mark(*arrays) for arrays in ((xs, ys), *others)]
    assert len(set(marks)) == 5
    assert mark(xs.copy(), ys.copy()) == marks[0]
    assert mark(xs, ys.astype(float)) != marks[0]
    assert fingerprint_of(read_source("data", [TRAIN.take(np.arange(5))], 5, 0)) is None


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    _ = (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    message = (
        f"fit: folder='{tmp_path}' must be new or empty: a run is a folder of its own. "
        "Use another folder."
    )
    assert_raises((lambda: begun(tmp_path), ValueError, message))
    assert names(tmp_path) == {"notes.txt"}
    folder = tmp_path / "model"
    model().save_pretrained(folder)
    before = digest(folder)
    with pytest.raises(ValueError, match=r"must be new or empty: "):
        _ = begun(folder)
    assert digest(folder) == before
    empty = tmp_path / "empty"
    empty.mkdir()
    assert len(begun(empty).history) == 3


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    message = (
        f"resume: '{tmp_path}' must hold a run: `fit` writes one where `folder` is "
        "given. Use fit(..., folder=...) first."
    )
    call = lambda: resume(tmp_path, TRAIN)  # noqa: E731
    assert_raises((call, FileNotFoundError, message))
    message = (
        "fit: folder=None must be a folder where resume=True: a run goes on from its "
        "checkpoint. Use folder='run'."
    )
    assert_raises((lambda: fit(Line(), TRAIN, resume=True), ValueError, message))
    message = (
        "fit: model must have save_pretrained where `folder` is given, and Line has "
        "not. Use an LSTMModel, or folder=None."
    )
    call = lambda: fit(Line(), TRAIN, folder=tmp_path / "run")  # noqa: E731
    assert_raises((call, TypeError, message))
    assert names(tmp_path) == set()


def test_a_config_that_does_not_read_is_refused(run: Path) -> None:
    _ = (run / "config.json").write_text("{", encoding="utf-8")
    message = (
        f"fit: '{run}/config.json' must be a config: it is no JSON object. Use another "
        "folder."
    )
    assert_raises((lambda: begun(run, resume=True), ValueError, message))


def test_functions_are_recorded_or_given_again() -> None:
    def far(predictions: Any, ys: Any) -> Any:
        return abs(predictions - ys)

    none: dict[str, Any] = {"loss": None, "optimizer": None, "rate": None}
    learning = Learning(pinball((0.25, 0.75)), None, 0.5, None, ("fc", "lstm"))
    kept = json.loads(json.dumps(learning.recorded()))
    found = {"loss": pinball((0.25, 0.75)), "optimizer": None, "rate": 0.5}
    assert given_functions("resume", kept, none) == found
    kept = Learning(far, optax.sgd(0.1), far, None, None).recorded()
    for name, shown in (("loss", far.__qualname__), ("optimizer", "given")):
        message = (
            f"resume: {name} must be given: the run was begun with a function of your "
            f"own, {shown}. Use {name}=..."
        )
        call = partial(given_functions, "resume", kept, none)
        assert_raises((call, ValueError, message))
        none[name] = kept[name] = far


def spoil(folder: Path, how: str) -> None:
    """Spoil the largest file of a checkpoint: its arrays."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    raw = bytearray(largest.read_bytes())
    raw[len(raw) // 2] ^= 1
    if how == "gone":
        largest.unlink()
    else:
        _ = largest.write_bytes(raw if how == "flipped" else raw[: len(raw) // 2])


@pytest.mark.parametrize("how", ["flipped", "short", "gone"])
def test_a_checkpoint_that_does_not_read_is_passed_over_and_stays(
    whole: tuple[Path, Run], run: Path, how: str
) -> None:
    spoil(run / "checkpoints/15", how)
    before = digest(run / "checkpoints/15")
    again = begun(run, resume=True)
    assert len(again.said) == 1
    start = f"The checkpoint '{run}/checkpoints/15' is passed over, and stays where it "
    assert again.said[0].startswith(start + "is: ")
    assert again.said[0].endswith(" is not what was written.")
    assert_equal(again.model.params(), whole[1].model.params())
    assert digest(run / "checkpoints/15.unreadable-0") == before
    assert {"10", "15"} <= names(run / "checkpoints")


def test_no_checkpoint_that_reads(whole: tuple[Path, Run], run: Path) -> None:
    for step in ("10", "15"):
        (run / "checkpoints" / step / "digests.json").unlink()
    message = (
        f"resume: '{run}/checkpoints' must have a checkpoint that reads: none does, "
        "and the weights of the start are replaced. Train anew in another folder."
    )
    assert_raises((lambda: resume(run, TRAIN), ValueError, message))
    again = begun(run, resume=True)
    assert "There is no checkpoint: the run begins at its first step." in again.said
    assert_equal(again.model.params(), whole[1].model.params())


def limit(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@pytest.mark.parametrize("size", [40000, 3000, 100])
def test_a_full_disk_leaves_what_was_there(
    whole: tuple[Path, Run], tmp_path: Path, size: int, capfd: Any
) -> None:
    """No file may grow past `size` bytes from the second epoch on."""
    folder = tmp_path / "run"
    before: dict[str, bytes] = {}

    def fill() -> None:
        before.update(digest(folder))
        limit(size)

    rows = Calling(TRAIN, 8, fill)
    message = (
        f"fit: folder='{folder}' must be writable: File too large. What was written "
        "before stays whole. Free space or use another folder."
    )
    try:
        assert_raises((lambda: begun(folder, rows), OSError, message))
    finally:
        limit(resource.RLIM_INFINITY)
    after = digest(folder)
    lines = after.pop("metrics.jsonl")
    assert lines.startswith(before.pop("metrics.jsonl"))
    assert after == before
    assert capfd.readouterr() == ("", "")
    again = begun(folder, resume=True)
    assert_equal(again.model.params(), whole[1].model.params())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    _ = (tmp_path / "file").write_text("", encoding="utf-8")
    folder = tmp_path / "file" / "run"
    message = (
        f"fit: folder='{folder}' must be writable: File exists. What was written "
        "before stays whole. Free space or use another folder."
    )
    assert_raises((lambda: begun(folder), OSError, message))
