"""Results are kept as lines, read again, and refused where they are none."""

import numpy as np
import pytest

from parity.__main__ import main
from parity.bench.results import store, table
from tests.given.results import KEY, lines, measurements, stored


def test_what_is_stored_is_read_again(tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [3.0, 1.0, 2.0]}))
    (measurement,) = store.measurements(store.read_lines(path))
    assert measurement.key == KEY
    assert measurement.run["commit"] == "abc"
    timed = measurement.runners["torch"]
    assert timed.median == 2.0
    assert timed.spread == pytest.approx((1.2, 2.8))
    assert timed.facts["compile_seconds"] == 0.5


def test_what_is_not_finite_is_stored_as_json(tmp_path):
    path = tmp_path / "a.jsonl"
    line = {"kind": "skipped", "runner": "a", "reason": "wrong", "error": np.inf}
    store.append(path, line)
    assert '"inf"' in path.read_text()
    assert store.read_lines(path) == [{**line, "error": "inf"}]


def test_a_last_line_cut_off_is_no_line_and_makes_room(tmp_path):
    path = stored(tmp_path / "a.jsonl", lines({"torch": [1.0]}))
    whole = path.read_text()
    for cut in ('{"ki', '{"kind": "sample", "run'):
        _ = path.write_text(whole + cut)
        assert len(store.measurements(store.read_lines(path))) == 1
        assert path.read_text() == whole + cut
        assert len(store.measurements(store.read_to_continue(path))) == 1
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
            f"python -m parity: bench: line {number} of {path} must be a result: it "
            "is not "
            "JSON with a kind and its fields. Give a file that `bench --json` wrote.\n"
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
    (measurement,) = measurements(first, cut)
    assert measurement.runners["torch"].median == 1.0
    (measurement,) = measurements(lines({"torch": [1.0]}), lines({"torch": [2.0]}))
    assert measurement.runners["torch"].median == 2.0
    assert (
        len(measurements(lines({}), lines({}, cores=2), lines({}, mode="train"))) == 3
    )


def test_a_runner_that_failed_in_a_round_has_no_time():
    (measurement,) = measurements(
        [*lines({"torch": [1.0], "keras": [1.0]}, done=False)],
        [{"kind": "skipped", "runner": "keras", "reason": "failed: x"}],
        [{"kind": "done"}],
    )
    assert table.left_out(measurement) == ["keras: failed: x"]
    assert [row[0] for row in table.table(measurement)[1]] == ["torch"]
