"""Fixtures of the tests."""

from collections.abc import Iterator

import pytest
from jaxtyping import config


@pytest.fixture
def no_jaxtyping() -> Iterator[None]:
    """Switch jaxtyping's checks off, so that a wrong argument meets our own error."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)
