"""The page in a real browser without a network: light, dark, wide, narrow."""

import re

import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.__main__ import main
from tests.given.browser import BROWSER, DARK, LIGHT, browse, screenshot, widths

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium to look at pages with"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A passing page, of a file, and failing ones: of weights, and of a function."""
    where = tmp_path_factory.mktemp("pages")
    file, passing = where / "model.safetensors", where / "passing.html"
    parity.write_tensors(torch.nn.LSTM(5, 4, 2, bidirectional=True).state_dict(), file)
    assert main(["check", str(file), "--html", str(passing)]) == 0
    right = {n: a.numpy() for n, a in torch.nn.LSTM(5, 4, 2).state_dict().items()}
    blocks = {name: np.split(array, 4) for name, array in right.items()}
    given = {n: np.concatenate([b[0], b[3], b[1], b[2]]) for n, b in blocks.items()}
    failing, spoilt = where / "failing.html", where / "spoilt.html"
    _ = failing.write_text(parity.check(right, given).to_html(), encoding="utf-8")

    def late(params, xs, state):
        ys, state = lstm_jax.lstm(params, xs, state)
        return ys.at[4:].multiply(1.001), state

    _ = spoilt.write_text(parity.check(right, run=late).to_html(), encoding="utf-8")
    return {"passing": passing, "failing": failing, "spoilt": spoilt}


@pytest.mark.parametrize("name", ["passing", "failing", "spoilt"])
def test_a_page_is_drawn_in_light_and_in_dark(name, pages, tmp_path):
    for scheme in (LIGHT, DARK):
        seen = screenshot(pages[name], tmp_path, scheme, "1280,2000")
        assert seen.shape == (2000, 1280, 3)
        assert len(np.unique(seen.reshape(-1, 3)[::7], axis=0)) > 50
        paper, bright = np.median(seen), seen.mean()
        assert (paper > 0.9 and bright > 0.8) == (scheme == LIGHT)
        assert (paper < 0.2 and bright < 0.3) == (scheme == DARK)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["passing", "failing", "spoilt"])
def test_nothing_sticks_out_of_a_page(name, width, pages, tmp_path):
    text = pages[name].read_text(encoding="utf-8")
    open_page = (
        tmp_path / "open.html"
    )  # its own policy forbids the script that measures
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    _ = open_page.write_text(re.sub(policy, "", text), encoding="utf-8")
    shown, window = widths(open_page, tmp_path, width)
    assert shown <= window


def test_what_a_page_fetches_or_runs_would_be_seen(pages, tmp_path):
    text = pages["passing"].read_text(encoding="utf-8")
    for more in ("<script>1</script>", "<img src='picture.png'>"):
        other = tmp_path / "other.html"
        _ = other.write_text(
            text.replace("</main>", more + "</main>"), encoding="utf-8"
        )
        _, logged = browse(other, tmp_path, "--dump-dom")
        assert "CONSOLE" in logged
        assert "Content Security Policy" in logged


def test_a_page_is_printed(pages, tmp_path):
    out = tmp_path / "page.pdf"
    _ = browse(pages["failing"], tmp_path, f"--print-to-pdf={out}")
    assert out.read_bytes().startswith(b"%PDF")
    assert out.stat().st_size > 20_000
