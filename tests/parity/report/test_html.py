"""The page: whole by itself, well formed, and nothing of a file unescaped in it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import lstm_jax
import parity
from parity.__main__ import main
from parity.judge.cases import Case
from parity.report.page import axes, page
from parity.report.page.markup import element, escape
from parity.verify.mistakes.weights import GATE_ORDERS
from tests.given import ROOT

HOSTILE = [
    "<script>alert(1)</script>.",
    '"><img src=x onerror=alert(1)>.',
    "' onload='x.",
    "</title></style><b>.",
    "a\u202egnp.\u2066b\x1b[31m\x00\r\n.",
    "&lt;i&gt;.",
]
VOID = {"meta", "br"}
DOCS = ROOT / "docs"


class Page(HTMLParser):
    """Elements in order, attributes, text; refuses what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(f"{text} " for text in self.text).split())


def onnx(params):
    """The weights with the gates in ONNX's order."""
    blocks = {name: np.split(np.asarray(a), 4) for name, a in params.items()}
    return {n: np.concatenate([b[0], b[3], b[1], b[2]]) for n, b in blocks.items()}


@pytest.fixture(scope="module")
def right():
    return parity.check(torch.nn.LSTM(5, 4, 2, bidirectional=True))


@pytest.fixture(scope="module")
def wrong():
    params = {n: a.numpy() for n, a in torch.nn.LSTM(5, 4).state_dict().items()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("parity.verify.diagnose.MISTAKES", GATE_ORDERS)
        return parity.check(params, onnx(params))


def test_a_page_of_what_is_right(right):
    found = Page(page([right], [], "python -m parity check x.pt"))
    assert "The same as torch: all 79 comparisons of the LSTM are within" in found.words
    for needed in ("python -m parity check x.pt", "1 of 1", "all 79", "processor"):
        assert needed in found.words
    for tensor in {row.tensor for row in right.rows}:
        assert tensor in found.text
    assert found.text.count("✓ ok") == len(right.worst()) + 1
    assert "FAIL" not in found.words


def test_a_page_of_what_is_wrong_has_advice_and_gates(wrong):
    found = Page(page([wrong], [], ""))
    assert "Not the same: 31 of 31 comparisons are out of the budget." in found.words
    assert wrong.advice[0].startswith("Reading the gates as i, o, f, g makes it pass.")
    for sentence in wrong.messages():
        assert sentence in found.text
    assert "Gates and cell of layer 0, forward, row " in found.words
    for gate in "ifgoc":
        said = f"{gate} as it is and as it should be: they differ by up to "
        assert any(text.startswith(said) for text in found.text)


def test_a_page_is_whole_by_itself(right, wrong):
    text = page([right, wrong], ["A problem."], "python -m parity check")
    found = Page(text)
    names = {name for name, _ in found.attributes}
    links = [value for name, value in found.attributes if name == "href"]
    assert links == ["#lstm-1", "#lstm-0"]
    assert not {"script", "link", "img", "iframe", "object", "use"} & set(found.tags)
    assert not {name for name in names if name.startswith("on")} | {"src"} & names
    assert "style" not in names
    assert not re.search(r"https?:|//\w|url\(|@import|javascript:", text)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert ("content", policy) in found.attributes


def test_what_is_drawn_says_so_in_words(right):
    text = page([right], [], "")
    drawings = re.findall(r"<svg[^>]*>", text)
    assert len(drawings) > 20
    for drawing in drawings:
        assert 'aria-hidden="true"' in drawing or re.search(
            r'aria-label="[^"]{10,}" role="img"|role="img" aria-label="[^"]{10,}"',
            drawing,
        )
    paths = re.findall(r' d="M[^"]*"', text)
    assert len(paths) > 5
    assert not re.search(r"nan|inf[^o]", "".join(paths))
    assert '<th scope="col">' in text
    assert '<th scope="row">' in text


def test_an_error_is_drawn_at_its_layer_and_direction(right, monkeypatch):
    drawn = []

    def over_layers(names, series, row):
        drawn.append(dict(zip(names, series["weights and biases"], strict=True)))
        return element("svg")

    monkeypatch.setattr("parity.report.page.charts.over_layers", over_layers)
    rows = [
        replace(row, found=replace(row.found, error=9.0))
        if row.tensor == "d_bias_hh_l0_reverse"
        else row
        for row in right.rows
    ]
    assert "<svg>" in page([replace(right, rows=rows)], [], "")
    (errors,) = drawn
    assert {name for name, (ours, _) in errors.items() if ours == 9.0} == {"0r"}
    assert list(errors) == ["0", "0r", "1", "1r"]


def test_names_from_a_file_are_escaped(tmp_path, capsys):
    tensors = {}
    for name in HOSTILE:
        state_dict = torch.nn.LSTM(3, 2).state_dict()
        tensors |= {f"{name}{key}": array for key, array in state_dict.items()}
    cut = {f"{name}x.weight_ih_l0": torch.zeros(8, 3) for name in HOSTILE}
    path, out = tmp_path / "<b> &.safetensors", tmp_path / "out.html"
    parity.write_tensors(tensors | cut, path)
    arguments = ["check", str(path), "--dtype", "float32", "--html", str(out)]
    assert main(arguments) == 2
    text = out.read_text(encoding="utf-8")
    found = Page(text)
    plain = Page(page([], [], ""))
    assert set(found.tags) - set(plain.tags) <= {
        *("section", "details", "summary", "table", "thead", "tbody", "tr", "th"),
        *("td", "svg", "rect", "line", "path", "circle", "text", "title", "figure"),
        *("figcaption", "a", "h3", "ul", "li", "div", "dl", "dt", "dd", "pre", "code"),
    }
    assert {n for n, _ in found.attributes if n.startswith("on") or n == "src"} == set()
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert "<script>alert(1)</script>." in found.words
    assert "Could not be checked" in found.words
    assert "LSTMs are the same as torch's." in found.words
    assert len(capsys.readouterr().err.splitlines()) == len(HOSTILE)


def test_escape_leaves_nothing_that_is_markup():
    for text in HOSTILE:
        assert not set(escape(text)) & set("<>\"'\x1b\u202e\x00\n")
        attribute = element("p", title=text)
        assert Page(attribute).tags == ["p"]


def test_many_right_ones_are_folded_and_a_wrong_one_is_first(right, wrong):
    reports = [replace(right, title=f"number {k}") for k in range(40)]
    text = page([*reports, replace(wrong, title="the wrong one")], [], "")
    found = Page(text)
    assert found.tags.count("details") == 41
    assert "open" not in {name for name, _ in found.attributes}
    first = re.search(r'<th scope="row"><a href="#lstm-(\d+)">([^<]*)</a>', text)
    assert first is not None
    assert first.groups() == ("40", "the wrong one")
    assert len(text) < 41 * 40_000


@pytest.mark.parametrize(
    "case",
    [
        Case(name="no steps", steps=0),
        Case(name="no rows", batch=(0,)),
        Case(name="one", steps=1, batch=(), lengths=True),
        Case(name="long", steps=520, hidden_size=2, input_size=1, batch=(1,)),
    ],
    ids=lambda case: case.name,
)
def test_pages_of_odd_sizes_are_well_formed(case):
    report = parity.check_case(case)
    assert report.verdict in ("ok", "nothing to tell")
    said = "The same as torch" if report.ok else "Nothing to tell"
    assert said in Page(report.to_html()).words


def spoilt(change):
    def run(params, xs, state):
        ys, (h, c) = lstm_jax.lstm(params, xs, state)
        return change(ys, h, c)

    return run


WRONG_RUNS = {
    "ys, around its worst element": lambda ys, h, c: (ys.at[3].add(0.01), (h, c)),
    "ys, around": lambda ys, h, c: (ys * np.nan, (h, c)),
    "h_n, around its worst element": lambda ys, h, c: (ys, (h + 0.01, c)),
    "is float32[6, 3, 4], must be float32[7, 3, 4]": lambda ys, h, c: (ys[1:], (h, c)),
}


@pytest.mark.usefixtures("no_advice")
@pytest.mark.parametrize("said", WRONG_RUNS)
def test_a_wrong_function_is_drawn_around_its_worst_element(said):
    report = parity.check(torch.nn.LSTM(5, 4), run=spoilt(WRONG_RUNS[said]))
    text = report.to_html()
    assert said in Page(text).words
    places = re.findall(r' (?:d|cy)="[^"]*"', text)
    assert len(places) > 5
    assert not re.search(r"nan|inf", "".join(places))


def test_a_page_replaces_a_page_and_nothing_is_left_beside(tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    for _ in range(2):
        arguments = ["check", "--random", "1", "--seed", "3", "--start", "1"]
        assert main([*arguments, "--html", str(out)]) == 0
        assert [one.name for one in out.parent.iterdir()] == ["page.html"]
    words = Page(out.read_text(encoding="utf-8")).words
    again = "python -m parity check --random 1 --seed 3 --start 1 --html "
    assert again in words
    assert f"report: {out}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["json", "html", "plot"])
def test_a_path_that_cannot_be_written_is_refused_first(
    name, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("parity.cli.check.check_case", None)
    path = tmp_path / "out.svg"
    assert main(["check", f"--{name}", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"python -m parity: check: --{name} {path} must be writable: the rights on "
        "it, or "
        "on its directory, forbid it. Give another path.\n"
    )


@pytest.mark.slow
def test_the_commands_of_the_docs_run(right, tmp_path, monkeypatch, capsys):
    text = (DOCS / "report.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m parity (check .*)$", text, re.MULTILINE)
    assert len(commands) == 6
    pictures = re.findall(r"\((images/.*?)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        assert 10_000 < (DOCS / picture).stat().st_size < 200_000
    monkeypatch.chdir(tmp_path)
    # The built-in cases are not run again: what is asked of them is their files.
    monkeypatch.setattr("parity.cli.check.check_case", lambda *_, **__: right)
    model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 2)})
    parity.write_tensors(model.state_dict(), "model.safetensors")
    np.save("speech.npy", np.ones((2, 5, 3), np.float32))
    for command in commands:
        assert main(command.replace(" 300 ", " 1 ").split()) == 0
    written = {"report.html", "cases.html", "draws.html", "draws.json", "error.pdf"}
    assert written <= {path.name for path in tmp_path.iterdir()}


def test_nothing_compared_is_not_the_same():
    assert "Nothing to tell: nothing was compared." in Page(page([], [], "")).words


def test_scales_hold_what_they_are_given():
    scale = axes.errors([0.0, 0.3, 2e6, np.inf, np.nan], 32.0, 0, 100)
    assert (scale.low, scale.high) == (0.1, 1e8)
    assert scale(0.0) == 0
    assert scale(np.inf) == scale(np.nan) == 100
    assert 0 < scale(0.3) < scale(32) < scale(2e6) < 100
    assert scale.ticks(5) == [0.1, 10, 1e3, 1e5, 1e7]
    even = axes.Scale(-0.06, 0.09, 0, 1)
    assert [axes.label(t) for t in even.ticks(4)] == ["-0.05", "0", "0.05"]
    assert axes.label(-1.5e-4) == "-0.00015"
    assert axes.label(1e7) == "1e7"
