"""Fixtures of the tests."""

from collections.abc import Iterator
from typing import Any

import jax
import pytest
from hypothesis import settings
from jaxtyping import config


@pytest.fixture
def no_jaxtyping() -> Iterator[None]:
    """Switch jaxtyping's checks off, so that a wrong argument meets our own error."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


@pytest.fixture
def unoptimised() -> Iterator[None]:
    """Compile without LLVM's optimisations: compiling is most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def float64(unoptimised: None) -> Iterator[None]:
    """Enable float64, unoptimised."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def torch() -> Any:
    """Torch, for a test that is skipped where there is none."""
    return pytest.importorskip("torch", reason="torch is not installed")


# A search for counter-examples in each test of laws: short in `make test`, long in
# `make fuzz`. A time per example would fail on a busy machine.
settings.register_profile("default", max_examples=4, deadline=None)
settings.register_profile("ci", max_examples=4, deadline=None, derandomize=True)
settings.register_profile("fuzz", max_examples=500, deadline=None)
