"""The kernel under sanitizers, on threads that come late, in vectors of every width."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hatch_build
from tests.given import ROOT

SOURCE = ROOT / "lstm_jax" / "native" / "source"
X86 = platform.machine() == "x86_64" and shutil.which("g++")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not X86, reason="no C++ compiler"),
]
SANITIZERS = {
    "address": "-fsanitize=address,undefined -fno-sanitize-recover=all -O1 -g",
    "thread": "-fsanitize=thread -O1 -g",
}
# How a driver is compiled and started on another processor than this.
EMULATED = {
    "aarch64": ("aarch64-linux-gnu-g++ -static", "qemu-aarch64"),
    "x86_64": ("g++", ""),
}


def driver(path: Path, compiler: str, width: hatch_build.Width, flags: str) -> Path:
    command = [*compiler.split(), *hatch_build.flags_of(width), *flags.split()]
    command += ["-o", str(path), "-pthread"]
    command += [str(SOURCE / "kernel.cc"), str(SOURCE / "driver.cc")]
    _ = subprocess.run(command, check=True)
    return path


def run(*command: str | Path) -> None:
    words = list(map(str, command))
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert "calls on 4 threads: the same bits as on one" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_random_calls_on_late_threads_give_the_same_bits(
    sanitizer: str, tmp_path: Path
) -> None:
    avx2 = hatch_build.X86[1]
    flags = SANITIZERS[sanitizer]
    run(driver(tmp_path / "driver", "g++", avx2, flags), "4", "100", "0")


def widths() -> dict[str, tuple[str, str, hatch_build.Width]]:
    """Every width that this machine runs, by itself or in an emulator."""
    here = Path("/proc/cpuinfo").read_text("utf-8")
    wide, narrow = hatch_build.X86
    # The source of AVX-512, of which any AVX2 runs each vector as two.
    found = {"halves": ("g++", "", wide._replace(name="halves", flags=narrow.flags))}
    for machine, (compiler, start) in EMULATED.items():
        for width in hatch_build.WIDTHS[machine]:
            there = all(map(shutil.which, filter(None, (compiler.split()[0], start))))
            if there and (width.name != "avx512" or "avx512vl" in here):
                found[width.name] = (compiler, start, width)
    return found


def test_every_width_of_vectors_writes_the_same_but_for_rounding(
    tmp_path: Path,
) -> None:
    written = {}
    for name, (compiler, start, width) in widths().items():
        made = driver(tmp_path / name, compiler, width, "-O2")
        file = tmp_path / f"{name}.floats"
        run(*start.split(), made, "4", "60", "1", file)
        written[name] = np.fromfile(file, np.float32)
    for found in written.values():
        assert len(found) > 1_000_000
        np.testing.assert_allclose(found, written["avx2"], rtol=1e-4, atol=1e-4)


def copy_with_sanitizer(folder: Path) -> None:
    """The package and the tests in a folder, the kernel compiled with a sanitizer."""
    for name in ("lstm_jax", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "kernel.so")
        _ = shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("conftest.py", "pyproject.toml"):
        _ = shutil.copy(ROOT / name, folder)
    kernel = folder / hatch_build.LIBRARY.relative_to(ROOT)
    hatch_build.compile_kernel(kernel, SANITIZERS["address"].split())


def test_calls_from_python_touch_no_memory_but_theirs(tmp_path: Path) -> None:
    """The tests of the kernel, in a process whose memory is watched."""
    copy_with_sanitizer(tmp_path)
    names = ("libasan.so", "libubsan.so", "libstdc++.so.6")
    paths = [
        subprocess.check_output(["g++", f"-print-file-name={name}"], text=True).strip()
        for name in names
    ]
    watched = {
        "LD_PRELOAD": " ".join(paths),
        # XLA has signal handlers of its own; Python keeps memory until its end.
        "ASAN_OPTIONS": f"detect_leaks=0:handle_segv=0:log_path={tmp_path}/said",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-s", "-m", "not slow"]
    command += ["-p", "no:cacheprovider", "tests/lstm_jax/native/test_native.py"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | watched,
    )
    said = [path.read_text("utf-8") for path in tmp_path.glob("said*")]
    assert (done.returncode, said) == (0, []), done.stdout[-4000:]
