"""Changes of weights that turn an LSTM into another: what `mistakes` applies."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from lstm_jax import LSTMSpec
from parity.frameworks.layouts import GATES

Params = dict[str, Any]
Change = Callable[[Params, LSTMSpec], Params]


def by_kind(change: Callable[[str, Any, LSTMSpec], Any]) -> Change:
    """A change of each parameter by itself."""

    def changed(params: Params, spec: LSTMSpec) -> Params:
        return {name: change(name, jnp.asarray(a), spec) for name, a in params.items()}

    return changed


def reorder(order: tuple[str, ...], params: Params, spec: LSTMSpec) -> Params:
    """Stack the gates in another order."""

    def change(name: str, array: Any, spec: LSTMSpec) -> Any:
        del spec
        if name.startswith("weight_hr"):
            return array
        blocks = dict(zip(GATES, jnp.split(array, 4), strict=True))
        return jnp.concatenate([blocks[gate] for gate in order])

    return by_kind(change)(params, spec)


def transpose(kind: str) -> Change:
    """Transpose each gate's block of one kind of weight, where it is square."""

    def change(name: str, array: Any, spec: LSTMSpec) -> Any:
        if not name.startswith(kind) or array.shape[1] != spec.hidden_size:
            return array
        return jnp.concatenate([block.T for block in jnp.split(array, 4)])

    return by_kind(change)


def scale_biases(**scales: float) -> Change:
    """Multiply `bias_ih` or `bias_hh`."""
    return by_kind(lambda name, array, _: scales.get(name[:7], 1.0) * array)


def bias_ih_twice(params: Params, spec: LSTMSpec) -> Params:
    """Put `bias_ih` in the place of `bias_hh` too."""
    del spec
    return {name: params[name.replace("bias_hh", "bias_ih")] for name in params}


def add_to_gate(gate: str, value: float) -> Change:
    """Add a number to one gate's part of `bias_ih`."""

    def change(name: str, array: Any, spec: LSTMSpec) -> Any:
        if not name.startswith("bias_ih"):
            return array
        start = GATES.index(gate) * spec.hidden_size
        return array.at[start : start + spec.hidden_size].add(value)

    return by_kind(change)


def swap_names(other_of: Callable[[str], str]) -> Change:
    """Exchange parameters by name, where the other exists and has the same shape."""

    def change(params: Params, spec: LSTMSpec) -> Params:
        del spec
        other = {name: params.get(other_of(name), params[name]) for name in params}
        same = {name: other[name].shape == params[name].shape for name in params}
        return {name: other[name] if same[name] else params[name] for name in params}

    return change


def other_direction(name: str) -> str:
    """The parameter of the other direction."""
    base = name.removesuffix("_reverse")
    return base if base != name else f"{name}_reverse"


def other_layer(name: str) -> str:
    """The parameter of layer 2 for one of layer 1, and the other way."""
    head, _, tail = name.rpartition("_l")
    number, _, direction = tail.partition("_")
    swapped = {"1": "2", "2": "1"}.get(number, number)
    return f"{head}_l{swapped}{'_' if direction else ''}{direction}"
