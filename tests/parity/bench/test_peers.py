"""The benchmark's runners: each is right in every mode, and seen when it is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental import rnn

from parity.bench.expected import Expected, expect, sparse, worst
from parity.bench.jax_program import JaxModel, precision_of
from parity.bench.program import Program, Unsupported
from parity.bench.runners import RUNNERS, Runner, of_framework
from parity.bench.settings import Settings
from parity.bench.timing.ahead import exact_of_case
from parity.bench.works import Work
from parity.frameworks.registry import FRAMEWORKS
from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from tests.given import ROOT
from tests.given.libraries import needs_peer, params
from tests.given.toy_framework import TOY

SINGLE = Case(name="single", steps=5, given_state=False)
STACK = replace(SINGLE, name="stack", num_layers=2, bidirectional=True)
MODES = ("forward", "backward", "train", "step")
WORKS = [Work(case=SINGLE, mode=mode) for mode in MODES]
WORKS += [Work(case=STACK, mode="train")]  # a training step holds all but `step`
FORWARD = WORKS[0]
# Those that need several devices, or a GPU, are tested below.
DIVIDED = [row for row in RUNNERS.values() if "split" in row.options]
ON_GPU = [row for row in RUNNERS.values() if row.options.get("backend") == "cudnn"]
ROWS = [row for row in RUNNERS.values() if row not in (*DIVIDED, *ON_GPU)]
BUDGET = tolerance.BUDGETS["float32"]

pytestmark = pytest.mark.usefixtures("unoptimised")


def name_of(work: Work) -> str:
    return f"{work.case.name}, {work.mode}"


@cache
def expected_of(work: Work) -> Expected:
    return expect(work, exact_of_case(work.case))


def error(work: Work, built: Program) -> float:
    """The largest error of a program, in roundings."""
    expected = expected_of(work)
    values = built.values(sparse(work.case.draw(), expected.rows))
    return worst(work, values, expected)[0]


def built_by(row: Runner, work: Work, **changes: Any) -> Program:
    problem = work.case.draw()
    problem = problem._replace(params=problem.params | changes)
    return row.build(work, problem, Settings())


def assert_right(row: Runner, work: Work) -> None:
    """Its values are right, and its call gives the same outputs."""
    built = built_by(row, work)
    assert error(work, built) <= BUDGET
    result = built.call()
    _ = built.finish(result)
    if work.mode == "forward":
        ys = np.asarray(result[0])[:, expected_of(work).rows]
        exact = expected_of(work).values["ys"]
        assert tolerance.distance(ys, exact, "float32").error <= BUDGET


def other_gates(problem: Problem) -> dict[str, Any]:
    i, f, g, o = np.split(problem.params["weight_hh_l0"], 4)
    return {"weight_hh_l0": np.concatenate([i, g, f, o])}


def one_bias_lost(problem: Problem) -> dict[str, Any]:
    return {"bias_hh_l0": np.zeros_like(problem.params["bias_hh_l0"])}


def one_more_on_the_forget_gate(problem: Problem) -> dict[str, Any]:
    i, f, g, o = np.split(problem.params["bias_ih_l0"], 4)
    return {"bias_ih_l0": np.concatenate([i, f + 1, g, o])}


@pytest.fixture(autouse=True)
def _keras_on_jax(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras chooses its backend, and reads its settings, when it is imported."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def quick_or_slow(work: Work) -> Any:
    """A work as a parameter: a step is quick; `make slow` has the others."""
    quick = work.mode == "step"
    return pytest.param(work, id=name_of(work), marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("work", [quick_or_slow(work) for work in WORKS])
@pytest.mark.parametrize("row", params(ROWS))
def test_a_runner_is_within_the_budget(row: Runner, work: Work) -> None:
    if row.name == "keras" and work.mode == "step":
        with pytest.raises(Unsupported, match=r"^it has no single step of this$"):
            _ = built_by(row, work)
    elif row.name == "onnxruntime" and work.mode in ("backward", "train"):
        with pytest.raises(Unsupported, match=r"^it has no gradients$"):
            _ = built_by(row, work)
    else:
        assert_right(row, work)


@pytest.mark.parametrize("work", WORKS, ids=name_of)
def test_a_framework_that_is_added_is_a_runner_by_one_row(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FRAMEWORKS, "toy", TOY)
    assert_right(of_framework("toy"), work)


@pytest.mark.parametrize(
    "wrong", [other_gates, one_bias_lost, one_more_on_the_forget_gate]
)
@pytest.mark.parametrize("name", ["lstm_jax", "torch", "linen OptimizedLSTMCell"])
def test_wrong_weights_are_seen(
    name: str, wrong: Callable[[Problem], dict[str, Any]]
) -> None:
    built = built_by(RUNNERS[name], FORWARD, **wrong(FORWARD.case.draw()))
    assert error(FORWARD, built) > BUDGET


# Its process has made nothing of JAX before: devices are counted when it starts.
ON_DEVICES = """
import json, sys
import jax
from parity.bench.expected import exact_rows, expect, sparse, worst
from parity.bench.runners import RUNNERS
from parity.bench.settings import Settings
from parity.bench.works import Work
from parity.judge.cases import Case

sizes = dict(num_layers=2, bidirectional=True, steps=5, batch=(4,), given_state=False)
work, found = Work(case=Case(name="", **sizes), mode=sys.argv[1]), {}
problem = work.case.draw()
expected = expect(work, exact_rows(problem))
mapped, honest = [], jax.shard_map
jax.shard_map = lambda run, **options: mapped.append(run) or honest(run, **options)
for name in sys.argv[2:]:
    mapped.clear()
    built = RUNNERS[name].build(work, problem, Settings(cores=2))
    values = built.values(sparse(problem, expected.rows))
    error = worst(work, values, expected)[0]
    found[name] = [built.facts["backend"], len(mapped), error]
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["backward", "train"])
def test_a_batch_is_divided_among_devices(mode: str) -> None:
    names = [row.name for row in DIVIDED]
    options = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_DEVICES, mode, *names],
        cwd=ROOT,
        env=os.environ | options,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == names
    for row in DIVIDED:
        backend, mapped, distance = found[row.name]
        split = row.options["split"]
        mapped_kernel = split == "shard_map" and "backend" not in row.options
        ran = "native" if mapped_kernel else "xla"
        assert backend == f"{ran}, {split}"
        assert mapped == (row.options["split"] == "shard_map")
        assert distance <= BUDGET


def test_what_is_timed_by_default_is_installed_with_us() -> None:
    assert not [row for row in RUNNERS.values() if row.tags and needs_peer(row)]


@pytest.mark.parametrize(
    "row", [pytest.param(a, id=a.name) for a in RUNNERS.values() if needs_peer(a)]
)
def test_a_library_that_is_not_installed_is_named(
    row: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, row.library.module, None)
    with pytest.raises(Unsupported) as caught:
        _ = built_by(row, FORWARD)
    install = {"haiku": "dm-haiku"}.get(row.name, row.name)
    assert str(caught.value) == f"{row.name} is not installed: pip install {install}"


@pytest.mark.parametrize(
    ("name", "layout"),
    [("linen LSTMCell", "Flax"), ("jax.experimental.rnn", "jax.experimental.rnn")],
)
def test_what_a_library_has_not_is_named(name: str, layout: str) -> None:
    case = replace(SINGLE, resets=True, proj_size=2, bias=False)
    work = Work(case=case, mode="forward")
    with pytest.raises(Unsupported) as caught:
        _ = RUNNERS[name].build(work, case.draw(), Settings(device="gpu"))
    assert str(caught.value) == (
        f"{layout} has no projection. {layout} has no resets. "
        f"{layout} always has a bias: it stores zeros."
    )


def test_cudnn_is_refused_without_a_gpu_and_in_other_types() -> None:
    row = RUNNERS["jax.experimental.rnn"]
    with pytest.raises(Unsupported, match=r"^it runs only on a gpu$"):
        _ = built_by(row, FORWARD)
    work = Work(case=replace(SINGLE, dtype="bfloat16"), mode="forward")
    with pytest.raises(Unsupported, match=r"^it runs only in float32$"):
        _ = row.build(work, work.case.draw(), Settings(device="gpu"))
    with pytest.raises(Unsupported, match=r"^backend='cudnn' cannot run this layer"):
        _ = built_by(RUNNERS["lstm_jax cudnn"], FORWARD)


def test_arrays_are_placed_once() -> None:
    """An array of NumPy would be copied to the device at every call."""
    weights, xs = SINGLE.draw()[:2]
    run: Any = pytest.fail
    model = JaxModel(weights=weights, run=run, gradients=dict, descended=dict)
    placed = model.place([weights, xs], "batch")
    assert all(isinstance(a, jax.Array) for a in jax.tree.leaves(placed))


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("precision", ["highest", "default"])
def test_tf32_is_what_the_settings_say(device: str, precision: str) -> None:
    found = precision_of(Settings(device=device, precision=precision))
    assert found == ("highest" if (device, precision) == ("gpu", "highest") else None)
    with jax.default_matmul_precision(found):
        assert rnn._lstm_cudnn_allow_tf32(found) is (found is None)
