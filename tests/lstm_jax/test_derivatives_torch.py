"""The table of derivatives tried on torch: docs/derivatives.md says what it cannot do.

A cell is "yes" where any of torch's own ways gives the derivative, in the type people
train in, on a CPU. What comes out is compared with plain `backward` calls.
"""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.functional as functional
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, linearize, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from tests.given import ROOT

PAGE = ROOT / "docs" / "derivatives.md"
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "projection": {"proj_size": 3},
    "lengths": {},
    "dropout": {"num_layers": 2, "dropout": 0.5},
    "bf16": {"dtype": torch.bfloat16},
}
REFUSED = (RuntimeError, NotImplementedError)
Scalar = Callable[[Any, torch.Tensor], torch.Tensor]


def scalar_of(kind: str) -> tuple[Scalar, Any, torch.Tensor]:
    """A scalar of parameters and inputs, and both; the same dropout at every call."""
    _ = torch.manual_seed(0)
    module = torch.nn.LSTM(5, 4, **KINDS[kind])
    params = {name: value.detach() for name, value in module.named_parameters()}
    xs = torch.randn(5, 4, 5, dtype=next(iter(params.values())).dtype)

    def scalar(params: Any, xs: Any) -> Any:
        _ = torch.manual_seed(0)
        if kind != "lengths":
            ys, (h, c) = functional_call(module, params, (xs,))
        else:
            packed = pack_padded_sequence(xs, torch.tensor([5, 4, 2, 1]))
            ys, (h, c) = functional_call(module, params, (packed,))
            ys, _ = pad_packed_sequence(ys)
        return (ys**2).sum() + h.sum() + c.sum()

    return scalar, params, xs


def gradient(scalar: Scalar, params: Any, xs: torch.Tensor) -> torch.Tensor:
    """The gradient of the inputs by `torch.autograd.grad`."""
    xs = xs.clone().requires_grad_()
    return torch.autograd.grad(scalar(params, xs), xs)[0]


def second(scalar: Scalar, params: Any, xs: torch.Tensor) -> torch.Tensor:
    """The derivative of the gradient along the inputs, by backward of backward."""
    xs = xs.clone().requires_grad_()
    (first,) = torch.autograd.grad(scalar(params, xs), xs, create_graph=True)
    return torch.autograd.grad((first * xs.detach()).sum(), xs)[0]


def two(xs: torch.Tensor) -> torch.Tensor:
    return torch.stack([xs, -xs])


def ways(name: str, scalar: Scalar, params: Any, xs: torch.Tensor) -> list[Any]:
    """Torch's ways to a derivative with respect to the inputs."""

    def of(xs: torch.Tensor) -> torch.Tensor:
        return scalar(params, xs)

    def contracted(hessian: torch.Tensor) -> torch.Tensor:
        return torch.tensordot(hessian, xs, 3)

    def rematerialised() -> torch.Tensor:
        leaf = xs.clone().requires_grad_()
        value: Any = checkpoint(of, leaf, use_reentrant=False)
        return torch.autograd.grad(value, leaf)[0]

    def summed(xs: torch.Tensor) -> torch.Tensor:
        return vmap(of, randomness="same")(xs).sum()

    return {
        "grad": [lambda: grad(of)(xs), lambda: gradient(scalar, params, xs)],
        "jvp": [
            lambda: jvp(of, (xs,), (xs,))[1],
            lambda: functional.jvp(of, xs, xs)[1],
        ],
        "linearize": [lambda: linearize(of, xs)[1](xs)],
        "jacfwd": [
            lambda: jacfwd(of, randomness="same")(xs),
            lambda: functional.jacobian(
                of, xs, strategy="forward-mode", vectorize=True
            ),
        ],
        "jacrev": [lambda: jacrev(of)(xs), lambda: functional.jacobian(of, xs)],
        "hessian": [
            lambda: contracted(jacfwd(jacrev(of), randomness="same")(xs)),  # pyright: ignore
            lambda: contracted(functional.hessian(of, xs)),  # pyright: ignore
        ],
        "jvp of grad": [
            lambda: jvp(grad(of), (xs,), (xs,))[1],
            lambda: functional.hvp(of, xs, xs)[1],
        ],
        "vmap of grad": [lambda: vmap(grad(of), randomness="same")(two(xs))],
        "grad of vmap": [lambda: grad(summed)(two(xs))],
        "remat": [rematerialised],
    }[name]


def expected(name: str, scalar: Scalar, params: Any, xs: torch.Tensor) -> torch.Tensor:
    if name in ("jvp", "linearize"):
        return (gradient(scalar, params, xs) * xs).sum()
    if name in ("hessian", "jvp of grad"):
        return second(scalar, params, xs)
    if "vmap" in name:
        return torch.stack([gradient(scalar, params, one) for one in two(xs)])
    return gradient(scalar, params, xs)


def works(name: str, kind: str) -> bool:
    """Whether any way runs; what it gives must be right."""
    scalar, params, xs = scalar_of(kind)
    right = expected(name, scalar, params, xs)
    coarse = 0.1 if kind == "bf16" else 1e-4
    for way in ways(name, scalar, params, xs):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = way()
        except REFUSED:
            continue
        assert (found - right).abs().max() <= coarse * right.abs().max()
        return True
    return False


def page_rows() -> dict[str, list[str]]:
    """The rows of the page's table on torch."""
    lines = PAGE.read_text(encoding="utf8").splitlines()
    start = lines.index("| torch.nn.LSTM | " + " | ".join(KINDS) + " |") + 2
    rows = [line.strip("| ").split(" | ") for line in lines[start:]]
    return {row[0]: row[1:] for row in rows[: lines[start:].index("")]}


def expected_row(name: str) -> list[str]:
    """The row of the page; without oneDNN, bf16 has what a projection has."""
    row = page_rows()[name]
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # pyright: ignore
        return row
    return [*row[:-1], row[list(KINDS).index("projection")]]


@pytest.mark.parametrize("name", page_rows())
def test_the_page_says_what_torch_can_do(name: str) -> None:
    found = ["yes" if works(name, kind) else "no" for kind in KINDS]
    assert expected_row(name) == found
