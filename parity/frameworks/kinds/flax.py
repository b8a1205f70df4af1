"""Flax: the LSTM cells of `linen` and `nnx`, each in its `RNN`, time first."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
from flax import nnx

from lstm_jax import LayerParams
from parity.frameworks.cells import Cell
from parity.frameworks.layouts import GATES, LAYOUTS
from parity.frameworks.stacked import Stacked, from_layout, to_layout

FLAX = LAYOUTS["Flax"]
NNX_OPTIMIZED = LAYOUTS["Flax nnx OptimizedLSTMCell"]
# In nnx they are attributes, and none can be called `if`.
_TO_NNX, _FROM_NNX = {"if": "if_"}, {"if_": "if"}


def linen_cell(kind: str) -> Cell:
    """`linen.LSTMCell` or `linen.OptimizedLSTMCell`: both keep the gates apart."""
    return Cell(
        store=_apart,
        load=_together,
        run=partial(_run_linen, kind),
        step=partial(_step_linen, kind),
        start=lambda h, c: (c, h),
    )


def nnx_cell(kind: str) -> Cell:
    """`nnx.LSTMCell` or `nnx.OptimizedLSTMCell`."""
    optimized = kind == "OptimizedLSTMCell"
    return Cell(
        store=_dense if optimized else lambda params: _renamed(_apart(params), _TO_NNX),
        load=_of_dense
        if optimized
        else lambda tree: _together(_renamed(tree, _FROM_NNX)),
        run=partial(_run_nnx, kind),
        step=partial(_step_nnx, kind),
        start=lambda h, c: (c, h),
    )


def _apart(params: LayerParams) -> dict[str, Any]:
    """For each gate a kernel of the inputs, and a kernel and a bias of the state."""
    weight_ih, weight_hh, (bias,) = to_layout(params, FLAX)
    parts = (jnp.split(a, 4, axis=-1) for a in (weight_ih, weight_hh, bias))
    tree: dict[str, Any] = {}
    for gate, ih, hh, b in zip(GATES, *parts, strict=True):
        tree |= {f"i{gate}": {"kernel": ih}, f"h{gate}": {"kernel": hh, "bias": b}}
    return tree


def _together(tree: Any) -> LayerParams:
    def joined(side: str, leaf: str) -> Any:
        return jnp.concatenate([tree[side + gate][leaf] for gate in GATES], axis=-1)

    kernels = joined("i", "kernel"), joined("h", "kernel")
    return from_layout(Stacked(*kernels, (joined("h", "bias"),)), FLAX)


def _renamed(tree: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): leaves for name, leaves in tree.items()}


def _dense(params: LayerParams) -> dict[str, Any]:
    """One kernel of the inputs, one of the state, and the bias with the latter."""
    weight_ih, weight_hh, (bias,) = to_layout(params, NNX_OPTIMIZED)
    return {
        "dense_i": {"kernel": weight_ih},
        "dense_h": {"kernel": weight_hh, "bias": bias},
    }


def _of_dense(tree: Any) -> LayerParams:
    of_state = tree["dense_h"]
    kernels = tree["dense_i"]["kernel"], of_state["kernel"]
    return from_layout(Stacked(*kernels, (of_state["bias"],)), NNX_OPTIMIZED)


def _no_state(xs: jax.Array, hidden: int) -> tuple[jax.Array, jax.Array]:
    """The state of zeros, which neither `RNN` makes by itself under plain `jax.jit`."""
    zeros = jnp.zeros((xs.shape[1], hidden), xs.dtype)
    return zeros, zeros


def _run_linen(kind: str, tree: Any, xs: jax.Array, reverse: bool) -> Any:
    hidden = len(tree["hi"]["bias"])
    cell = getattr(flax.linen, kind)(hidden)
    rnn = flax.linen.RNN(cell, time_major=True, return_carry=True)
    (c, h), ys = rnn.apply(
        {"params": {"cell": tree}},
        xs,
        initial_carry=_no_state(xs, hidden),
        reverse=reverse,
        keep_order=True,
    )
    return ys, h, c


def _step_linen(kind: str, tree: Any, x: jax.Array, carry: Any) -> tuple[Any, Any]:
    cell = getattr(flax.linen, kind)(len(tree["hi"]["bias"]))
    carry, y = cell.apply({"params": tree}, carry, x)
    return y, carry


def _run_nnx(kind: str, tree: Any, xs: jax.Array, reverse: bool) -> Any:
    rnn = _merged(kind, tree, xs.shape[-1])
    carry = _no_state(xs, rnn.cell.hidden_features)
    (c, h), ys = rnn(xs, initial_carry=carry, reverse=reverse, keep_order=True)
    return ys, h, c


def _step_nnx(kind: str, tree: Any, x: jax.Array, carry: Any) -> tuple[Any, Any]:
    carry, y = _merged(kind, tree, x.shape[-1]).cell(carry, x)
    return y, carry


def _merged(kind: str, tree: Any, inputs: int) -> Any:
    """The module that has these weights."""
    bias = (tree.get("dense_h") or tree["hi"])["bias"]
    hidden = len(bias) // (4 if "dense_h" in tree else 1)
    return nnx.merge(_graph(kind, inputs, hidden), {"cell": tree})


@cache
def _graph(kind: str, inputs: int, hidden: int) -> Any:
    """What makes a module of its weights."""
    make: Callable[..., Any] = getattr(nnx, kind)
    with jax.ensure_compile_time_eval():
        cell = make(inputs, hidden, rngs=nnx.Rngs(0))
        # Its own stream of random numbers does not work under plain `jax.jit`.
        rnn = nnx.RNN(cell, time_major=True, return_carry=True, rngs=False)
        return nnx.graphdef(rnn)
