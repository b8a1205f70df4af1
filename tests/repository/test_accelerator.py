"""`scripts/accelerator`: its plan for the time given, what it says, and a trial run."""

import json
import subprocess
import sys
import time
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

from parity.__main__ import _parser
from parity.bench.results import store
from parity.bench.runners import runners_of
from parity.bench.works import works_of
from tests.given import ROOT

SCRIPT = ROOT / "scripts" / "accelerator"


def _loaded():
    loader = SourceFileLoader("accelerator", str(SCRIPT))
    spec = spec_from_loader("accelerator", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["accelerator"] = module  # dataclasses look for it there
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


accelerator = _loaded()
Outcome, Step = accelerator.Outcome, accelerator.Step


def sleeper(name, seconds=60.0, *, decides=False):
    code = f"import time; print('begun', flush=True); time.sleep({seconds})"
    return Step(name, [sys.executable, "-c", code], decides)


def run(monkeypatch, out, *, right, pieces, seconds, drawing=0.0):
    """The outcomes of these steps in so many seconds, and the log."""
    monkeypatch.setattr(accelerator, "right", lambda *_, **__: right)
    monkeypatch.setattr(accelerator, "pieces", lambda *_, **__: pieces)
    monkeypatch.setattr(accelerator, "LEAST", 0.2)
    deadline = time.monotonic() + seconds
    with (out / "log.txt").open("w") as log:
        found = accelerator.run_all(out, deadline, log, cpu=True, drawing=drawing)
    return found, (out / "log.txt").read_text()


# The plan.


@pytest.mark.parametrize("cpu", [False, True])
def test_every_command_is_one_that_parity_takes(cpu, tmp_path):
    steps = accelerator.right(tmp_path, cpu=cpu) + accelerator.pieces(tmp_path, cpu=cpu)
    for step in steps:
        python, flag, module, *arguments = step.command
        assert (python, flag) == (sys.executable, "-m")
        if module == "pytest":
            continue
        options = _parser().parse_args(arguments)
        assert options.device == ("cpu" if cpu else "gpu")
        if arguments[0] == "bench":
            assert runners_of(options.runner)
            assert works_of(options.case, options.mode, options.dtype)
    assert [step.name for step in steps if step.decides] == [
        "GPU tests",
        "check, highest precision",
    ]


def test_a_few_cases_of_every_type_come_before_all_cases(tmp_path):
    names = [step.name for step in accelerator.pieces(tmp_path, cpu=False)]
    few, every = "medium, wide, fastrnns, streaming", "default, large"
    kinds = ("float32, highest", "float32, default", "bfloat16, highest")
    assert names == [
        f"benchmark, {kind} precision: {cases}"
        for cases in (few, every)
        for kind in kinds
    ]


def test_the_tests_of_a_gpu_are_all_there():
    command = accelerator.tests()
    marked = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/test_*.py")
        if "mark.gpu" in path.read_text("utf-8") and path != Path(__file__)
    }
    assert {word for word in command if word.startswith("tests/")} == marked
    assert "tests/lstm_jax/test_cudnn.py" in marked


def test_without_hypothesis_the_conftest_is_left_out(monkeypatch):
    assert "--noconftest" not in accelerator.tests()
    monkeypatch.setattr(accelerator.util, "find_spec", lambda _: None)
    assert "--noconftest" in accelerator.tests()


def test_what_is_missing_is_named_with_what_follows(monkeypatch):
    assert not accelerator.missing()
    found = accelerator.util.find_spec
    lost = ("beartype", "matplotlib")
    monkeypatch.setattr(
        accelerator.util,
        "find_spec",
        lambda name: None if name in lost else found(name),
    )
    assert accelerator.missing() == [
        "missing: beartype: annotations are not checked",
        "missing: matplotlib: nothing is drawn",
    ]
    assert "--plot" not in accelerator.shown(Path()).command


# Steps in the time there is.


def test_a_step_that_fails_does_not_keep_the_next_from_running(monkeypatch, tmp_path):
    wrong = Step("wrong", [sys.executable, "-c", "print('why'); exit(3)"], True)
    fine = Step("fine", [sys.executable, "-c", "print('=== 2 passed ===')"])
    found, log = run(monkeypatch, tmp_path, right=[wrong], pieces=[fine], seconds=30)
    assert [(one.code, one.text) for one in found] == [
        (3, "why\n"),
        (0, "=== 2 passed ===\n"),
    ]
    assert not accelerator.passed(found)
    assert "why\n" in log
    assert [path.name for path in tmp_path.iterdir()] == ["log.txt"]


@pytest.mark.slow
def test_a_step_out_of_time_is_ended_and_keeps_what_it_printed(monkeypatch, tmp_path):
    steps = [sleeper("long"), sleeper("never")]
    found, _ = run(
        monkeypatch, tmp_path, right=[], pieces=steps, seconds=2, drawing=0.5
    )
    assert [(one.code, one.text.partition("\n")[0]) for one in found] == [
        (None, "begun"),
        (None, "not begun"),
    ]
    assert found[0].seconds < 50  # it would sleep for 60


DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(sleep).pid, flush=True)
time.sleep(60)
"""


def alive(process):
    """Whether there is such a process that has not ended; its parent may be gone."""
    try:
        state = Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_what_ignores_an_interruption_is_killed_with_its_processes(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(accelerator, "GRACE", 0.5)
    deaf = Step("deaf", [sys.executable, "-c", DEAF])
    found, _ = run(monkeypatch, tmp_path, right=[], pieces=[deaf], seconds=2)
    until = time.monotonic() + 10
    while alive(found[0].text.strip()):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_decides_must_have_ended():
    step = sleeper("", decides=True)
    assert accelerator.passed([Outcome(step, 0), Outcome(sleeper(""), 1)])
    assert not accelerator.passed([Outcome(step, None)])
    assert not accelerator.passed([Outcome(step, 1)])


def test_a_summary_has_the_verdict_first_and_the_tables_last():
    check = Step("check, highest precision", [], decides=True)
    found = [
        Outcome(check, 0, 12.3, "ok: 21 of 21\nreport: a.json\n"),
        Outcome(Step("tables and plots", []), 0, 1.0, "a table\nplot: b.png\n"),
    ]
    assert accelerator.summary(["jax: 1.2"], found) == (
        "right\n\njax: 1.2\n\n"
        "check, highest precision: exit code 0, 12 s. ok: 21 of 21\n"
        "tables and plots: exit code 0, 1 s. a table\n\n"
        "a table\nplot: b.png\n"
    )
    found[0] = Outcome(check, None, 300.0, "")
    assert accelerator.summary([], found).startswith("NOT right, or not known to be\n")


# The script.


def script(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_has_an_example():
    done = script("--help")
    assert done.returncode == 0
    assert "scripts/accelerator /tmp/trial --cpu --minutes 2\n" in done.stdout


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_minutes_are_a_number_above_zero(text):
    done = script(f"--minutes={text}")
    assert done.returncode == 2
    assert f"--minutes: {text!r} must be a number above 0\n" in done.stderr


@pytest.mark.slow
def test_an_interruption_ends_the_steps(monkeypatch, tmp_path):
    stopped = []
    step = sleeper("long", decides=True)
    honest = accelerator.Running.stop

    def wait(self, seconds, log):
        del self, seconds, log
        raise KeyboardInterrupt

    def stop(self):
        honest(self)
        stopped.append(self.process.poll())

    monkeypatch.setattr(accelerator.Running, "wait", wait)
    monkeypatch.setattr(accelerator.Running, "stop", stop)
    with pytest.raises(KeyboardInterrupt):
        _ = run(monkeypatch, tmp_path, right=[step], pieces=[], seconds=30)
    assert stopped
    assert stopped[0] != 0


@pytest.mark.slow
def test_a_trial_on_the_processor_leaves_a_few_files(tmp_path):
    done = script(str(tmp_path / "out"), "--cpu", "--minutes", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("check-default.json", "check-highest.json", "log.txt"),
        *("plots.zip", "results.jsonl", "summary.txt"),
    }
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert summary.startswith("right\n")
    assert "lstm_jax cudnn: unsupported: backend='cudnn'" in summary
    report = json.loads((tmp_path / "out" / "check-highest.json").read_text())
    assert len(report) == 2
    measurements = store.measurements(
        store.read_lines(tmp_path / "out" / "results.jsonl")
    )
    found = {
        (measurement.key["dtype"], measurement.key["mode"])
        for measurement in measurements
    }
    modes = ("forward", "backward")
    assert found == {(d, m) for d in ("float32", "bfloat16") for m in modes}
    with zipfile.ZipFile(tmp_path / "out" / "plots.zip") as plots:
        assert len(plots.namelist()) == 4


@pytest.mark.slow
def test_two_commits_are_timed_in_turn(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone of git")
    results = tmp_path / "two.jsonl"
    command = [sys.executable, str(ROOT / "scripts" / "two_commits"), "HEAD", "HEAD"]
    command += ["--case", "article", "--rounds", "2", "--json", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(row["case"], row["mode"]) for row in rows] == [
        ("article", "forward"),
        ("article", "backward"),
    ]
    assert all(len(samples) == 2 for row in rows for samples in row["seconds"])
