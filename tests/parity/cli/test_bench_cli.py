"""What `bench` shows and refuses, from results made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from parity.__main__ import main
from parity.bench.results import store, table
from parity.bench.runners import FLAX, RUNNER_TAGS, RUNNERS, TORCH, runners_of
from parity.bench.timing.others import Others
from parity.bench.works import CASE_TAGS, ENTRIES, works_of
from parity.frameworks.framework import Library
from parity.machine import cores_here
from tests.given import ROOT
from tests.given.results import RUN, lines, measurements, stored


def test_a_table_has_the_fastest_first_and_ratios_to_torch():
    (measurement,) = measurements(
        lines({"torch": [2e-3], "lstm_jax": [1e-3], "keras": "wrong: x"})
    )
    assert table.title(measurement) == "article, forward: float32, cpu, 1 core"
    header, rows = table.table(measurement)
    assert header == [*table.HEADER]
    assert rows == [
        ["lstm_jax", "1 ms", "1 ms to 1 ms", "2.00", "400%", "0.50 s", "2 MB", "1"],
        ["torch", "2 ms", "2 ms to 2 ms", "1.00", "200%", "0.50 s", "2 MB", "1"],
    ]
    assert table.left_out(measurement) == ["keras: wrong: x"]
    assert measurement.ratio("keras", "torch") is None


def test_seconds_have_a_unit_that_fits():
    found = [table.seconds(a) for a in (12.345, 0.5, 1e-3, 2.5e-5)]
    assert found == ["12.3 s", "500 ms", "1 ms", "25 us"]


def test_a_title_says_where():
    (gpu,) = measurements(lines({}, device="gpu", precision="default"))
    assert table.where(gpu) == "float32, gpu, default precision"
    (two,) = measurements(lines({}, cores=2))
    assert table.where(two) == "float32, cpu, 2 cores"


def test_the_geometric_mean():
    assert table.geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert np.isnan(table.geometric_mean([]))


def test_sentences_compare_works_that_differ_only_in_the_case():
    linen, nnx = "linen LSTMCell", "nnx LSTMCell"
    found = measurements(
        lines({"torch": [2.0], "lstm_jax": [1.0], linen: [3.0], nnx: [4.0]}),
        lines({"torch": [8.0], "lstm_jax": [1.0]}, case="small"),
        lines({"torch": [1.0], "lstm_jax": [2.0]}, cores=2),
    )
    assert table.fastest(found[0], FLAX) == linen
    one = "forward, float32, cpu, 1 core: lstm_jax is"
    two, mean = one.replace("1 core", "2 cores"), "in the geometric mean of 2 cases"
    assert table.sentences(found) == [
        f"{one} 4.00 times as fast as torch {mean}; least 2.00, in article",
        f"{one} 3.00 times as fast as the fastest of Flax in article",
        f"{two} 0.50 times as fast as torch in article",
    ]


def test_a_batch_that_cannot_be_divided_counts_undivided():
    times = {"torch": [3.0], "lstm_jax": [1.0], "lstm_jax 512": [0.75]}
    divided = {"lstm_jax devices": [0.5], "lstm_jax shard_map 512": [0.25]}
    found = measurements(lines(times | divided), lines(times, case="small"))
    for runner, small in (("devices", 3.0), ("shard_map 512", 4.0)):
        ratios = table.ratios(found, f"lstm_jax {runner}", TORCH)
        assert ratios == {
            "article": 3.0 / divided[f"lstm_jax {runner}"][0],
            "small": small,
        }


def test_other_programs_or_samples_far_apart_give_no_ratio(tmp_path, capsys):
    steady = {"torch": [2.0, 2.2], "lstm_jax": [1.0, 1.1]}
    busy = [
        line | {"others": 0.6} if line["kind"] == "sample" else line
        for line in lines(steady)
    ]
    apart = [*lines({"torch": [1.0, 9.0], "lstm_jax": [1.0, 1.1]}, case="small")]
    path = stored(tmp_path / "a.jsonl", busy, apart)
    assert main(["bench", "--from", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == (
        "UNSTEADY, so no ratio is given: other programs took 60 % of the "
        "cores. Measure again when nothing else runs."
    )
    assert (
        "UNSTEADY, so no ratio is given: the slowest tenth of the samples of torch "
        "takes 4.6 times as long as the fastest. Measure again when nothing else runs."
        in out
    )
    assert "2 of 2 measurements are unsteady: they are left out of every ratio" in out
    assert "torch / it" not in out
    assert "times as fast" not in out
    path = stored(tmp_path / "b.jsonl", busy, lines(steady, case="small"))
    assert main(["bench", "--from", str(path)]) == 0
    out = capsys.readouterr().out
    assert "lstm_jax is 2.00 times as fast as torch in small" in out
    assert "1 of 2 measurements are unsteady" in out


def test_without_torchs_time_nothing_is_said_of_torch(tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", lines({"lstm_jax": [1.0]}))
    assert main(["bench", "--from", str(path)]) == 0
    assert "torch" not in capsys.readouterr().out


def test_what_others_take_of_the_cores_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.bench.timing.others.cores_here", lambda: [0, 2])
    monkeypatch.setattr("os.sysconf", lambda _: 100)
    times = iter([10.0, 12.0, 0.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    own = iter([1.0, 2.0, 0.0])
    monkeypatch.setattr("time.process_time", lambda: next(own))
    stat = tmp_path / "stat"
    row = "cpu{} {} 0 0 9 0 0 0 5 0 0\n"
    _ = stat.write_text("cpu 1 1\n" + "".join(row.format(k, 100) for k in range(3)))
    watched = Others(stat)
    _ = stat.write_text("cpu 1 1\n" + "".join(row.format(k, 200) for k in range(3)))
    # Two cores were busy for a second each, one of these seconds was ours: 1 of 4.
    assert watched.share() == pytest.approx(0.25)
    assert Others(tmp_path / "none").busy is None


# The command.


BAD = {
    "--case nothing": (
        "--case 'nothing' must be a case or a tag: there are the cases "
        f"{', '.join(ENTRIES)} and the tags {', '.join(CASE_TAGS)}. Use one of these."
    ),
    "--runner nothing": (
        "--runner 'nothing' must be a runner or a tag: there are the runners "
        f"{', '.join(RUNNERS)} and the tags {', '.join(RUNNER_TAGS)}. Use one of these."
    ),
    "--cores 9999": (
        f"--cores 9999 must be at most {len(cores_here())}: these are the cores of "
        "this process. Give fewer."
    ),
    "--json .": "--json . must be a file: it is a directory. Name one in it.",
    "--plot conftest.py": (
        "--plot conftest.py must be a directory: it is a file. Name another."
    ),
    "--plot conftest.py/x": (
        f"--plot conftest.py/x must be a directory: {ROOT / 'conftest.py'} is a file. "
        "Name another."
    ),
    "--from a --rounds 3": (
        "--rounds must not come with --from: stored results are shown as they are. "
        "Leave out one."
    ),
    "--from a --dtype float64": (
        "--dtype must not come with --from: stored results are shown as they are. "
        "Leave out one."
    ),
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_use_is_one_sentence_and_exit_code_2(arguments, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["bench", *arguments.split()]) == 2
    assert capsys.readouterr().err == f"python -m parity: bench: {BAD[arguments]}\n"


@pytest.mark.parametrize("option", ["--rounds", "--cores"])
@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_count_is_a_whole_number(option, text, capsys):
    with pytest.raises(SystemExit) as caught:
        _ = main(["bench", f"{option}={text}"])
    assert caught.value.code == 2
    expected = f"argument {option}: {text!r} must be a whole number of 1 or more\n"
    assert capsys.readouterr().err.endswith(expected)


def test_results_without_a_finished_measurement_are_refused(tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0]}, done=False))
    assert main(["bench", "--from", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: bench: --from {path} must hold a finished measurement: "
        "it has "
        "none. Give a file that `bench --json` wrote.\n"
    )


def test_stored_results_are_shown_and_a_wrong_runner_exits_with_1(tmp_path, capsys):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [2.0], "lstm_jax": [1.0]}))
    assert main(["bench", "--from", str(path)]) == 0
    assert "lstm_jax is 2.00 times as fast as torch" in capsys.readouterr().out
    path = stored(path, lines({"torch": [2.0], "keras": "wrong: x"}))
    assert main(["bench", "--from", str(path)]) == 1
    assert "keras: wrong: x\n" in capsys.readouterr().out


def test_results_of_another_commit_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("parity.cli.bench._commit", lambda: "def")
    path = stored(tmp_path / "a.jsonl", lines({"torch": [2.0]}))
    arguments = ["--case", "article", "--mode", "forward", "--runner", "torch"]
    arguments += ["--cores", "1", "--rounds", "1", "--json", str(path)]
    assert main(["bench", *arguments]) == 0
    assert capsys.readouterr().err == (
        f"python -m parity: bench: {path} has results of another commit, abc: these "
        "were "
        "not measured again. Give another file to do so.\n"
    )


@pytest.mark.parametrize(
    ("commits", "said"),
    [
        (["def"], ""),
        (["abc", "def"], "another commit, abc"),
        (["b", "a"], "another commit, a, b"),
        ([""], "a commit without a name"),
        (["", "abc"], "another commit, abc and of a commit without a name"),
    ],
)
def test_other_commits_have_their_names_if_they_have_any(commits, said):
    found = [
        one
        for commit in commits
        for one in store.measurements(
            [RUN | {"commit": commit}, *lines({"torch": [1.0]})]
        )
    ]
    assert table.other_commits(found, "def") == said
    assert table.other_commits(found, "") == ""


ARTICLE = ["bench", "--case", "article", "--mode", "forward", "--cores", "1"]


def test_a_missing_gpu_is_named_before_it_is_asked_for_its_name(capsys, monkeypatch):
    def none(*_):
        raise ValueError("bench: there is no GPU.")

    monkeypatch.setattr("parity.cli.bench.rate_of", none)
    monkeypatch.setattr("parity.cli.bench.gpu_name", pytest.fail)
    for more in (["--quick"], ["--runner", "gpu"], ["--runner", "lstm_jax xla"]):
        assert main(["bench", "--device", "gpu", *more]) == 2
        assert capsys.readouterr().err == "python -m parity: bench: there is no GPU.\n"


@pytest.fixture
def absent(monkeypatch):
    """Two runners whose libraries are not installed."""
    monkeypatch.setattr("parity.cli.bench.rate_of", lambda *_: 1e9)
    for name in ("one", "two"):
        library = Library(f"no_such_{name}", f"no-such-{name}")
        runner = replace(RUNNERS["keras"], name=name, library=library)
        monkeypatch.setitem(RUNNERS, name, runner)


def test_where_no_library_is_installed_nothing_is_measured(absent, tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    for names, cure in (("one", ""), ("one two", " no-such-two")):
        asked = [word for name in names.split() for word in ("--runner", name)]
        assert main([*ARTICLE, *asked, "--json", str(path)]) == 2
        shown = capsys.readouterr()
        assert (shown.out, path.exists()) == ("", False)
        assert shown.err == (
            f"python -m parity: bench: --runner {names.replace(' ', ' or ')} must be "
            "installed: no other runner was asked for. Use pip install no-such-one"
            f"{cure}.\n"
        )


def test_where_no_runner_ran_the_reasons_are_told(tmp_path, capsys):
    alone = {"lstm_jax": [1.0], "keras": "failed: x", "haiku": "unsupported: y"}
    path = stored(tmp_path / "a.jsonl", lines(alone))
    asked = [*ARTICLE, "--rounds", "1", "--json", str(path)]
    assert main([*asked, "--runner", "keras", "--runner", "haiku"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "python -m parity: bench: a runner that was asked for must run: none did. Give "
        "another runner or another work: keras: failed: x; haiku: unsupported: y\n"
    )
    assert main([*asked, "--runner", "keras", "--runner", "lstm_jax"]) == 0
    path = stored(tmp_path / "b.jsonl", lines(alone | {"keras": "wrong: x"}))
    assert main([*asked[:-1], str(path), "--runner", "keras"]) == 1


def test_an_interruption_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.cli.bench.measure", interrupted)
    path = tmp_path / "a.jsonl"
    assert main(["bench", "--json", str(path)]) == 130
    assert capsys.readouterr().err == (
        f"python -m parity: bench: the results so far are in {path}: the same "
        "command goes "
        "on from there\n"
    )


def test_cases_and_runners_are_listed(capsys):
    assert main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    assert "quick: article, small\n" in out
    assert f"runners: {', '.join(RUNNERS)}\n" in out
    assert "runners quick: lstm_jax, torch, linen OptimizedLSTMCell\n" in out


def test_help_fits_a_screen_and_shows_an_example(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        _ = main(["bench", "--help"])
    out = capsys.readouterr().out
    assert "python -m parity bench --quick" in out
    assert len(out.splitlines()) <= 40
    assert max(map(len, out.splitlines())) <= 80


def test_a_tag_names_cases_and_a_case_comes_once():
    found = works_of(["quick", "article", "H=32"], ["step"], "bfloat16")
    assert [work.case.name for work in found] == ["article", "small", "H=32"]
    assert {(work.mode, work.case.dtype) for work in found} == {("step", "bfloat16")}
    assert [work.mode for work in works_of(["streaming", "small"])] == [
        "step",
        "forward",
        "backward",
    ]


def test_a_tag_names_runners_and_a_runner_comes_once():
    quick = ["lstm_jax", "torch", "linen OptimizedLSTMCell"]
    assert runners_of(["torch", "quick"]) == ["torch", quick[0], quick[2]]


@pytest.mark.parametrize(
    ("arguments", "tag"),
    [
        ([], "cpu"),
        (["--device", "gpu"], "gpu"),
        (["--device", "gpu", "--quick"], "quick"),
    ],
)
def test_the_runners_of_the_device_are_timed_where_none_is_named(
    arguments, tag, monkeypatch
):
    plans = []
    monkeypatch.setattr(
        "parity.cli.bench.measure", lambda plan, *_: plans.append(plan) or []
    )
    assert main(["bench", *arguments]) == 0
    assert plans[0].runners == RUNNER_TAGS[tag]
