"""Haiku, Equinox, MLX and cuDNN."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

import lstm_jax
import parity
from parity.frameworks.framework import Derived, Library, Outputs
from parity.frameworks.registry import FRAMEWORKS
from tests.given.routes.route import (
    Route,
    derived,
    drawn,
    flat,
    listed,
    one_or_list,
    sizes,
)

# Cells of JAX, each direction by itself.


def _own_layers(make: Callable[[int, int], Any], seed: int, case: Any) -> Any:
    """A layer of each size, its directions as a pair."""
    both = range(1 + case.bidirectional)
    layers = [[make(seed + 9 * d, i) for d in both] for i in sizes(case)]
    return one_or_list([d[0] if len(d) == 1 else tuple(d) for d in layers])


def _derive_row(row: str, layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    """By the runtime of a row of `FRAMEWORKS`, whose weights these are."""
    framework = FRAMEWORKS[row]
    derive = framework.derive if framework.differentiate else jax.jit(framework.derive)
    outputs, d_weights, d_xs = derive(flat(layers), xs, cotangents)
    found = [d[0] if len(d) == 1 else d for d in d_weights]
    return Derived(outputs, one_or_list(found), d_xs)


def _own_haiku(seed: int, case: Any) -> Any:
    def make(seed: int, inputs: int) -> Any:
        hk: Any = import_module("haiku")

        def unroll(xs: Any) -> Any:
            core = hk.LSTM(case.hidden_size)
            return hk.dynamic_unroll(core, xs, core.initial_state(1))

        xs, key = jnp.zeros((2, 1, inputs)), jax.random.key(0)
        return drawn(seed, jax.eval_shape(hk.transform(unroll).init, key, xs))

    return _own_layers(make, seed, case)


def _own_equinox(seed: int, case: Any) -> Any:
    def make(seed: int, inputs: int) -> Any:
        eqx: Any = import_module("equinox")
        options: Any = {"use_bias": case.bias, "key": jax.random.key(0)}
        cell = eqx.nn.LSTMCell(inputs, case.hidden_size, **options)
        return drawn(seed, cell)

    return _own_layers(make, seed, case)


def _derive_equinox(layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    def one(cell: Any, xs: Any, reverse: bool) -> Any:
        @partial(jax.vmap, in_axes=1, out_axes=(1, 0, 0))
        def row(xs: Any) -> Any:
            def step(state: Any, x: Any) -> Any:
                state = cell(x, state)
                return state, state[0]

            zeros = jnp.zeros(cell.hidden_size)
            (h, c), ys = jax.lax.scan(step, (zeros, zeros), xs, reverse=reverse)
            return ys, h, c

        return row(xs)

    def run(layers: Any, xs: Any) -> Outputs:
        states: list[Any] = []
        for directions in flat(layers):
            found = [one(cell, xs, d == 1) for d, cell in enumerate(directions)]
            xs = jnp.concatenate([ys for ys, _, _ in found], axis=-1)
            states += [(h, c) for _, h, c in found]
        h, c = map(jnp.stack, zip(*states, strict=True))
        return Outputs(xs, h, c)

    return derived(run, listed(layers), xs, cotangents)


# MLX.


def _own_mlx(seed: int, case: Any) -> Any:
    def make(seed: int, inputs: int) -> Any:
        mx: Any = import_module("mlx.core")
        nn: Any = import_module("mlx.nn")
        mx.random.seed(seed)
        return nn.LSTM(inputs, case.hidden_size, bias=case.bias)

    return _own_layers(make, seed, case)


def _derive_mlx(layers: Any, xs: Any, cotangents: Outputs) -> Derived:
    """The modules themselves, called as a user would."""
    mx: Any = import_module("mlx.core")

    modules = [module for directions in flat(layers) for module in directions]

    def run(xs: Any, weights: Any) -> list[Any]:
        for module, fields in zip(modules, weights, strict=True):
            module.update(fields)
        rows, states = mx.swapaxes(xs, 0, 1), []
        for directions in flat(layers):
            h, c = directions[0](rows)
            ys = [h]
            states.append((h[:, -1], c[:, -1]))
            for module in directions[1:]:
                h, c = module(rows[:, ::-1])
                ys.append(h[:, ::-1])
                states.append((h[:, -1], c[:, -1]))
            rows = mx.concatenate(ys, axis=-1)
        h, c = map(mx.stack, zip(*states, strict=True))
        return [mx.swapaxes(rows, 0, 1), h, c]

    def weighted(xs: Any, weights: Any) -> Any:
        sums = zip(run(xs, weights), cotangents, strict=True)
        return sum((a * mx.array(np.asarray(b))).sum() for a, b in sums)

    inputs, before = mx.array(xs), [module.parameters() for module in modules]
    outputs = Outputs(*map(np.array, run(inputs, before)))
    d_xs, d_weights = mx.grad(weighted, argnums=(0, 1))(inputs, before)
    _ = run(inputs, before)  # the modules have their weights again
    each = iter(d_weights)
    found = [tuple(next(each) for _ in directions) for directions in flat(layers)]
    rows = one_or_list([d[0] if len(d) == 1 else d for d in found])
    return Derived(outputs, rows, np.array(d_xs))


# cuDNN.


def _cudnn(case: Any) -> dict[str, Any]:
    names = ("input_size", "hidden_size", "num_layers", "bidirectional")
    return {name: getattr(case, name) for name in names}


def _own_cudnn(seed: int, case: Any) -> Any:
    count = rnn.get_num_params_in_lstm(*_cudnn(case).values())
    rng = np.random.default_rng(seed)
    return SizedWeights(rng.uniform(-0.5, 0.5, count).astype(np.float32), _cudnn(case))


class SizedWeights(NamedTuple):
    """Flat weights and the sizes that they do not tell."""

    weights: Any
    sizes: dict[str, Any]


def _write_cudnn(source: Any) -> SizedWeights:
    params = source if isinstance(source, dict) else source.params()
    arguments = lstm_jax.spec_of(params).constructor_arguments()
    names = ("input_size", "hidden_size", "num_layers", "bidirectional")
    return SizedWeights(parity.to_cudnn(source), {n: arguments[n] for n in names})


def _read_cudnn(source: SizedWeights) -> Any:
    return parity.from_cudnn(source.weights, **source.sizes)


def _derive_cudnn(source: SizedWeights, xs: Any, cotangents: Outputs) -> Derived:
    """jax's own reference of the kernel."""
    *sizes, bidirectional = source.sizes.values()
    passes = sizes[2] * (1 + bidirectional)

    def run(weights: Any, xs: Any) -> Outputs:
        rows = jnp.swapaxes(xs, 0, 1)
        zeros = jnp.zeros((passes, len(rows), sizes[1]))
        lengths = jnp.full(len(rows), rows.shape[1])
        unpack: Any = rnn.unpack_lstm_weights
        parts = unpack(weights[0], *sizes, bidirectional)
        reference: Any = rnn.lstm_ref
        arrays = rows, zeros, zeros, *parts, lengths
        ys, h, c = reference(*arrays, *sizes, 0.0, bidirectional)
        return Outputs(jnp.swapaxes(ys, 0, 1), h, c)

    outputs, d_weights, d_xs = derived(
        run, [jnp.asarray(source.weights)], xs, cotangents
    )
    return Derived(outputs, SizedWeights(d_weights, source.sizes), d_xs)


OTHERS = [
    Route(
        name="haiku",
        target="haiku",
        library=FRAMEWORKS["haiku"].library,
        write=parity.to_haiku,
        read=parity.from_haiku,
        own=_own_haiku,
        derive=partial(_derive_row, "haiku"),
        added=1.0,
    ),
    Route(
        name="equinox",
        target="equinox",
        library=FRAMEWORKS["equinox"].library,
        write=parity.to_equinox,
        read=parity.from_equinox,
        own=_own_equinox,
        derive=_derive_equinox,
    ),
    Route(
        name="mlx",
        target="mlx",
        library=FRAMEWORKS["mlx"].library,
        write=parity.to_mlx,
        read=parity.from_mlx,
        own=_own_mlx,
        derive=_derive_mlx,
    ),
    Route(
        name="cudnn",
        target="cudnn",
        library=Library("jax"),
        write=_write_cudnn,
        read=_read_cudnn,
        own=_own_cudnn,
        derive=_derive_cudnn,
        slow=False,
    ),
]
