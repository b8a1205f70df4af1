"""What is measured, what is kept and continued; a wrong runner is never timed."""

from dataclasses import asdict, replace
from typing import ClassVar

import pytest

from parity.__main__ import main
from parity.bench.expected import Expected
from parity.bench.results import store
from parity.bench.runners import RUNNERS, Runner
from parity.bench.settings import Settings
from parity.bench.timing import rounds
from parity.bench.timing.processes import Processes
from parity.bench.timing.rounds import Plan, measure
from parity.bench.works import works_of
from parity.frameworks.framework import Library
from tests.given.results import RUN, lines, stored


def silent(_):
    return None


# What a measurement covers: without a process.


def plan_of(path, **changes):
    plan = Plan(
        works=works_of(["article"], ["forward"]),
        runners=["torch"],
        settings=Settings(cores=1, seconds=0.1),
        rounds=2,
        path=path,
    )
    return replace(plan, **changes)


class Fake(Processes):
    """In place of processes: every runner is right, and takes a second."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, _, settings):
        super().__init__([], settings)

    def ask(self, name, *request):
        self.asked.append((name, request[0]))
        facts = {"error": 1.0, "tensor": "ys"}
        return True, facts if request[0] == "prepare" else {"seconds": 1.0}


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(rounds, "Processes", Fake)
    monkeypatch.setattr(Fake, "asked", [])
    return Fake.asked


def test_what_is_done_is_not_measured_again(asked, tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0, 2.0], "a": "wrong"}))
    before = path.read_text()
    (measurement,) = measure(plan_of(path), lambda: pytest.fail("described"), silent)
    assert (measurement.runners["torch"].median, asked) == (1.5, [])
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"rounds": 3}, {}),
        ({"runners": ["torch", "keras"]}, {}),
        ({"settings": Settings(cores=1, seconds=0.2)}, {}),
        ({"settings": Settings(cores=2)}, {}),
        ({"settings": Settings(cores=1, precision="default")}, {}),
        ({"works": works_of(["article"], ["forward"], "float64")}, {}),
        ({"works": works_of(["article"], ["train"])}, {}),
        ({}, {"done": False}),
    ],
)
def test_what_is_less_or_else_than_the_plan_is_measured(changes, held, asked, tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0, 2.0]}, **held))
    with path.open("a") as file:
        _ = file.write('{"kind": "sa')
    plan = plan_of(path, **changes)
    run = RUN | {"settings": asdict(plan.settings)}
    (measurement,) = measure(plan, lambda: run, silent)
    assert all(one.median == 1.0 for one in measurement.runners.values())
    assert [request for _, request in asked].count("sample") == (
        plan.rounds * len(plan.runners)
    )
    again = store.measurements(store.read_lines(path))[-1]
    assert again == measurement
    assert measure(plan, lambda: pytest.fail("described"), silent) == [measurement]


@pytest.mark.parametrize(("module", "again"), [("json", True), ("no_such", False)])
def test_a_runner_whose_library_was_installed_since_is_tried(
    module, again, asked, tmp_path, monkeypatch
):
    toy = replace(RUNNERS["keras"], name="toy", library=Library(module, "toy-at-pip"))
    monkeypatch.setitem(RUNNERS, "toy", toy)
    skipped = f"unsupported: {module} is not installed: pip install toy-at-pip"
    path = stored(tmp_path / "a.jsonl", lines({"torch": [2.0, 2.0], "toy": skipped}))
    plan = plan_of(path, runners=["torch", "toy"])
    (measurement,) = measure(plan, lambda: RUN, silent)
    assert measurement.runners["toy"].skipped == ("" if again else skipped)
    assert measurement.runners["torch"].median == (1.0 if again else 2.0)
    assert bool(asked) is again


def test_an_interruption_keeps_what_is_done(monkeypatch, asked, tmp_path):
    path = tmp_path / "a.jsonl"
    plan = plan_of(path, works=works_of(["article", "small"], ["forward"]))

    def interrupted(self, name, *request):
        if request[0] == "prepare" and request[1].case.name == "small":
            raise KeyboardInterrupt
        return honest(self, name, *request)

    honest = Fake.ask
    monkeypatch.setattr(Fake, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _ = measure(plan, lambda: RUN, silent)
    monkeypatch.setattr(Fake, "ask", honest)
    asked.clear()
    assert len(measure(plan, lambda: RUN, silent)) == 2
    assert asked == [("torch", "prepare"), ("torch", "sample"), ("torch", "sample")]


def test_each_round_begins_with_another_runner(asked):
    plan = plan_of(None, runners=["a", "b", "c"], rounds=3)
    _ = measure(plan, lambda: RUN, silent)
    assert "".join(name for name, _ in asked) == "abc" + "abc" + "bca" + "cab"


# Runners in processes of their own.


@pytest.fixture
def wrong_runners(monkeypatch):
    for name in ("gradient", "dies", "dies later", "raises", "right"):
        runner = Runner(
            name=name,
            peer="tests.given.wrong_runners",
            options={"mistake": name},
            library=Library("jax"),
            family=name,
        )
        monkeypatch.setitem(RUNNERS, name, runner)
    missing = replace(RUNNERS["right"], library=Library("no_such_one", "no-such-one"))
    monkeypatch.setitem(RUNNERS, "missing", missing)


@pytest.mark.slow
def test_only_what_is_right_is_timed(wrong_runners, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("parity.cli.bench.rate_of", lambda *_: 1e9)
    path = tmp_path / "a.jsonl"
    options = ["--case", "article", "--mode", "backward", "--rounds", "2"]
    for name in ("gradient", "dies", "dies later", "missing", "right"):
        options += ["--runner", name]
    assert main(["bench", *options, "--cores", "1", "--json", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == "article, backward\n"
    (measurement,) = store.measurements(store.read_lines(path))
    found = {name: timed.skipped for name, timed in measurement.runners.items()}
    assert found.pop("gradient").startswith("wrong: d_weight_hh_l0 is ")
    assert found == {
        "dies": "failed: its process ended (7)",
        "dies later": "failed: its process ended (9)",
        "missing": "unsupported: no_such_one is not installed: pip install no-such-one",
        "right": "",
    }
    assert [name for name, one in measurement.runners.items() if one.samples] == [
        "right"
    ]
    assert len(measurement.runners["right"].samples) == 2
    for name, reason in found.items():
        assert not reason or f"{name}: {reason}\n" in shown.out


def test_a_process_that_ended_is_started_again(wrong_runners):
    processes = Processes(["raises"], Settings())
    try:
        first = processes._running["raises"].process
        first.kill()
        first.join()
        (work,) = works_of(["article"], ["forward"])
        request = ("prepare", work, Settings(), Expected([0], {}))
        found = processes.ask("raises", *request)
        assert found == (False, "failed: OverflowError: the first line")
    finally:
        processes.close()
    assert not processes._running["raises"].process.is_alive()
