"""Random inputs whose sizes are all different and odd, and what compares results.

Everything is drawn by NumPy in float64, so that both sides of a comparison get the same
numbers; tests use the fixture `float64`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import LayerParams, LSTMSpec, LSTMState, lstm, lstm_step

T, B, I, H, P = 7, 3, 5, 4, 2  # noqa: E741

# Two orders of the same float64 sums differ by some tens of roundings here; the mildest
# wrong equation differs by 1e12 of them.
ROUNDINGS = 1000


class Inputs(NamedTuple):
    """Arguments of `lstm`."""

    params: dict[str, Any]
    xs: Any
    state: LSTMState


def make_spec(**changes: Any) -> LSTMSpec:
    """A spec of the odd sizes."""
    return LSTMSpec(**{"input_size": I, "hidden_size": H, **changes})


def draw(shape: tuple[int, ...], seed: int = 0) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def make_params(spec: LSTMSpec, seed: int = 0) -> dict[str, Any]:
    """Random parameters, no two alike."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.standard_normal(shape) * 0.6 for name, shape in spec.shapes().items()
    }


def make_state(spec: LSTMSpec, batch: tuple[int, ...] = (B,), seed: int = 1) -> Any:
    """A random state."""
    rows = spec.num_layers * spec.num_directions
    rng: Any = np.random.default_rng(seed)
    return LSTMState(
        rng.standard_normal((rows, *batch, spec.output_size)),
        rng.standard_normal((rows, *batch, spec.hidden_size)),
    )


def make_inputs(
    spec: LSTMSpec | None = None, steps: int = T, batch: tuple[int, ...] = (B,)
) -> Inputs:
    """Random parameters, `(T, *B, I)` inputs and state."""
    spec = spec or make_spec()
    xs = draw((steps, *batch, spec.input_size), seed=2)
    return Inputs(make_params(spec), xs, make_state(spec, batch))


def like(tree: Any, seed: int = 3) -> Any:
    """Random float64 arrays of the shapes of a tree: tangents and cotangents."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: rng.standard_normal(a.shape), tree)


def cast(tree: Any, dtype: Any) -> Any:
    """A tree of arrays in another type."""
    return jax.tree.map(lambda a: jnp.asarray(a).astype(dtype), tree)


def value_and_gradients(inputs: Inputs, cotangents: Any = None, **options: Any) -> Any:
    """Outputs and state of `lstm`, and every gradient, for random cotangents.

    One program for each set of shapes and options, however often it is asked for.
    """
    arrays = {k: v for k, v in options.items() if hasattr(v, "shape")}
    static = tuple((k, v) for k, v in options.items() if k not in arrays)
    if cotangents is None:
        cotangents = like(jax.eval_shape(lambda i: lstm(*i, **options), inputs))
    return _value_and_gradients(static, arrays, inputs, cotangents)


@partial(jax.jit, static_argnums=0)
def _value_and_gradients(
    static: tuple, arrays: dict, inputs: Inputs, cotangents: Any
) -> Any:
    run = partial(lstm, **dict(static), **arrays)
    out, transpose = jax.vjp(lambda inputs: run(*inputs), inputs)
    return out, transpose(cotangents)[0]


def assert_near(actual: Any, expected: Any) -> None:
    """Trees of the same structure, shapes and types, equal but for float64 rounding."""
    pairs = jax.tree.map(lambda *pair: pair, actual, expected)
    for path, pair in jax.tree_util.tree_leaves_with_path(
        pairs, is_leaf=lambda node: type(node) is tuple and hasattr(node[0], "dtype")
    ):
        where, (a, e) = jax.tree_util.keystr(path), map(np.asarray, pair)
        assert (a.shape, a.dtype) == (e.shape, e.dtype), where
        assert a.dtype == np.float64, where
        bound = ROUNDINGS * np.finfo(a.dtype).eps * np.max(np.abs(e), initial=0)
        error = np.max(np.abs(a - e), initial=0)
        assert error <= bound, f"{where}: {error} > {bound}"


def assert_equal(actual: Any, expected: Any) -> None:
    """Trees of the same structure, shapes, types and bits (NaN equals NaN)."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(e))


def layer_of(params: dict[str, Any]) -> LayerParams:
    """The weights of the first layer's forward direction."""
    fields: Any = (params.get(f"{field}_l0") for field in LayerParams._fields)
    return LayerParams(*fields)


def plain_scan(params: dict, xs: Any, state: LSTMState) -> Any:
    """One layer by `lstm_step` alone, under `lstm`'s signature."""
    layer = layer_of(params)

    def step(state: LSTMState, x: Any) -> Any:
        state = lstm_step(layer, x, state)
        return state, state.h

    first = LSTMState(state.h[0], state.c[0])
    final, ys = jax.lax.scan(step, first, xs)
    return ys, LSTMState(final.h[None], final.c[None])


def needed_torch() -> Any:
    """Torch; the test that asks for it is skipped where there is none."""
    return pytest.importorskip("torch", reason="torch is not installed")


def torch_lstm(spec: LSTMSpec, params: dict[str, Any], **options: Any) -> Any:
    """`torch.nn.LSTM` in float64 with these parameters."""
    torch = needed_torch()
    sizes: Any = spec.constructor_arguments()
    module = torch.nn.LSTM(**sizes, dtype=torch.float64, **options)
    state_dict = {name: torch.tensor(array) for name, array in params.items()}
    assert list(module.load_state_dict(state_dict)) == [[], []]
    return module


def torch_value_and_gradients(
    spec: LSTMSpec, inputs: Inputs, cotangents: Any, **options: Any
) -> Any:
    """The same as `value_and_gradients`, by torch."""
    torch = needed_torch()
    module = torch_lstm(spec, inputs.params, **options)
    leaves = [torch.tensor(a, requires_grad=True) for a in (inputs.xs, *inputs.state)]
    ys, (h, c) = module(leaves[0], tuple(leaves[1:]))
    torch.autograd.backward([ys, h, c], [torch.tensor(a) for a in _flat(cotangents)])
    d_params = {name: p.grad.numpy() for name, p in module.named_parameters()}
    gradients: Any = (
        np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        for leaf in leaves
    )
    out = (ys.detach().numpy(), LSTMState(*(a.detach().numpy() for a in (h, c))))
    d_xs, *d_state = gradients
    return out, Inputs(d_params, d_xs, LSTMState(*d_state))


def _flat(cotangents: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(cotangents)]
