"""The site: nothing public is missing, no link is dead, and a browser shows it."""

import re

import numpy as np
import pytest

import lstm_jax
import lstm_jax.train
import parity
from tests.given import ROOT
from tests.given.browser import BROWSER, DARK, LIGHT, screenshot, widths

DOCS = ROOT / "docs"
SITE = DOCS / "_build" / "html"
PAGES = [p for p in DOCS.rglob("*.md") if "_build" not in p.parts]
PAGES += [ROOT / "README.md"]
API = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def public(package):
    """Functions and classes that `package` exports."""
    names = [name for name in dir(package) if not name.startswith("_")]
    return [name for name in names if callable(getattr(package, name))]


@pytest.mark.parametrize("package", [lstm_jax, lstm_jax.train, parity])
def test_every_public_name_is_on_a_page_of_the_api(package):
    listed = re.findall(r"^\.\. auto\w+:: (\S+)$", API, re.MULTILINE)
    missing = {f"{package.__name__}.{name}" for name in public(package)} - set(listed)
    assert not missing
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_link_leads_to_a_file(page):
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


built = pytest.mark.skipif(
    not SITE.exists(), reason="`make docs` has not built the site"
)
looked_at = pytest.mark.skipif(
    BROWSER is None, reason="no chromium to look at pages with"
)


@pytest.mark.slow
@built
@looked_at
@pytest.mark.parametrize("name", ["index", "tutorial", "api/functions"])
def test_a_browser_shows_the_page_in_light_and_dark(name, tmp_path):
    page = SITE / f"{name}.html"
    for size in ("1280,2000", "390,2000"):
        light, dark = (screenshot(page, tmp_path, s, size) for s in (LIGHT, DARK))
        assert np.median(light) > 0.9
        assert np.median(dark) < 0.2
        for seen in (light, dark):
            assert len(np.unique(seen.reshape(-1, 3)[::7], axis=0)) > 50


@pytest.mark.slow
@built
@looked_at
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    "name",
    ["index", "tutorial", "api/functions", "benchmarks", "uses/index", "uses/stocks"],
)
def test_nothing_sticks_out_of_the_page(name, width, tmp_path):
    shown, window = widths(SITE / f"{name}.html", tmp_path, width)
    assert shown <= window


@pytest.mark.slow
@built
def test_no_page_asks_for_anything_from_elsewhere():
    asked = re.compile(r'<(?:link|script|img)[^>]+(?:href|src)="(?:https?:)?//[^"]+"')
    for page in SITE.rglob("*.html"):
        assert asked.findall(page.read_text("utf-8")) == [], page


@pytest.mark.slow
@built
def test_every_link_of_the_site_leads_to_a_file():
    for page in SITE.rglob("*.html"):
        if "_static" in page.parts:  # templates of the theme
            continue
        links = re.findall(r'href="([^"#?:]+)["#?]', page.read_text("utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page
