"""What a route is: weights in by `to_X`, a runtime, weights out again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity.frameworks.framework import Derived, Library, Outputs


@dataclass(frozen=True, kw_only=True)
class Route:
    """To a framework and back.

    Attributes:
        name: What the row is called by.
        target: What `parity.losses` calls the framework.
        library: What must be installed.
        write: From an `lstm_jax.LSTM` to the framework's object: its `to_X`.
        read: Back again, an LSTM or a mapping: its `from_X`. It also reads what
            `derive` gives for the gradients of the weights.
        own: An object that the framework makes by itself of a seed and the options of
            a case, with random weights everywhere.
        derive: Outputs and gradients in the framework's runtime, of the object, inputs
            and cotangents, time first. The gradients are None where it has none.
        added: What `read` adds to a forget gate's bias, and so to its gradient.
        slow: Whether compiling it takes seconds, so that most cases are slow tests.
    """

    name: str
    target: str
    library: Library
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    own: Callable[[int, Any], Any]
    derive: Callable[[Any, Any, Outputs], Derived]
    added: float = 0.0
    slow: bool = True


def drawn(seed: int, tree: Any) -> Any:
    """Random arrays of the shapes and types of a tree's."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: jnp.asarray(rng.uniform(-0.5, 0.5, a.shape), a.dtype), tree
    )


def with_weights(seed: int, make: Callable[..., Any]) -> Any:
    """A module of nnx that is made with random weights, without those of its own."""
    module = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
    weights = nnx.to_pure_dict(nnx.state(module, nnx.Param))
    nnx.update(module, drawn(seed, weights))
    return module


def sizes(case: Any) -> list[int]:
    """The features of the inputs of each layer."""
    wide = case.hidden_size * (1 + case.bidirectional)
    return [case.input_size] + [wide] * (case.num_layers - 1)


def listed(found: Any) -> list[Any]:
    """The layers of what a `to_X` gives."""
    return found if isinstance(found, list) else [found]


def one_or_list(layers: list[Any]) -> Any:
    """The inverse of `listed`."""
    return layers[0] if len(layers) == 1 else layers


def derived(
    run: Callable[..., Outputs], weights: Any, xs: Any, cotangents: Outputs, *rest: Any
) -> Derived:
    """By JAX, of weights that are a list of layers."""

    @jax.jit
    def derive(weights: Any, xs: Any, cotangents: Outputs, *rest: Any) -> Any:
        outputs, pullback = jax.vjp(lambda w, x: run(w, x, *rest), weights, xs)
        return outputs, *pullback(cotangents)

    outputs, d_weights, d_xs = derive(weights, xs, cotangents, *rest)
    return Derived(outputs, one_or_list(d_weights), d_xs)


def flat(found: Any) -> list[tuple[Any, ...]]:
    """For each layer its directions, of what a `to_X` gives."""
    return [d if isinstance(d, tuple) else (d,) for d in listed(found)]
