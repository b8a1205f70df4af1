"""What is said of a layout: the losses, the table and the picture of docs/formats.md.

`PYTHONPATH=. python tests/parity/frameworks/test_layouts.py` prints the table anew, and
draws the picture.
"""

import re
from dataclasses import replace

import pytest

from lstm_jax import LSTMSpec
from parity.frameworks.drawing import picture
from parity.frameworks.layouts import GATES, LAYOUTS, markdown, readers_of
from parity.frameworks.registry import FRAMEWORKS, layouts
from tests.given import ROOT
from tests.given.toy_framework import TOY

SPEC = LSTMSpec(input_size=5, hidden_size=4)


def test_the_page_has_the_table_of_the_layouts() -> None:
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    assert f"\n\n{markdown(layouts())}\n\n" in page


PICTURE = ROOT / "docs" / "images" / "layouts.svg"


def test_the_page_has_the_picture_of_the_layouts() -> None:
    assert PICTURE.read_text("utf-8") == picture(layouts())


def test_a_picture_has_the_gates_of_each_row_in_their_order() -> None:
    for layout in layouts():
        drawn = re.findall(r">([ifgo])</text>", picture([layout]))
        kernels = 1 if layout.lies == "joined" else 2
        assert drawn == list(layout.gates) * (kernels + layout.biases)


def test_a_framework_that_is_added_is_a_line_of_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = markdown(layouts())
    monkeypatch.setitem(FRAMEWORKS, "toy", TOY)
    assert markdown(layouts()) == (
        f"{before}\n| Toy | g o f i | `(I, 4H)`, `(H, 4H)` | one | (h, c) | |"
    )


def test_the_frameworks_that_store_the_gates_in_an_order_are_named() -> None:
    assert readers_of("igfo") == "Haiku or Haste"
    assert readers_of("iofg") == "ONNX"
    assert readers_of("ogfi") == ""
    assert all(sorted(layout.gates) == sorted(GATES) for layout in LAYOUTS.values())


def test_losses_are_sentences_by_name() -> None:
    spec = replace(SPEC, proj_size=2, resets=True)
    assert LAYOUTS["torch"].losses(spec) == {"resets": "torch has no resets."}
    assert LAYOUTS["Haiku"].losses(spec) == {
        "projection": "Haiku has no projection.",
        "resets": "Haiku has no resets.",
        "two biases": "Haiku has one bias: it stores their sum.",
        "forget bias": "Haiku adds 1 to the forget gate: it stores that gate's bias "
        "less 1, rounded.",
    }
    no_bias = replace(SPEC, bias=False)
    assert LAYOUTS["Keras"].losses(no_bias) == {}
    assert LAYOUTS["Flax"].losses(no_bias) == {
        "no bias": "Flax always has a bias: it stores zeros."
    }


if __name__ == "__main__":
    print(markdown(layouts()))
    _ = PICTURE.write_text(picture(layouts()), "utf-8")
