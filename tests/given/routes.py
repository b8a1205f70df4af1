"""A row for each framework: weights in by `to_X`, its own runtime, weights out again.

What is added here enters every test of `tests/parity/frameworks/test_from_to.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import parity
from parity.arrays import numpy_of, tensor_of
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


def _sizes(case: Any) -> list[int]:
    """The features of the inputs of each layer."""
    wide = case.hidden_size * (1 + case.bidirectional)
    return [case.input_size] + [wide] * (case.num_layers - 1)


# Flax.


def _flax(api: Any, cell: Any) -> Route:
    return Route(
        name=f"{api} {cell}",
        target="flax",
        library=Library("flax"),
        write=partial(parity.to_flax, api=api, cell=cell),
        read=parity.from_flax,
        own=partial(_own_nnx if api == "nnx" else _own_linen, cell),
        derive=_derive_nnx if api == "nnx" else _derive_linen,
    )


def listed(found: Any) -> list[Any]:
    """The layers of what a `to_X` gives."""
    return found if isinstance(found, list) else [found]


def one_or_list(layers: list[Any]) -> Any:
    """The inverse of `listed`."""
    return layers[0] if len(layers) == 1 else layers


def _flax_modules(library: Any, cells: list[list[Any]]) -> list[Any]:
    """An `RNN` or a `Bidirectional` of the cells of each layer."""
    layers = [[library.RNN(cell) for cell in row] for row in cells]
    return [r[0] if len(r) == 1 else library.Bidirectional(*r) for r in layers]


def _own_nnx(cell: str, seed: int, case: Any) -> Any:
    make = partial(getattr(nnx, cell), hidden_features=case.hidden_size)
    cells = [
        [
            with_weights(seed + d, partial(make, inputs))
            for d in range(1 + case.bidirectional)
        ]
        for inputs in _sizes(case)
    ]
    return one_or_list(_flax_modules(nnx, cells))


def _own_linen(cell: str, seed: int, case: Any) -> Any:
    make: Any = getattr(flax.linen, cell)
    both, found = range(1 + case.bidirectional), []
    for k, inputs in enumerate(_sizes(case)):
        cells = [[make(case.hidden_size) for _ in both]]
        (module,) = _flax_modules(flax.linen, cells)
        xs, key = jnp.zeros((1, 2, inputs)), jax.random.key(0)
        variables = jax.eval_shape(module.init, key, xs)
        found.append((module, drawn(seed + k, variables)))
    return one_or_list(found)


def _run_flax(time_major: bool, calls: list[Callable[[Any], Any]], xs: Any) -> Outputs:
    """The layers one after the other; Flax's carry is `(c, h)`, a pair of two."""
    states, xs = [], xs if time_major else jnp.swapaxes(xs, 0, 1)
    for call in calls:
        carry, xs = call(xs)
        states += carry if isinstance(carry[0], tuple) else [carry]
    c, h = map(jnp.stack, zip(*states, strict=True))
    return Outputs(xs if time_major else jnp.swapaxes(xs, 0, 1), h, c)


def _derive_nnx(layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    layers = listed(layers)
    graphs, weights, rest = zip(
        *(nnx.split(layer, nnx.Param, ...) for layer in layers), strict=True
    )

    def run(weights: Any, xs: Any, rest: Any) -> Outputs:
        rest = jax.tree.map(jnp.asarray, rest)  # variables of this trace
        merged = map(nnx.merge, graphs, weights, rest)
        calls = [partial(layer, return_carry=True) for layer in merged]
        return _run_flax(layers[0].time_major, calls, xs)

    return _derived(run, list(weights), xs, cotangents, rest)


def _derive_linen(layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    modules, variables = zip(*listed(layers), strict=True)

    def run(weights: Any, xs: Any) -> Outputs:
        calls = [
            partial(module.apply, weight, return_carry=True)
            for module, weight in zip(modules, weights, strict=True)
        ]
        return _run_flax(modules[0].time_major, calls, xs)

    return _derived(run, list(variables), xs, cotangents)


def _derived(
    run: Callable[..., Outputs], weights: Any, xs: Any, cotangents: Outputs, *rest: Any
) -> Derived:
    """By JAX, of weights that are a list of layers."""

    @jax.jit
    def derive(weights: Any, xs: Any, cotangents: Outputs, *rest: Any) -> Any:
        outputs, pullback = jax.vjp(lambda w, x: run(w, x, *rest), weights, xs)
        return outputs, *pullback(cotangents)

    outputs, d_weights, d_xs = derive(weights, xs, cotangents, *rest)
    return Derived(outputs, one_or_list(d_weights), d_xs)


# Torch.


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


ROUTES = [
    Route(
        name="torch",
        target="torch",
        library=Library("torch"),
        write=parity.to_torch,
        read=parity.from_torch,
        own=_own_torch,
        derive=_derive_torch,
        slow=False,
    ),
    *(
        _flax(api, cell)
        for api in ("nnx", "linen")
        for cell in ("OptimizedLSTMCell", "LSTMCell")
    ),
]
