"""What tests and doctests share: two devices, names, and counted skips.

Imports neither `lstm_jax` nor `parity` on top: the jaxtyping hook must come first.
"""

import gc
import inspect
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import jax
import pytest

LISTED = Path(__file__).parent / "tests" / "skips.txt"
SKIPS: Counter[str] = Counter()
NO_TORCH = "torch is not installed"
HAS_TORCH = find_spec("torch") is not None

# JAX makes many small objects that live long: by default a seventh of the time of the
# tests goes to looking through them for rubbish.
gc.set_threshold(200_000, 50, 1000)
# Tests of sharding need two devices, and JAX counts them when it starts.
jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(autouse=True)
def _doctest_names(request: pytest.FixtureRequest) -> None:
    """Names a doctest may use; those of its own module come first."""
    if isinstance(request.node, pytest.DoctestItem):
        lines = "".join(example.source for example in request.node.dtest.examples)
        if "torch" in lines and not HAS_TORCH:
            pytest.skip(NO_TORCH)
        for name, value in _names().items():
            _ = request.node.dtest.globs.setdefault(name, value)


def _names() -> dict[str, object]:
    import flax.linen
    import flax.nnx
    import jax.numpy as jnp
    import numpy as np

    import lstm_jax
    import parity

    names: dict[str, object] = {"jax": jax, "jnp": jnp, "np": np}
    names |= {"lstm_jax": lstm_jax, "parity": parity}
    for package in (lstm_jax, parity):
        for name, value in vars(package).items():
            if not name.startswith("_") and not inspect.ismodule(value):
                _ = names.setdefault(name, value)
    return names | {"nnx": flax.nnx, "linen": flax.linen}


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> pytest.CollectReport | None:
    """Skip a file that imports torch on top where there is none, and count it once."""
    if HAS_TORCH or not isinstance(collector, pytest.File):
        return None
    text = collector.path.read_text(encoding="utf-8")
    if not re.search(r"^(import|from) torch\b", text, re.MULTILINE):
        return None
    if type(collector) is not pytest.Module:  # its doctests
        return pytest.CollectReport(collector.nodeid, "passed", None, [])
    why = (str(collector.path), 0, f"Skipped: {NO_TORCH}")
    return pytest.CollectReport(collector.nodeid, "skipped", why, [])


def _listed() -> list[str]:
    lines = LISTED.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] != "#"]


def _count(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr[2] if report.longrepr else "")  # pyright: ignore
        SKIPS[reason.removeprefix("Skipped: ")] += 1


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the reason of a skipped test."""
    _count(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Count the reason of a skipped file."""
    _count(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail where a test was skipped for a reason that is not listed."""
    if exitstatus == pytest.ExitCode.OK and SKIPS.keys() - _listed():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often each reason skipped a test."""
    for reason, count in sorted(SKIPS.items()):
        listed = reason in _listed()
        note = "" if listed else f" - not a line of tests/{LISTED.name}"
        color = {"yellow": True} if listed else {"red": True}
        terminalreporter.write_line(f"skipped {count}: {reason}{note}", **color)
