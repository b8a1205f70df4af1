"""Measurements are kept and continued; what is wrong is never timed."""

from dataclasses import asdict, replace
from typing import ClassVar

import numpy as np
import pytest

from parity.__main__ import main
from parity.bench.results import store, table
from parity.bench.runner import RUNNERS
from parity.bench.settings import Settings
from parity.bench.timing import rounds
from parity.bench.timing.rounds import Plan, measure
from parity.bench.verify import Expected
from parity.bench.works import select
from tests.given.results import KEY, RUN, groups, lines, stored


def silent(_):
    return None


# The store.


def test_what_is_stored_is_read_again(tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [3.0, 1.0, 2.0]}))
    (group,) = store.groups(store.read(path))
    assert group.key == KEY
    assert group.run["commit"] == "abc"
    timed = group.runners["torch"]
    assert timed.median == 2.0
    assert timed.spread == pytest.approx((1.2, 2.8))
    assert timed.facts["compile_seconds"] == 0.5


def test_what_is_not_finite_is_stored_as_json(tmp_path):
    path = tmp_path / "a.jsonl"
    line = {"kind": "skipped", "runner": "a", "reason": "wrong", "error": np.inf}
    store.append(path, line)
    assert '"inf"' in path.read_text()
    assert store.read(path) == [{**line, "error": "inf"}]


def test_a_last_line_cut_off_is_no_line_and_makes_room(tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0]}))
    whole = path.read_text()
    for cut in ('{"ki', '{"kind": "sample", "run'):
        _ = path.write_text(whole + cut)
        assert len(store.groups(store.read(path))) == 1
        assert path.read_text() == whole + cut
        assert len(store.groups(store.read_to_continue(path))) == 1
        assert path.read_text() == whole


@pytest.mark.parametrize(
    "bad", ["nonsense", "3", "{}", '{"kind": "other"}', '{"kind": "work"}', ""]
)
def test_a_line_that_is_no_result_is_refused(bad, tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0]}))
    text = path.read_text() + bad + "\n" + '{"kind": "done"}\n'
    _ = path.write_text(text)
    number = len(text.splitlines()) - 1
    for option in ("--from", "--json"):
        assert main(["bench", option, str(path)]) == 2
        assert capsys.readouterr().err == (
            f"lstm-parity: bench: line {number} of {path} must be a result: it is not "
            "JSON with a kind and what belongs to it. Give a file that `bench --json` "
            "wrote.\n"
        )
    assert path.read_text() == text


def test_a_text_without_a_last_newline_is_not_taken_for_results(tmp_path):
    path = tmp_path / "notes.txt"
    _ = path.write_text("Keep me")
    with pytest.raises(ValueError, match="line 1 of"):
        _ = store.read_to_continue(path)
    assert path.read_text() == "Keep me"


def test_an_interrupted_measurement_is_none_and_the_last_of_two_wins():
    first, cut = lines({"torch": [1.0]}), lines({"torch": [9.0]}, done=False)
    (group,) = groups(first, cut)
    assert group.runners["torch"].median == 1.0
    (group,) = groups(lines({"torch": [1.0]}), lines({"torch": [2.0]}))
    assert group.runners["torch"].median == 2.0
    assert len(groups(lines({}), lines({}, cores=2), lines({}, mode="train"))) == 3


def test_a_runner_that_failed_in_a_round_has_no_time():
    (group,) = groups(
        [*lines({"torch": [1.0], "keras": [1.0]}, done=False)],
        [{"kind": "skipped", "runner": "keras", "reason": "failed: x"}],
        [{"kind": "done"}],
    )
    assert table.left_out(group) == ["keras: failed: x"]
    assert [row[0] for row in table.rows(group)] == ["torch"]


# What a measurement covers: without a process.


def plan_of(path, **changes):
    plan = Plan(
        works=select(["article"], ["forward"]),
        runners=["torch"],
        settings=Settings(cores=1, seconds=0.1),
        rounds=2,
        path=path,
    )
    return replace(plan, **changes)


class Fake(rounds.Processes):
    """In place of processes: every runner is right, and takes a second."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, _, settings):
        super().__init__([], settings)

    def ask(self, name, *request):
        self.asked.append((name, request[0]))
        facts = {"error": 1.0, "tensor": "ys"}
        return True, facts if request[0] == "prepare" else 1.0


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(rounds, "Processes", Fake)
    monkeypatch.setattr(Fake, "asked", [])
    return Fake.asked


def test_what_is_done_is_not_measured_again(asked, tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0, 2.0], "a": "wrong"}))
    before = path.read_text()
    (group,) = measure(plan_of(path), lambda: pytest.fail("described"), silent)
    assert (group.runners["torch"].median, asked) == (1.5, [])
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"rounds": 3}, {}),
        ({"runners": ["torch", "keras"]}, {}),
        ({"settings": Settings(cores=1, seconds=0.2)}, {}),
        ({"settings": Settings(cores=2)}, {}),
        ({"settings": Settings(cores=1, precision="default")}, {}),
        ({"works": select(["article"], ["forward"], "float64")}, {}),
        ({"works": select(["article"], ["train"])}, {}),
        ({}, {"done": False}),
    ],
)
def test_what_is_less_or_else_than_the_plan_is_measured(changes, held, asked, tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0, 2.0]}, **held))
    with path.open("a") as file:
        _ = file.write('{"kind": "sa')
    plan = plan_of(path, **changes)
    run = RUN | {"settings": asdict(plan.settings)}
    (group,) = measure(plan, lambda: run, silent)
    assert all(one.median == 1.0 for one in group.runners.values())
    assert [request for _, request in asked].count("sample") == (
        plan.rounds * len(plan.runners)
    )
    again = store.groups(store.read(path))[-1]
    assert again == group
    assert measure(plan, lambda: pytest.fail("described"), silent) == [group]


def test_an_interruption_keeps_what_is_done(monkeypatch, asked, tmp_path):
    path = tmp_path / "a.jsonl"
    plan = plan_of(path, works=select(["article", "small"], ["forward"]))

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
    mistakes = ["gate order", "gradient", "dies", "dies later", "raises", "unsupported"]
    for name in [*mistakes, "right"]:
        monkeypatch.setitem(RUNNERS, name, ("wrong_runners", (name,)))
    monkeypatch.setitem(RUNNERS, "missing", ("no_such_library", ()))
    return [*mistakes, "missing", "right"]


def test_only_what_is_right_is_timed(wrong_runners, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("parity.cli.bench.rate_of", lambda *_: 1e9)
    path = tmp_path / "a.jsonl"
    options = ["--case", "article", "--mode", "backward", "--rounds", "2"]
    for name in wrong_runners:
        options += ["--runner", name]
    assert main(["bench", *options, "--cores", "1", "--json", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == "article, backward\n"
    (group,) = store.groups(store.read(path))
    found = {name: timed.skipped for name, timed in group.runners.items()}
    for name in ("gate order", "gradient"):
        assert found.pop(name).startswith("wrong: ")
    assert found == {
        "dies": "failed: its process ended (7)",
        "dies later": "failed: its process ended (9)",
        "raises": "failed: OverflowError: the first line",
        "unsupported": "unsupported: it was told so",
        "missing": "unsupported: no_such_library is not installed: pip install "
        "no_such_library",
        "right": "",
    }
    assert [name for name, one in group.runners.items() if one.samples] == ["right"]
    assert len(group.runners["right"].samples) == 2
    assert group.runners["gradient"].facts["tensor"] == "d_weight_hh_l0"
    for name, reason in found.items():
        assert not reason or f"{name}: {reason}\n" in shown.out


def test_a_process_that_ended_is_started_again(wrong_runners):
    processes = rounds.Processes(["raises"], Settings())
    try:
        first = processes._running["raises"].process
        first.kill()
        first.join()
        (work,) = select(["article"], ["forward"])
        request = ("prepare", work, Settings(), Expected([0], {}))
        found = processes.ask("raises", *request)
        assert found == (False, "failed: OverflowError: the first line")
    finally:
        processes.close()
    assert not processes._running["raises"].process.is_alive()
