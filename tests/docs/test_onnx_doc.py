"""docs/onnx.md: its code runs, its client streams, and its rules are those of the code.

`python -m tests.docs.test_onnx_doc` writes the rules anew.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lstm_jax
from parity.convert.onnx.lint import RULES
from tests.given import ROOT

PAGE = ROOT / "docs" / "onnx.md"
LIST = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- /rules -->)", re.DOTALL)


def rules() -> str:
    return "".join(f"- {rule.sentence}\n" for rule in RULES)


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_rules_are_those_of_the_code() -> None:
    assert LIST.findall(PAGE.read_text("utf-8")) == [rules()]


def test_the_client_has_no_more_than_twenty_lines_and_no_lstm_jax() -> None:
    (client,) = (block for block in blocks() if "class Stream" in block)
    assert "lstm_jax" not in client
    assert "parity" not in client
    own = client.partition("\n\n\nstream = ")[0]
    assert len(own.splitlines()) <= 20


@pytest.mark.usefixtures("unoptimised")
def test_every_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks():
        exec(compile(block, "onnx.md", "exec"), names)
    assert capsys.readouterr().out.count("\n") == 1
    model = onnx.load("lstm.onnx")
    assert (model.opset_import[0].version, model.ir_version) == (9, 4)
    whole, (h, c) = lstm_jax.lstm(names["back"].params(), np.ones((50, 3, 5), "f"))
    stream = names["stream"]
    pairs = [(names["ys"][-1], np.asarray(whole)[-1]), (stream.h, h), (stream.c, c)]
    for found, exact in pairs:
        # Both are within 8 roundings of 1 of the exact numbers.
        assert np.abs(found - np.asarray(exact)).max() < 16 * np.finfo("f").eps


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    _ = PAGE.write_text(LIST.sub(lambda _: rules(), text), "utf-8")
