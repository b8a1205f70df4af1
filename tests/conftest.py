"""Fixtures of the tests."""

from collections.abc import Iterator

import jax
import pytest
from jaxtyping import config


@pytest.fixture
def no_jaxtyping() -> Iterator[None]:
    """Switch jaxtyping's checks off, so that a wrong argument meets our own error."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


@pytest.fixture
def float64() -> Iterator[None]:
    """Enable float64, without LLVM's optimisations: compiling is most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    with jax.enable_x64(True):
        yield
    jax.config.update("jax_disable_most_optimizations", False)
