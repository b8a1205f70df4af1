"""What the commands print: on any terminal, into a pipe, and while they run."""

import io
import json
import subprocess
import sys
from threading import Event

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from lstm_jax.terminal import screen
from parity.__main__ import main
from parity.cli import check_file
from parity.cli.progress import Progress
from parity.files.beside import write_bytes
from parity.judge.cases import CASES, Case
from parity.judge.exact import of_oracle, seconds_needed
from tests.given import ROOT

pytestmark = pytest.mark.usefixtures("unoptimised")

PARAMS = lstm_jax.init_params(jax.random.key(0), 3, 2)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    parity.write_tensors(PARAMS, path)
    return str(path)


def latin(monkeypatch):
    """A standard output that has no lines to draw with."""
    held = io.BytesIO()
    out = io.TextIOWrapper(held, encoding="latin-1", write_through=True)
    monkeypatch.setattr("sys.stdout", out)
    return held


def test_a_table_is_printed_where_the_terminal_has_no_lines(file, monkeypatch):
    held = latin(monkeypatch)
    assert main(["inspect", file]) == 0
    text = held.getvalue().decode("latin-1")
    assert " ----" in text
    assert "?" not in text


def test_a_name_that_the_terminal_does_not_have_is_printed(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    parity.write_tensors({f"模型.{k}": np.asarray(a) for k, a in PARAMS.items()}, path)
    held = latin(monkeypatch)
    assert main(["inspect", str(path)]) == 0
    assert b"??." in held.getvalue()


def test_a_table_that_is_too_wide_is_written_out(file, monkeypatch, capsys):
    reports = [parity.check(PARAMS)]
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("parity.cli.check.check_case", lambda *_, **__: reports[0])
    monkeypatch.setattr("parity.cli.check.CASES", CASES[:1])
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (at,) = (k for k, line in enumerate(lines) if line.startswith(" check: ys "))
    assert max(map(len, lines[: at + 2])) <= 60
    assert lines[at + 1].endswith("ok")


def test_the_width_is_that_of_the_terminal(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert screen.width() == 120
    monkeypatch.setenv("COLUMNS", "60")
    assert screen.width() == 60
    monkeypatch.setenv("COLUMNS", "5")
    assert screen.width() == 20


def test_a_reader_who_has_gone_ends_the_command_as_others(file):
    command = [sys.executable, "-m", "parity", "inspect", file]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == screen.READER_GONE == 141


def test_the_version_names_what_it_runs_on(capsys, monkeypatch):
    with pytest.raises(SystemExit) as caught:
        _ = main(["--version"])
    assert caught.value.code == 0
    start = f"lstm_jax {lstm_jax.__version__}, jax {jax.__version__}, torch "
    assert capsys.readouterr().out.startswith(start)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit):
        _ = main(["--version"])
    assert capsys.readouterr().out == f"{start}not installed\n"


def test_json_goes_to_the_screen_and_all_else_beside_it(file, capsys):
    assert main(["check", file, "--dtype", "float32", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["verdict"] == "ok"
    assert "ok: 1 of 1 LSTMs" in err


OTHER_NAMES = {
    "--html out.pdf": "must end in .html, .htm: the suffix tells what is in it. Rename",
    "--html -": "must end in .html, .htm: the suffix tells what is in it. Rename",
    "--json out.html": "must end in .json: the suffix tells what is in it. Rename",
    "--json model.json": "must not be FILE: it would be replaced. Name",
}


@pytest.mark.parametrize("option", OTHER_NAMES)
def test_a_name_that_says_something_else_is_refused_first(
    option, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    _ = (tmp_path / "model.json").write_text("kept")
    assert main(["check", "model.json", *option.split()]) == 2
    end = "another" if "FILE" in OTHER_NAMES[option] else "it"
    said = f"check: {option} {OTHER_NAMES[option]} {end}."
    assert capsys.readouterr().err == f"python -m parity: {said}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert (tmp_path / "model.json").read_text() == "kept"


def test_what_the_system_says_is_said_of_the_users_file(tmp_path, monkeypatch):
    path = tmp_path / "report.html"

    def full(self, _):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(path, b"page")
    assert caught.value.filename == str(path)


# While a command runs.


def test_the_oracle_tells_each_step_forward_and_back():
    problem = Case(name="", num_layers=2, bidirectional=True, steps=3).draw()
    shares = []
    _ = of_oracle(problem, lambda _, share: shares.append(share))
    assert len(shares) == 2 * 2 * 2 * 3
    assert shares == sorted(set(shares))
    assert shares[-1] == pytest.approx(1)


def test_a_check_tells_what_it_does():
    told = []
    report = parity.check(PARAMS, tell=lambda what, _: told.append(what))
    last = ["torch"] if "torch" in report.sides else [""]
    assert list(dict.fromkeys(told)) == ["JAX", "the oracle", *last]


def test_a_line_now_and_then_where_there_is_no_terminal(capsys):
    progress, told = Progress("check", every=0.01), Event()
    with progress.shown():
        for number in progress.over(range(3)):
            progress.tell("the oracle", 0.4)
            if number == 1:
                _ = told.wait(0.2)
    lines = set(capsys.readouterr().err.splitlines())
    assert "python -m parity: check: 2 of 3, the oracle, 40 %" in lines


def test_a_bar_moves_within_a_check_on_a_terminal(monkeypatch):
    moved = []
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(
        "rich.progress.Progress.update",
        lambda *_, **given: moved.append(given),
    )
    progress = Progress("check")
    with progress.shown():
        for _ in progress.over([1, 2]):
            progress.tell("the oracle", 0.25)
    assert [one["completed"] for one in moved] == [0, 0.25, 1, 1.25]
    assert moved[-1]["description"] == "check: the oracle"


def test_the_time_of_a_check_is_measured_and_said_before_a_long_one(
    file, capsys, monkeypatch
):
    ticks = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: 2.0 * next(ticks))
    case = Case(name="", steps=9)
    assert seconds_needed(case) == 2.0 * 9 * 5  # a step, so many steps and runs
    monkeypatch.undo()
    monkeypatch.setattr(check_file, "seconds_needed", lambda _: 1000.0)
    assert main(["check", file, "--dtype", "float32"]) == 0
    assert capsys.readouterr().err == (
        "python -m parity: check: LSTM at '', float32: the exact values take about 17 "
        "minutes on this machine, by a step that was timed\n"
    )


def test_an_interruption_keeps_what_was_checked(capsys, monkeypatch, tmp_path):
    report = parity.check(PARAMS)

    def interrupted(case, **_):
        if case.name.endswith(":2"):
            raise KeyboardInterrupt
        return report

    monkeypatch.setattr("parity.cli.check.check_case", interrupted)
    path = tmp_path / "report.html"
    assert main(["check", "--random", "9", "--html", str(path)]) == 130
    out, err = capsys.readouterr()
    assert "ok: 1 of 1 LSTMs and 62 of 62 comparisons" in out
    said = "check: interrupted after 2 of 9 checks: the rest was not checked."
    assert err == f"python -m parity: {said}\n"
    assert "Not all of it was checked" in path.read_text("utf-8")
    assert said in path.read_text("utf-8")


def test_an_interruption_before_the_first_check_is_130(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("parity.cli.check.check_case", interrupted)
    assert main(["check"]) == 130
    assert capsys.readouterr().out == ""


def test_an_lstm_with_nothing_to_tell_exits_with_2(tmp_path, capsys):
    path = tmp_path / "saturated.safetensors"
    parity.write_tensors({k: 1e6 * np.asarray(a) for k, a in PARAMS.items()}, path)
    assert main(["check", str(path), "--dtype", "float32"]) == 2
    assert capsys.readouterr().err.startswith(
        "python -m parity: LSTM at '', float32: nothing to tell: the gates are "
    )


def test_draws_are_right_where_some_have_nothing_to_tell(capsys, monkeypatch):
    reports = iter([parity.check(PARAMS), parity.check(PARAMS, batch=0)] * 2)
    monkeypatch.setattr("parity.cli.check.check_case", lambda *_, **__: next(reports))
    assert main(["check", "--random", "2"]) == 0
    _ = next(reports)
    assert main(["check", "--random", "1"]) == 2
    assert "nothing to tell: 0 of 1 LSTMs" in capsys.readouterr().out


def test_the_file_and_its_digest_are_on_top(file, capsys, tmp_path):
    page = tmp_path / "page.html"
    assert main(["check", file, "--dtype", "float32", "--html", str(page)]) == 0
    digest = subprocess.run(
        ["sha256sum", file], capture_output=True, text=True, check=True
    )
    expected = f"{file}, SHA-256 {digest.stdout.split()[0]}"
    assert f"file: {expected}\n" in capsys.readouterr().out
    assert expected in page.read_text("utf-8")
