"""What a framework is here: how it stores an LSTM, and what runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax

import lstm_jax
from lstm_jax import LSTMSpec
from parity.frameworks.layers import Layers, params_of
from parity.frameworks.layouts import Layout


class Library(NamedTuple):
    """What must be installed: the module, and its name at pip if that is another."""

    module: str
    package: str = ""

    @property
    def package_name(self) -> str:
        """Its name at pip."""
        return self.package or self.module

    @property
    def absent(self) -> str:
        """What is said where it is not installed."""
        return f"{self.module} is not installed"

    def missing(self) -> str:
        """A sentence where it is not installed, with the cure; empty where it is."""
        if find_spec(self.module) is not None:
            return ""
        return f"{self.absent}: pip install {self.package_name}"


class Outputs(NamedTuple):
    """What a sequence gives: `(T, B, D*P)`, `(L*D, B, P)`, `(L*D, B, H)`."""

    ys: Any
    h: Any
    c: Any


class Derived(NamedTuple):
    """Outputs, and the gradients of their weighted sum."""

    outputs: Outputs
    d_weights: Any
    d_xs: Any


class Stream(NamedTuple):
    """A sequence, one time step at a time.

    `start(spec, rows)` gives a state of zeros; `step(weights, x, state)` gives the
    output and the state after, for an input `(B, I)`.
    """

    start: Callable[[LSTMSpec, int], Any]
    step: Callable[[Any, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework's LSTM.

    Attributes:
        name: What the row is called by.
        layout: How the arrays of a direction are stored.
        library: What `run` needs. `store` and `load` need nothing: they are functions
            of arrays, and JAX can differentiate them.
        store: From layers to the weights that the framework keeps, a pytree.
        load: From these weights to layers.
        run: The framework's own LSTM of weights and inputs `(T, B, I)`, time first,
            from a state of zeros.
        differentiate: Outputs and gradients of the same, of weights, inputs and
            cotangents. None where JAX can differentiate `run`.
        stream: One time step at a time, of stacks with one direction. None where the
            framework has no single step.
    """

    name: str
    layout: Layout
    library: Library
    store: Callable[[Layers], Any]
    load: Callable[[Any], Layers]
    run: Callable[[Any, Any], Outputs]
    differentiate: Callable[[Any, Any, Outputs], Derived] | None = None
    stream: Stream | None = None

    def losses(self, spec: LSTMSpec) -> dict[str, str]:
        """What it cannot hold of an LSTM: a name and a sentence for each."""
        return self.layout.losses(spec)

    def from_lstm(self, layers: Layers) -> Any:
        """The framework's weights of an LSTM.

        Raises:
            NotImplementedError: If it has a projection, and the framework none.
        """
        lost = self.losses(lstm_jax.spec_of(params_of(layers)))
        if "projection" in lost:
            raise NotImplementedError(lost["projection"])
        return self.store(layers)

    def to_lstm(self, weights: Any) -> Layers:
        """The LSTM of the framework's weights."""
        return self.load(weights)

    def derive(self, weights: Any, xs: Any, cotangents: Outputs) -> Derived:
        """Outputs and gradients, in the framework's own runtime."""
        if self.differentiate is not None:
            return self.differentiate(weights, xs, cotangents)
        outputs, pullback = jax.vjp(self.run, weights, xs)
        return Derived(outputs, *pullback(cotangents))

    def gradients(self, layers: Layers, d_weights: Any) -> Layers:
        """The gradients of torch's arrays, given those of the framework's weights."""
        _, pullback = jax.vjp(self.store, layers)
        (found,) = pullback(d_weights)
        return found
