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

from parity.bench.peers import jax_rnn
from parity.bench.peers.harness import Model, precision_of, program
from parity.bench.runner import INSTALLED_BY, RUNNERS, Program, Unsupported, build_with
from parity.bench.settings import Settings
from parity.bench.timing.ahead import values_of
from parity.bench.verify import Expected, expect, sparse, worst
from parity.bench.works import Work
from parity.frameworks.apply import LAYOUT, stacked, unstacked
from parity.judge import tolerance
from parity.judge.cases import Case, Problem
from tests.given import ROOT
from tests.lstm_jax.test_cudnn import reference

SINGLE = Case(name="single", steps=5, given_state=False)
STACK = replace(SINGLE, name="stack", num_layers=2, bidirectional=True)
MODES = ("forward", "backward", "train", "step")
# What `forward` computes, `backward` does too.
WORKS = [Work(case=SINGLE, mode=mode) for mode in MODES]
WORKS += [Work(case=STACK, mode=mode) for mode in ("backward", "train")]
FORWARD = WORKS[0]
NAMES = [
    *("lstm_jax", "lstm_jax 512", "lstm_jax xla", "torch"),
    *("linen LSTMCell", "linen OptimizedLSTMCell"),
    *("nnx LSTMCell", "nnx OptimizedLSTMCell"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in INSTALLED_BY),
]
BUDGET = tolerance.BUDGETS["float32"]

pytestmark = pytest.mark.usefixtures("unoptimised")


def name_of(work: Work) -> str:
    return f"{work.case.name}, {work.mode}"


@cache
def expected_of(work: Work) -> Expected:
    return expect(work, values_of(work.case))


def error(work: Work, built: Program) -> float:
    """The largest error of a program, in roundings."""
    expected = expected_of(work)
    values = built.values(sparse(work.case.draw(), expected.rows))
    return worst(work, values, expected)[0]


def built_by(name: str, work: Work, **changes: Any) -> Program:
    problem = work.case.draw()
    problem = problem._replace(params=problem.params | changes)
    return build_with(RUNNERS[name])(work, problem, Settings())


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


@pytest.mark.parametrize("work", WORKS, ids=name_of)
@pytest.mark.parametrize("name", NAMES)
def test_a_runner_is_within_the_budget(name: str, work: Work) -> None:
    if name == "keras" and work.mode == "step":
        with pytest.raises(Unsupported, match=r"^it has no single step of this$"):
            _ = built_by(name, work)
    else:
        assert error(work, built_by(name, work)) <= BUDGET


@pytest.mark.parametrize(
    "wrong", [other_gates, one_bias_lost, one_more_on_the_forget_gate]
)
@pytest.mark.parametrize("name", NAMES)
def test_wrong_weights_are_seen(
    name: str, wrong: Callable[[Problem], dict[str, Any]]
) -> None:
    built = built_by(name, FORWARD, **wrong(FORWARD.case.draw()))
    assert error(FORWARD, built) > BUDGET


@pytest.mark.parametrize("name", NAMES)
def test_a_call_does_the_work_that_was_verified(name: str) -> None:
    built = built_by(name, FORWARD)
    result = built.call()
    _ = built.finish(result)
    ys = np.asarray(result[0])[:, expected_of(FORWARD).rows]
    expected = expected_of(FORWARD).values["ys"]
    assert tolerance.distance(ys, expected, "float32").error <= BUDGET


# Its process has made nothing of JAX before: devices are counted when it starts.
ON_DEVICES = """
import json, sys
from parity.bench.runner import RUNNERS, build_with
from parity.bench.settings import Settings
from parity.bench.verify import expect, oracle_of, sparse, worst
from parity.bench.works import Work
from parity.judge.cases import Case

sizes = dict(num_layers=2, bidirectional=True, steps=5, batch=(4,), given_state=False)
build, found = build_with(RUNNERS[sys.argv[1]]), []
for mode in ("backward", "train"):
    work = Work(case=Case(name="", **sizes), mode=mode)
    problem = work.case.draw()
    built = build(work, problem, Settings(cores=2))
    expected = expect(work, oracle_of(problem))
    values = built.values(sparse(problem, expected.rows))
    found.append([built.facts["backend"], *worst(work, values, expected)])
print(json.dumps(found))
"""


@pytest.mark.parametrize("split", ["devices", "shard_map", "shard_map 512"])
def test_a_batch_is_divided_among_devices(split: str) -> None:
    command = [sys.executable, "-c", ON_DEVICES, f"lstm_jax {split}"]
    options = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | options,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for backend, distance, _ in json.loads(done.stdout):
        assert backend == f"xla, {'jit' if split == 'devices' else 'shard_map'}"
        assert distance <= BUDGET


@pytest.mark.parametrize("package", INSTALLED_BY)
def test_a_library_that_is_not_installed_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"parity.bench.peers.{package}", raising=False)
    with pytest.raises(Unsupported) as caught:
        _ = built_by(package, FORWARD)
    install = {"haiku": "dm-haiku"}.get(package, package)
    assert str(caught.value) == f"{package} is not installed: pip install {install}"


@pytest.mark.parametrize("name", ["linen LSTMCell", "jax.experimental.rnn"])
def test_what_a_library_has_not_is_named(name: str) -> None:
    case = replace(SINGLE, resets=True, proj_size=2, bias=False)
    with pytest.raises(Unsupported) as caught:
        _ = built_by(name, Work(case=case, mode="forward"))
    assert str(caught.value) == (
        "it has no resets and no projection and no option to leave biases out"
    )


def numbered() -> dict[str, Any]:
    """Torch's arrays whose numbers are those of the gates, one row each."""
    gates = np.arange(4, dtype=np.float32)
    return {
        "weight_ih": np.stack([gates] * 3, axis=1),
        "weight_hh": gates[:, None],
        "bias": gates,
    }


def test_gates_are_stacked_as_the_layout_says() -> None:
    haiku, keras = (stacked(numbered(), LAYOUT[name]) for name in ("Haiku", "Keras"))
    np.testing.assert_array_equal(haiku["weight_ih"], [[0, 2, 1, 3]] * 3)
    np.testing.assert_array_equal(haiku["weight_hh"], [[0, 2, 1, 3]])
    np.testing.assert_array_equal(haiku["bias"], [0, 2, 1 - 1, 3])
    np.testing.assert_array_equal(keras["weight_ih"], [[0, 1, 2, 3]] * 3)
    np.testing.assert_array_equal(keras["bias"], [0, 1, 2, 3])


@pytest.mark.parametrize("layout", LAYOUT.values(), ids=lambda a: a.name)
def test_arrays_come_back_without_the_forget_bias(layout: Any) -> None:
    found = unstacked(stacked(numbered(), layout), layout)
    bias = np.arange(4) - [0, layout.forget_bias, 0, 0]
    for name, expected in (numbered() | {"bias": bias}).items():
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("case", [SINGLE, STACK], ids=lambda case: case.name)
def test_weights_are_packed_for_cudnn_and_unpacked(case: Case) -> None:
    spec, params = case.spec, case.draw().params
    packed = jax_rnn.pack(spec, params)
    for name, array in jax_rnn.unpack(spec, packed).items():
        np.testing.assert_array_equal(array, params[name])
    sizes = (spec.input_size, spec.hidden_size, spec.num_layers)
    kinds = rnn.unpack_lstm_weights(packed, *sizes, spec.bidirectional)
    for k, found in enumerate(kinds):
        layers, directions = range(spec.num_layers), range(spec.num_directions)
        names = [spec.layer_keys(a, d)[k] for a in layers for d in directions]
        for row, name in enumerate(names):
            np.testing.assert_array_equal(found[row].ravel(), params[name].ravel())


@pytest.mark.parametrize(
    "work", [a for a in WORKS if a.mode == "backward"], ids=name_of
)
def test_cudnn_gives_torchs_names_to_its_flat_gradients(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jax's own reference stands in for the kernel."""
    monkeypatch.setattr(rnn, "lstm", reference)
    problem, settings = work.case.draw(), Settings()
    model = jax_rnn.model_of(work, problem, settings)
    assert error(work, program(model, work, problem, settings)) <= BUDGET


def test_cudnn_is_refused_without_a_device_and_in_other_types() -> None:
    with pytest.raises(Unsupported, match=r"^no CUDA device$"):
        _ = built_by("jax.experimental.rnn", FORWARD)
    work = Work(case=replace(SINGLE, dtype="bfloat16"), mode="forward")
    build = build_with(RUNNERS["jax.experimental.rnn"])
    with pytest.raises(Unsupported, match=r"are float32 here, not bfloat16$"):
        _ = build(work, work.case.draw(), Settings(device="gpu"))


def test_arrays_are_placed_once() -> None:
    """An array of NumPy would be copied to the device at every call."""
    params, xs = SINGLE.draw()[:2]
    model = Model(params=params, run=pytest.fail, by_name=dict)  # type: ignore
    placed = model.place([params, xs], "batch")
    assert all(isinstance(a, jax.Array) for a in jax.tree.leaves(placed))


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("precision", ["highest", "default"])
def test_tf32_is_what_the_settings_say(device: str, precision: str) -> None:
    found = precision_of(Settings(device=device, precision=precision))
    assert found == ("highest" if (device, precision) == ("gpu", "highest") else None)
    with jax.default_matmul_precision(found):
        assert rnn._lstm_cudnn_allow_tf32(found) is (found is None)
