"""A headless Chromium without a network."""

import re
import shutil
import subprocess
from pathlib import Path

from matplotlib.image import imread
from numpy import ndarray

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
# The proxy is an address at which nobody answers: a page that needs more is seen.
OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--hide-scrollbars --enable-logging=stderr --proxy-server=localhost:9"""
DARK, LIGHT = 0, 1
THEME = re.compile(r'"(\[PST\]: |Got invalid theme mode: )')  # what Sphinx's theme says


def browse(page: Path, where: Path, *options: str) -> tuple[str, str]:
    """What the browser prints, and what it logs; `where` keeps its profiles."""
    fresh = where / f"profile-{len(list(where.iterdir()))}"
    command = [str(BROWSER), *OPTIONS.split(), f"--user-data-dir={fresh}", *options]
    done = subprocess.run(
        [*command, page.as_uri()],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


def screenshot(page: Path, where: Path, scheme: int, size: str) -> ndarray:
    """The pixels of a page, `(height, width, 3)`; its console must be silent."""
    out = where / f"{page.stem}-{scheme}-{size}.png"
    _, logged = browse(
        page,
        where,
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={size}",
        f"--screenshot={out}",
    )
    console = [line for line in logged.splitlines() if "CONSOLE" in line]
    assert [line for line in console if not THEME.search(line)] == []
    return imread(out)[..., :3]


def widths(page: Path, where: Path, width: int) -> tuple[int, int]:
    """How wide what a page shows is, and how wide its window."""
    measure = "[document.documentElement.scrollWidth, innerWidth].join(' of ')"
    script = f"<script>document.title = {measure}</script></body>"
    text = page.read_text(encoding="utf-8").replace("</body>", script)
    measured = page.with_name("measured.html")
    _ = measured.write_text(text, encoding="utf-8")
    dom, _ = browse(measured, where, f"--window-size={width},900", "--dump-dom")
    measured.unlink()
    title = dom.split("<title>", 1)[1].split("</title>", 1)[0]
    shown, window = title.split(" of ")
    return int(shown), int(window)
