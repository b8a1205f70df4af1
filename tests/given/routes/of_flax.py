"""Flax: `nnx` and `linen`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
from flax import nnx

import parity
from parity.frameworks.framework import Derived, Library, Outputs
from tests.given.routes.route import (
    Route,
    derived,
    drawn,
    listed,
    one_or_list,
    sizes,
    with_weights,
)


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
        for inputs in sizes(case)
    ]
    return one_or_list(_flax_modules(nnx, cells))


def _own_linen(cell: str, seed: int, case: Any) -> Any:
    make: Any = getattr(flax.linen, cell)
    both, found = range(1 + case.bidirectional), []
    for k, inputs in enumerate(sizes(case)):
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

    return derived(run, list(weights), xs, cotangents, rest)


def _derive_linen(layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    modules, variables = zip(*listed(layers), strict=True)

    def run(weights: Any, xs: Any) -> Outputs:
        calls = [
            partial(module.apply, weight, return_carry=True)
            for module, weight in zip(modules, weights, strict=True)
        ]
        return _run_flax(modules[0].time_major, calls, xs)

    return derived(run, list(variables), xs, cotangents)


FLAX = [
    *(
        _flax(api, cell)
        for api in ("nnx", "linen")
        for cell in ("OptimizedLSTMCell", "LSTMCell")
    ),
]
