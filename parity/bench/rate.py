"""How fast the machine multiplies large matrices, to compare other rates with."""

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from parity.machine import need_torch

# Rows of the square matrices: so many that arithmetic takes most of the time.
SIZES = {"cpu": 2048, "gpu": 8192}
SLOW = 0.05  # seconds of a product on a CPU: one that takes longer is large enough
TRIES = 8
# Products queued on a GPU for one time: the gap between two does not count then.
QUEUED = 5


def product_rate(device: str, cores: int, dtype: str, precision: str) -> float:
    """Operations a second of a product of two large matrices, the best of a few tries.

    The product is torch's. On a CPU it is the faster of torch's and XLA's: which one is
    fast depends on the processor; where torch is not installed, it is XLA's. With
    "highest" a GPU multiplies without TF32.

    Raises:
        ValueError: If `device` is "gpu" and there is none.
        ModuleNotFoundError: If there is one, and torch is not installed.
    """
    if device == "gpu":
        _check_gpu()
    elif find_spec("torch") is None:
        return 2 * SIZES["cpu"] ** 3 / _seconds_of_xla(SIZES["cpu"], dtype)
    import torch

    torch.set_num_threads(cores)
    set_tf32(device == "gpu" and precision != "highest")
    size = _size(dtype) if device == "cpu" else SIZES[device]
    kind = "cuda" if device == "gpu" else "cpu"
    a, b = torch.randn(2, size, size, device=kind).to(getattr(torch, dtype))
    seconds = _on_gpu if device == "gpu" else _on_cpu
    out = a @ b
    best = min(seconds(torch.matmul, a, b, out) for _ in range(TRIES))
    if device == "cpu":
        best = min(best, _seconds_of_xla(size, dtype))
    return 2 * size**3 / best


def _check_gpu() -> None:
    """Refuse to go on without a GPU, and then without torch."""
    torch_is_there = find_spec("torch") is not None
    finder, cure = ("torch", "torch") if torch_is_there else ("jax", "jax and torch")
    if not (_torch_finds_one() if torch_is_there else _jax_finds_one()):
        raise ValueError(
            f"bench: --device gpu must be a GPU that {finder} finds: it finds none. "
            f"Install {cure} for CUDA, or use --device cpu."
        )
    need_torch("bench", "it measures how fast the GPU multiplies", "--device cpu")


def _torch_finds_one() -> bool:
    import torch

    return torch.cuda.is_available()


def _jax_finds_one() -> bool:
    import jax

    try:
        return bool(jax.devices("gpu"))
    except (RuntimeError, AssertionError):  # the second where only a GPU is asked for
        return False


def _size(dtype: str) -> int:
    """Rows of the matrices on a CPU: fewer where torch is slow with the type.

    A processor without AVX-512 takes minutes for a large product of bfloat16.
    """
    import torch

    size, seconds = 256, 0.0
    while size < SIZES["cpu"] and seconds < SLOW:
        a, b = torch.randn(2, size, size).to(getattr(torch, dtype))
        seconds = _on_cpu(torch.matmul, a, b, a @ b)
        size *= 2
    return size


def _seconds_of_xla(size: int, dtype: str) -> float:
    """Seconds of XLA's product, the least of a few tries."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(dtype == "float64"):
        a, b = jax.random.normal(jax.random.key(0), (2, size, size), jnp.dtype(dtype))
        product, found = jax.jit(jnp.matmul), []
        for _ in range(TRIES):
            start = time.perf_counter()
            _ = jax.block_until_ready(product(a, b))
            found.append(time.perf_counter() - start)
    return min(found)


def _on_cpu(product: Callable[..., Any], a: Any, b: Any, out: Any) -> float:
    start = time.perf_counter()
    _ = product(a, b, out=out)
    return time.perf_counter() - start


def _on_gpu(product: Callable[..., Any], a: Any, b: Any, out: Any) -> float:
    """Seconds of a product, by the GPU's own clock."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(QUEUED):
        _ = product(a, b, out=out)
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000 / QUEUED


def set_tf32(allowed: bool) -> None:
    """Allow torch to compute float32 products on a GPU in TF32, or forbid it.

    Since 2.9 torch has two sets of switches, and refuses to run where they disagree.
    """
    import torch

    backends: Any = torch.backends
    cuda, cudnn = backends.cuda, backends.cudnn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first set is deprecated
        cudnn.allow_tf32 = cuda.matmul.allow_tf32 = allowed
    switches: list[Any] = [cuda.matmul, cudnn, getattr(cudnn, "rnn", None)]
    for switch in switches:
        if hasattr(switch, "fp32_precision"):
            switch.fp32_precision = "tf32" if allowed else "ieee"
