"""What the benchmark does only on a GPU, as far as it can be tested without one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from parity import machine
from parity.bench import jax_program, rate
from parity.bench.expected import expect, sparse, worst
from parity.bench.jax_program import peak_of
from parity.bench.peers import ours
from parity.bench.program import Unsupported
from parity.bench.runners import RUNNERS
from parity.bench.settings import Settings
from parity.bench.timing.ahead import exact_of_case, expecting
from parity.bench.timing.processes import Processes
from parity.bench.timing.rounds import Plan, measure
from parity.bench.works import Work, works_of
from parity.judge import tolerance
from parity.judge.cases import Case

TINY = Work(case=Case(name="tiny", steps=5, given_state=False), mode="backward")
GPU, TF32 = Settings(device="gpu"), Settings(device="gpu", precision="default")
BUDGET = tolerance.budget("float32", tf32=True)


def device_of(*stats):
    """A device whose statistics are these, one after the other."""
    left = list(stats)
    return SimpleNamespace(memory_stats=lambda: left.pop(0))


def stats(used, peak):
    return {"bytes_in_use": used, "peak_bytes_in_use": peak}


def test_memory_is_what_the_device_had_at_the_most():
    assert peak_of(device_of(stats(100, 150), stats(120, 400)), {})() == 300


@pytest.mark.parametrize("found", [None, stats(100, 150)])
def test_an_older_peak_leaves_the_compilers_word(found):
    facts = {"temp_bytes": 20, "output_bytes": 3, "argument_bytes": 999}
    assert peak_of(device_of(found, found), facts)() == 23


def test_tf32_is_a_setting_of_a_gpu():
    assert (TF32.tf32, GPU.tf32) == (True, False)
    assert not Settings(precision="default").tf32


@pytest.mark.parametrize("allowed", [True, False])
def test_both_sets_of_torchs_switches_agree(allowed):
    try:
        rate.set_tf32(allowed)
        backends = torch.backends
        old = (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32)
        assert old == (allowed, allowed)
        kinds = {
            getattr(one, "fp32_precision", None)
            for one in (backends.cuda.matmul, getattr(backends.cudnn, "rnn", None))
        }
        assert kinds <= {"tf32" if allowed else "ieee", None}
    finally:
        rate.set_tf32(False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_torch_has_not_is_named():
    with pytest.raises(ValueError, match="must be a GPU") as caught:
        _ = rate.product_rate("gpu", 1, "float32", "highest")
    assert str(caught.value) == (
        "bench: --device gpu must be a GPU that torch finds: it finds none. "
        "Install torch for CUDA, or use --device cpu."
    )


@pytest.fixture
def no_torch(monkeypatch):
    for module in (rate, machine):
        monkeypatch.setattr(module, "find_spec", lambda _: None)


@pytest.mark.parametrize("error", [RuntimeError, AssertionError])
def test_without_torch_a_missing_gpu_is_named_first(error, no_torch, monkeypatch):
    def none(kind):
        assert kind == "gpu"
        raise error

    monkeypatch.setattr("jax.devices", none)
    with pytest.raises(ValueError, match="must be a GPU") as caught:
        _ = rate.product_rate("gpu", 1, "float32", "highest")
    assert str(caught.value) == (
        "bench: --device gpu must be a GPU that jax finds: it finds none. "
        "Install jax and torch for CUDA, or use --device cpu."
    )


def test_a_gpu_without_torch_is_not_enough(no_torch, monkeypatch):
    monkeypatch.setattr("jax.devices", lambda kind: [kind])
    with pytest.raises(ModuleNotFoundError) as caught:
        _ = rate.product_rate("gpu", 1, "float32", "highest")
    assert str(caught.value) == (
        "bench: torch must be installed: it measures how fast the GPU multiplies. Use "
        "pip install 'lstm-jax[parity]', or --device cpu."
    )


def to_tf32(array):
    """Rounded to the ten bits that TF32 keeps."""
    bits = array.view(np.uint32) + np.uint32(1 << 12)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


def error(params):
    """That of torch with other weights, in roundings of float32."""
    problem = TINY.case.draw()
    problem = problem._replace(params=problem.params | params)
    expected = expect(TINY, exact_of_case(TINY.case))
    program = RUNNERS["torch"].build(TINY, problem, Settings())
    return worst(TINY, program.values(sparse(problem, expected.rows)), expected)[0]


def test_weights_of_tf32_are_within_no_budget_but_its_own():
    rounded = {name: to_tf32(a) for name, a in TINY.case.draw().params.items()}
    assert tolerance.BUDGETS["float32"] < error(rounded) <= BUDGET


def test_other_gates_are_out_of_the_budget_of_tf32():
    weights = TINY.case.draw().params["weight_hh_l0"]
    i, f, g, o = np.split(weights, 4)
    assert error({"weight_hh_l0": np.concatenate([i, g, f, o])}) > BUDGET


def assert_same(found, expected):
    assert found.rows == expected.rows
    assert found.values.keys() == expected.values.keys()
    for name, exact in expected.values.items():
        np.testing.assert_array_equal(found.values[name].value, exact.value)


@pytest.mark.parametrize("processes", [0, 1])
def test_the_oracle_is_asked_once_for_a_case(processes, monkeypatch):
    works = [Work(case=TINY.case, mode=mode) for mode in ("forward", "backward")]
    with expecting(works, processes) as given:
        for work in works:
            assert_same(given(work), expect(work, exact_of_case(work.case)))
        if not processes:
            monkeypatch.setattr("parity.bench.timing.ahead.exact_rows", pytest.fail)
            _ = given(works[0])


def test_on_a_gpu_errors_are_judged_as_tf32s(monkeypatch):
    """A runner right to TF32 is timed there, and refused where "highest" is asked."""

    class Fake(Processes):
        def __init__(self, _, settings):
            super().__init__([], settings)

        def ask(self, name, *request):
            del name
            facts = {"error": 1000.0, "tensor": "ys"}
            return True, facts if request[0] == "prepare" else {"seconds": 1.0}

    monkeypatch.setattr("parity.bench.timing.rounds.Processes", Fake)
    monkeypatch.setattr("parity.bench.timing.rounds._ahead", lambda _: 0)
    found = []
    for settings in (TF32, GPU):
        works = works_of(["article"], ["forward"])
        plan = Plan(works=works, runners=["torch"], settings=settings, rounds=1)
        (measurement,) = measure(plan, lambda: {"kind": "run"}, lambda _: None)
        found.append(measurement.runners["torch"].skipped)
    assert found[0] == ""
    assert found[1].startswith("wrong: ys is 1e+03 roundings from exact")


def test_a_gpu_has_no_vectors_of_a_cpu():
    with pytest.raises(Unsupported, match=r"^a GPU has no vectors of so many bits$"):
        _ = RUNNERS["lstm_jax 512"].build(TINY, TINY.case.draw(), GPU)


def test_the_compiler_is_told_the_bits_of_a_vector(monkeypatch):
    told = []

    def program(model, *others):
        told.append(model.compiler)
        return jax_program.program(model, *others)

    monkeypatch.setattr(ours, "program", program)
    for name in ("lstm_jax", "lstm_jax 512"):
        _ = RUNNERS[name].build(TINY, TINY.case.draw(), Settings())
    assert told == [{}, {"xla_cpu_prefer_vector_width": 512}]
