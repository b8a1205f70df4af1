"""A report as a table, as JSON and as Markdown, and its verdict."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

import lstm_jax
import parity

pytestmark = pytest.mark.usefixtures("unoptimised", "no_advice")


def test_a_check_of_nothing_is_not_ok():
    report = parity.Report("nothing", [])
    assert not report.ok
    assert report.messages() == ["nothing to tell: nothing was compared."]


def test_a_report_is_a_table_json_and_markdown():
    report = parity.check(torch.nn.LSTM(5, 4))
    tensors = [row.tensor for row in report.worst()]
    assert tensors[:6] == ["ys", "h_n", "c_n", "d_xs", "d_h0", "d_c0"]
    assert tensors[6:] == [f"d_{name}" for name in torch.nn.LSTM(5, 4).state_dict()]
    assert len(report.rows) == 3 + 4 * 7
    for tensor in tensors:
        assert tensor in str(report)
        assert f"| {tensor}" in report.to_markdown()
    found = json.loads(report.to_json())
    assert found["ok"] is True
    assert len(found["rows"]) == len(report.rows)
    assert found["facts"]["hidden_size"] == 4


def test_json_keeps_what_is_not_finite():
    report = parity.check(
        torch.nn.LSTM(5, 4), run=partial(lstm_jax.lstm, dtype="float16")
    )
    found = json.loads(report.to_json())
    assert found["ok"] is False
    assert found["rows"][0]["found"]["error"] == "inf"


def test_the_verdict_is_a_sentence_where_all_is_right_and_where_it_is_not():
    report = parity.check(torch.nn.LSTM(5, 4))
    assert report.messages() == ["ok: all 10 tensors are within the budget."]
    assert str(report).endswith(report.messages()[0])
    rows = [replace(report.rows[0], budget=-1.0), *report.rows[1:]]
    wrong = replace(report, rows=rows, advice=["Some advice."])
    first, *others = wrong.messages()
    assert first.startswith("FAIL ys: error 0.")
    assert others == ["1 of 10 tensors are out of the budget.", "Some advice."]
