"""The hook of the build: why there is no kernel is said, and nothing is left over."""

import os
import platform
from pathlib import Path

import pytest

import hatch_build

REASONS = {
    "nowhere-at-all": "the compiler does not start: .*nowhere-at-all",
    "false": "the compiler fails",
    "": r"there was no C\+\+ compiler\.",
}


@pytest.mark.parametrize(("compiler", "reason"), REASONS.items())
def test_a_compiler_that_does_not_work_is_named(
    compiler: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", compiler)
    if not compiler:
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(hatch_build.NotCompiledError, match=reason):
        hatch_build.compile_kernel(tmp_path / "kernel.so")
    assert list(tmp_path.iterdir()) == []


def test_a_processor_that_is_not_known_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(hatch_build.NotCompiledError, match="no riscv64 processors"):
        hatch_build.compile_kernel(tmp_path / "kernel.so")


def test_what_is_newer_than_its_source_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "kernel.so"
    library.touch()
    monkeypatch.setenv("CXX", "nowhere-at-all")
    hatch_build.compile_kernel(library)
    os.utime(library, (0, 0))
    with pytest.raises(hatch_build.NotCompiledError, match="does not start"):
        hatch_build.compile_kernel(library)
