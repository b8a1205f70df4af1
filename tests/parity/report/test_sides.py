"""What a report says of torch where torch did not run, and where nothing was told."""

import html
import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest

import lstm_jax
import parity
from parity.judge.cases import Case
from parity.report import plot
from parity.report.page import page
from parity.report.summary import summary

pytestmark = pytest.mark.usefixtures("unoptimised", "no_advice")

PARAMS = lstm_jax.init_params(jax.random.key(0), 5, 4)
REASON = "torch is not installed, so it was not run (pip install 'lstm-jax[parity]')"
NO_ROWS = "torch takes no sequences without steps or rows, so it was not run"


@pytest.fixture
def alone(monkeypatch):
    """The report of a check where torch is not installed."""
    monkeypatch.setattr("parity.verify.sides.torch.has_torch", lambda: False)
    return parity.check(PARAMS)


@pytest.fixture
def both(torch):
    return parity.check(PARAMS)


def words_of(text):
    """The words of a page, without its style."""
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"aria-label=\"([^\"]*)\"", r">\1<", text)
    return " ".join(re.sub(r"<[^>]*>", " ", text).replace("&#x27;", "'").split())


def test_a_check_without_torch_is_equal_to_the_oracle_and_says_why(alone):
    assert alone.ok
    assert alone.sides == ("jax", "oracle")
    assert alone.without_torch == REASON
    (said,) = alone.messages()
    start = "ok: all 10 tensors are within the budget: equal to the exact oracle; "
    assert said == f"{start}{REASON}."


def test_every_form_of_a_report_without_torch_claims_nothing_of_it(alone):
    found = summary([alone])
    texts = [str(alone), alone.to_markdown(), words_of(alone.to_html())]
    drawn = plot.figure([alone], ".svg").decode()
    texts += [found.sentence(), " ".join(re.findall("<!-- (.*?) -->", drawn))]
    for text in texts:
        assert REASON in text
        said = text.replace(REASON, "")
        said = re.sub(r"torch \d\S*", "", said)  # its version, on the page
        assert "torch" not in said.lower()
        assert not re.search(r"\bnan\b", said, re.IGNORECASE)
        assert not re.search(r"[\w:] +- |\| *- *\|", said)
    assert (found.torch, found.ratio, found.same_as_torch) == (None, None, False)
    fields = json.loads(alone.to_json())
    assert fields["sides"] == ["jax", "oracle"]
    assert fields["not_run"] == {"torch": REASON}
    assert "Equal to the exact oracle: all 31 comparisons" in texts[2]


def test_a_report_with_torch_says_so(both):
    assert both.sides == ("jax", "torch", "oracle")
    assert "compared: JAX and torch, each with the exact oracle\n" in str(both)
    fields = json.loads(both.to_json())
    assert (fields["sides"], fields["not_run"]) == (["jax", "torch", "oracle"], {})
    assert "The same as torch" in words_of(both.to_html())


def test_a_summary_says_in_how_many_checks_torch_did_not_run(both):
    rows = [replace(row, torch=None, difference=None) for row in both.rows]
    alone = replace(both, title="other", rows=rows, not_run={"torch": REASON})
    found = summary([both, alone])
    assert found.sentence().endswith(f"; in 1 of 2 checks {REASON}")
    assert not found.same_as_torch
    words = words_of(page([both, alone], [], ""))
    assert "Equal to the exact oracle: all 62 comparisons" in words
    worst = max(row.found.error for row in rows)
    assert f"other {worst:.1f}" in words or f"other {worst:.2f}" in words
    assert "not run ✓ ok" in words


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"batch": 0}, "no row was run. Give a batch of at least 1."),
        ({"steps": 0}, "no time step was run. Give at least 1 step."),
    ],
)
def test_a_check_of_no_rows_or_steps_has_nothing_to_tell(sizes, reason, torch):
    report = parity.check(PARAMS, **sizes)
    assert (report.verdict, report.ok, report.untold) == (
        "nothing to tell",
        False,
        reason,
    )
    assert report.messages() == [f"nothing to tell: {reason}"]
    assert report.without_torch == NO_ROWS
    assert str(report).endswith(f"nothing to tell: {reason}")
    assert json.loads(report.to_json())["verdict"] == "nothing to tell"


def test_rows_that_all_have_length_0_have_nothing_to_tell():
    cases = (
        Case(name="", steps=1, batch=(1,), lengths=True, seed=k) for k in range(99)
    )
    empty = next(case for case in cases if not np.any(case.draw().lengths))
    report = parity.check_case(empty)
    assert report.untold == "no time step was run. Give at least 1 step."


def test_saturated_gates_have_nothing_to_tell_and_the_cure_helps():
    many = {name: 1e6 * array for name, array in PARAMS.items()}
    report = parity.check(many)
    assert all(row.ok for row in report.rows)
    (said,) = report.messages()
    assert said == (
        "nothing to tell: the gates are saturated, and no weight has a gradient larger "
        "than its rounding. Give weights or inputs at which the gates still move."
    )
    assert parity.check({name: array / 1e6 for name, array in many.items()}).ok


def test_what_is_wrong_is_wrong_where_nothing_is_told():
    def broken(params, xs, state):
        return xs[..., :4], (state[0] + 1, state[1])

    assert parity.check(PARAMS, steps=0, run=broken).verdict == "FAIL"


def test_a_summary_counts_those_with_nothing_to_tell(both):
    empty = replace(both, title="empty", untold="no row was run.")
    found = summary([both, empty])
    assert found.ok
    assert "ok: 1 of 2 LSTMs" in found.sentence()
    assert "; 1 has nothing to tell" in found.sentence()
    assert summary([empty]).verdict == "nothing to tell"
    wrong = replace(both, title="w", rows=[replace(both.rows[0], budget=-1.0)])
    assert summary([wrong, empty, both]).verdict == "FAIL"
    words = words_of(page([empty], [], ""))
    assert "Nothing to tell: no number depends on the weights." in words
    assert "! nothing to tell" in words


def test_a_geometric_mean_of_nothing_is_not_said(both):
    exact = replace(both.rows[0], found=replace(both.rows[0].found, error=0.0))
    report = replace(both, rows=[exact])
    assert summary([report]).ratio is None
    assert "geometric" not in summary([report]).sentence()
    assert "geometric" not in words_of(report.to_html())


def test_what_is_on_top_is_in_plain_numbers(both):
    report = replace(
        both, facts=both.facts | {"file": "a.pt", "sha256": {"a.pt": "0f"}}
    )
    rows = [
        replace(row, difference=0.5 if row.tensor == "c_n" else 0.25, largest=3.0)
        for row in report.rows
    ]
    report = replace(report, rows=rows)
    far = "0.5 in outputs of up to 3, 0.25 in gradients of up to 3"
    assert str(report).splitlines()[1:5] == [
        "compared: JAX and torch, each with the exact oracle",
        f"largest difference to torch: {far}",
        "parameters: 176",
        "file: a.pt, SHA-256 0f",
    ]
    other = replace(report, facts=report.facts | {"dtype": "float64", "lstm": "b"})
    words = words_of(page([report, other], [], ""))
    assert "float32: 0.5 in outputs" in words
    assert "float64: 0.5 in outputs" in words
    assert "352 in 2 LSTMs" in words


def test_the_difference_to_torch_is_that_of_the_numbers(torch):
    def late(params, xs, state):
        ys, after = lstm_jax.lstm(params, xs, state)
        return ys + 0.125, after

    rows = {row.tensor: row for row in parity.check(PARAMS, run=late).worst()}
    assert rows["ys"].difference == pytest.approx(0.125, abs=1e-6)
    assert rows["h_n"].difference == pytest.approx(0, abs=1e-6)
    assert 0.1 < rows["ys"].largest < 1


def test_a_notebook_shows_the_page_in_a_frame(both):
    frame = replace(both, title='"><b>')._repr_html_()
    source = re.fullmatch(r'<iframe srcdoc="([^"]*)" title="[^"]*" .*></iframe>', frame)
    assert source is not None
    assert html.unescape(source[1]) == replace(both, title='"><b>').to_html()
    assert 'sandbox=""' in frame


def test_a_figure_has_title_file_type_and_verdict(both):
    report = replace(both, title="LSTM at '$x_'", facts=both.facts | {"file": "a$.pt"})
    drawn = plot.figure([report], ".svg").decode()
    said = " ".join(re.findall("<!-- (.*?) -->", drawn))
    for words in ("LSTM at '$x_'", "a$.pt, float32", "ok: all 10 tensors are within"):
        assert words in said
    drawn = plot.figure([report, replace(report, title="b")], ".svg").decode()
    assert "2 checks" in drawn
    assert "ok: 2 of 2 LSTMs" in drawn
