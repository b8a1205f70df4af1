"""Keras, where it is installed, runs on JAX."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _keras_on_jax(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras chooses its backend, and reads its settings, when it is imported."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
