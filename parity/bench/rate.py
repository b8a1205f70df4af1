"""How fast the machine multiplies matrices: what a share of its speed is a share of."""

import time

# Rows of the square matrices: large enough to be bound by arithmetic.
SIZES = {"cpu": 2048, "gpu": 8192}
TRIES = 8


def product_rate(device: str, cores: int, dtype: str, precision: str) -> float:
    """Operations a second of torch's product of two large matrices, the best of a few.

    With "highest" a GPU multiplies without TF32.
    """
    import torch

    torch.set_num_threads(cores)
    torch.backends.cuda.matmul.allow_tf32 = precision != "highest"
    size, kind = SIZES[device], "cuda" if device == "gpu" else "cpu"
    a, b = torch.randn(2, size, size, device=kind).to(getattr(torch, dtype))
    best = float("inf")
    for _ in range(TRIES):
        start = time.perf_counter()
        c = a @ b
        if device == "gpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
        del c
    return 2 * size**3 / best
