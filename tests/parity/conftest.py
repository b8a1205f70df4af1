"""Fixtures of the tests of parity."""

import pytest


@pytest.fixture
def no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the diagnosis: it runs every known mistake, which takes seconds."""
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])


@pytest.fixture(autouse=True)
def _no_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command on a busy machine says no more than one on an idle machine."""
    monkeypatch.setattr("parity.cli.progress.EVERY", 3600.0)
