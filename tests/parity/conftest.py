"""Fixtures of the tests of parity."""

import pytest


@pytest.fixture
def no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the diagnosis: it runs every known mistake, which takes seconds."""
    monkeypatch.setattr("parity.verify.diagnose.advice", lambda *_: [])
