"""Torch."""

from typing import Any

import parity
from parity.arrays import numpy_of, tensor_of
from parity.frameworks.framework import Derived, Library, Outputs
from tests.given.routes.route import Route


def _own_torch(seed: int, case: Any) -> Any:
    import torch

    _ = torch.manual_seed(seed)
    return torch.nn.LSTM(**case.spec.constructor_arguments(), batch_first=True)


def _derive_torch(module: Any, xs: Any, cotangents: Outputs) -> Derived:
    import torch

    inputs = tensor_of(xs).requires_grad_()
    turned = inputs.transpose(0, 1) if module.batch_first else inputs
    ys, (h, c) = module(turned)
    ys = ys.transpose(0, 1) if module.batch_first else ys
    weights = dict(module.named_parameters())
    found = torch.autograd.grad(
        (ys, h, c), [inputs, *weights.values()], [*map(tensor_of, cotangents)]
    )
    d_xs, *gradients = found
    outputs = Outputs(*(numpy_of("", a.detach()) for a in (ys, h, c)))
    d_weights = dict(zip(weights, gradients, strict=True))
    return Derived(outputs, d_weights, numpy_of("", d_xs))


TORCH = Route(
    name="torch",
    target="torch",
    library=Library("torch"),
    write=parity.to_torch,
    read=parity.from_torch,
    own=_own_torch,
    derive=_derive_torch,
    slow=False,
)
