"""Flax: `linen.RNN` and `nnx.RNN` over both of its cells, time first."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from parity.bench.peers.harness import Cell, built_of
from parity.bench.runner import Array, Build


def builder(api: str, kind: str) -> Build:
    """Programs of `linen` or `nnx` with a kind of cell."""
    make = {"linen": _linen, "nnx": _nnx}[api]
    return built_of(lambda work: make(kind, work.case.hidden_size))


def _zeros(xs: jax.Array, hidden: int) -> tuple[jax.Array, jax.Array]:
    """The state before, which neither makes of nothing under plain `jax.jit`."""
    zeros = jnp.zeros((xs.shape[1], hidden), xs.dtype)
    return zeros, zeros


def _apart(torch: dict[str, Array], inputs: str) -> dict[str, Any]:
    """Gates apart, as linen's cells and nnx's plain one keep them."""
    w_i, w_h, bias = (np.split(a, 4) for a in torch.values())
    tree = {}
    for k, gate in enumerate("ifgo"):
        tree[inputs.format(gate)] = {"kernel": w_i[k].T}
        tree[f"h{gate}"] = {"kernel": w_h[k].T, "bias": bias[k]}
    return tree


def _together(tree: Any, inputs: str) -> dict[str, Any]:
    """Torch's arrays of a tree with the gates apart."""

    def join(key: str, leaf: str) -> Any:
        return jnp.concatenate([tree[key.format(gate)][leaf].T for gate in "ifgo"])

    return {
        "weight_ih": join(inputs, "kernel"),
        "weight_hh": join("h{}", "kernel"),
        "bias": join("h{}", "bias"),
    }


def _linen(kind: str, hidden: int) -> Cell:
    cell = getattr(nn, kind)(hidden)

    def run(params: Any, xs: jax.Array, reverse: bool) -> Any:
        rnn = nn.RNN(cell, time_major=True, return_carry=True)
        (c, h), ys = rnn.apply(
            {"params": {"cell": params}},
            xs,
            initial_carry=_zeros(xs, hidden),
            reverse=reverse,
            keep_order=True,
        )
        return ys, h, c

    def step(params: Any, x: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
        carry, y = cell.apply({"params": params}, carry, x)
        return y, carry

    return Cell(
        weights=lambda torch, *_: _apart(torch, "i{}"),
        fields=lambda tree: _together(tree, "i{}"),
        run=run,
        step=step,
        carry=lambda rows, _: (jnp.zeros((rows, hidden)),) * 2,
    )


def _nnx(kind: str, hidden: int) -> Cell:
    optimized = kind == "OptimizedLSTMCell"

    def weights(torch: dict[str, Array], inputs: int, _: int) -> Any:
        cell = getattr(nnx, kind)(inputs, hidden, rngs=nnx.Rngs(0))
        # Its own stream of random numbers does not work under plain `jax.jit`.
        rnn = nnx.RNN(cell, time_major=True, return_carry=True, rngs=False)
        tree = _dense(torch) if optimized else _renamed(_apart(torch, "i{}"))
        return _Weights(tree, nnx.graphdef(rnn))

    def fields(weights: Any) -> dict[str, Any]:
        named = _of_dense if optimized else lambda t: _together(_named(t), "i{}")
        return named(weights.tree)

    def run(weights: Any, xs: jax.Array, reverse: bool) -> Any:
        (c, h), ys = weights.merged()(
            xs, initial_carry=_zeros(xs, hidden), reverse=reverse, keep_order=True
        )
        return ys, h, c

    def step(weights: Any, x: jax.Array, carry: Any) -> tuple[jax.Array, Any]:
        carry, y = weights.merged().cell(carry, x)
        return y, carry

    return Cell(
        weights=weights,
        fields=fields,
        run=run,
        step=step,
        carry=lambda rows, _: (jnp.zeros((rows, hidden)),) * 2,
    )


@partial(jax.tree_util.register_dataclass, data_fields=["tree"], meta_fields=["graph"])
@dataclass(frozen=True)
class _Weights:
    """The parameters of an nnx module, and what else makes it."""

    tree: dict[str, Any]
    graph: Any

    def merged(self) -> Any:
        return nnx.merge(self.graph, {"cell": self.tree})


def _dense(torch: dict[str, Array]) -> dict[str, Any]:
    weight_ih, weight_hh, bias = torch.values()
    return {
        "dense_i": {"kernel": weight_ih.T},
        "dense_h": {"kernel": weight_hh.T, "bias": bias},
    }


def _of_dense(tree: Any) -> dict[str, Any]:
    return {
        "weight_ih": tree["dense_i"]["kernel"].T,
        "weight_hh": tree["dense_h"]["kernel"].T,
        "bias": tree["dense_h"]["bias"],
    }


def _renamed(tree: dict[str, Any]) -> dict[str, Any]:
    """`if` is no name of an attribute: nnx calls it `if_`."""
    return {"if_" if key == "if" else key: value for key, value in tree.items()}


def _named(tree: dict[str, Any]) -> dict[str, Any]:
    return {"if" if key == "if_" else key: value for key, value in tree.items()}
