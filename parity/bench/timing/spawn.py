"""Processes that start afresh, with environment variables of their own."""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def with_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Processes that are started inside have these environment variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
