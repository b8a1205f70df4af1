"""Torch's arrays of one direction of a layer, as another library stacks them."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from parity.frameworks.layouts import GATES, LAYOUTS, Layout
from parity.judge.tensors import Array

LAYOUT = {layout.name: layout for layout in LAYOUTS}


def stacked(torch: Mapping[str, Array], layout: Layout) -> dict[str, Any]:
    """Torch's arrays in the layout's gate order and orientation."""
    found = {k: _reordered(a, GATES, layout.gates) for k, a in torch.items()}
    forget = jnp.repeat(jnp.array([gate == "f" for gate in layout.gates]), _gate(found))
    found["bias"] -= (layout.forget_bias * forget).astype(found["bias"].dtype)
    return {k: a.T if layout.transposed else a for k, a in found.items()}


def unstacked(arrays: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    """Torch's arrays again, or their gradients: no forget bias is put back."""
    found = {k: a.T if layout.transposed else a for k, a in arrays.items()}
    return {k: _reordered(a, layout.gates, GATES) for k, a in found.items()}


def _gate(arrays: Mapping[str, Any]) -> int:
    return len(arrays["bias"]) // 4


def _reordered(array: Any, before: str, after: str) -> Any:
    parts = dict(zip(before, jnp.split(array, 4), strict=True))
    return jnp.concatenate([parts[gate] for gate in after])
