"""The machine: versions, processor, cores, memory, GPU."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import lstm_jax

INSTALL_TORCH = "pip install 'lstm-jax[parity]'"
_PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch")


def environment() -> dict[str, str]:
    """Names and values, for a reader; a package that is not there is left out."""
    return {
        "system": platform.platform(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "lstm-jax": lstm_jax.__version__,
        **{name: v for name in _PACKAGES if (v := _version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def need_torch(where: str, why: str, instead: str = "") -> None:
    """Refuse to go on where torch is not installed.

    Args:
        where: What is called.
        why: What it needs torch for.
        instead: What does without torch, after "or"; empty where nothing does.

    Raises:
        ModuleNotFoundError: In one sentence, with what to install.
    """
    if find_spec("torch") is None:
        raise ModuleNotFoundError(
            f"{where}: torch must be installed: {why}. Use {INSTALL_TORCH}"
            f"{', or ' * bool(instead)}{instead}.",
            name="torch",
        )


def versions() -> str:
    """Versions of lstm_jax, jax and torch in a line."""
    torch = _version("torch")
    return (
        f"lstm_jax {lstm_jax.__version__}, jax {_version('jax')}, "
        f"{f'torch {torch}' if torch else 'torch not installed'}"
    )


def _version(name: str) -> str:
    """A package's version; empty if it cannot be imported."""
    try:
        if find_spec(name) is None:
            return ""
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Its name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return next(iter(names), platform.processor() or platform.machine())


def memory() -> int:
    """Bytes of memory in the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cores_here() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpu_name() -> str:
    """What torch calls its GPU."""
    import torch

    return torch.cuda.get_device_name()
