"""The three sides of a comparison: JAX, torch and the oracle, on the same bytes.

Each gives values by `(tensor, cotangents)`: outputs `ys`, `h_n`, `c_n` with cotangents
`""`, and gradients `d_xs`, `d_h0`, `d_c0`, `d_<parameter>` for each of `cases.SETS`.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import jax
import numpy as np

import lstm_jax
from parity import oracle, tolerance
from parity.cases import SETS, Cotangents, Problem

Array = np.ndarray
Key = tuple[str, str]
Run = Callable[..., Any]
OUTPUTS = ("ys", "h_n", "c_n")


def _gradients(
    d_params: dict[str, Any], d_xs: Any, d_state: tuple[Any, Any] | None
) -> Iterator[tuple[str, Any]]:
    """Gradients by name; a state of None has none."""
    yield "d_xs", d_xs
    yield from zip(("d_h0", "d_c0"), d_state or (), strict=d_state is not None)
    yield from ((f"d_{name}", gradient) for name, gradient in d_params.items())


def _by_key(
    outputs: tuple[Any, ...], gradients: list[dict[str, Any]]
) -> dict[Key, Array]:
    values = {
        (name, ""): np.asarray(a) for name, a in zip(OUTPUTS, outputs, strict=True)
    }
    for name, found in zip(SETS, gradients, strict=False):
        values |= {(tensor, name): np.asarray(a) for tensor, a in found.items()}
    return values


def of_jax(
    run: Run, problem: Problem, *, precision: str = "highest", device: Any = None
) -> dict[Key, Array]:
    """What `run(params, xs, state)` gives under `jit`, with reverse-mode gradients.

    Where the outputs have other shapes or types than an LSTM's, they come without
    gradients.
    """
    arrays = problem.params, problem.xs, problem.state
    with _settings(problem, precision, device):
        shapes = jax.eval_shape(partial(_call, run), *arrays)
        pairs = zip(shapes, problem.cotangents, strict=True)
        if any((a.shape, a.dtype) != (b.shape[1:], b.dtype) for a, b in pairs):
            return _by_key(_outputs(run, *arrays), [])
        outputs, found = _values(run, *arrays, problem.cotangents)
        named = dict(_gradients(*found))
        sets = [{name: a[k] for name, a in named.items()} for k in range(len(SETS))]
        return _by_key(outputs, sets)


def outputs_of_jax(
    run: Run, problem: Problem, change: Callable[..., Any]
) -> dict[Key, Array]:
    """The outputs alone, with changed weights: one program for all changes."""
    with _settings(problem, "highest", None):
        params = change(problem.params, lstm_jax.spec_of(problem.params))
        return _by_key(_outputs(run, params, problem.xs, problem.state), [])


@contextmanager
def _settings(problem: Problem, precision: str, device: Any) -> Iterator[None]:
    wide = problem.xs.dtype == np.float64
    with (
        jax.enable_x64(wide or jax.config.read("jax_enable_x64")),
        jax.default_matmul_precision(precision),
        jax.default_device(device),
    ):
        yield


def _call(run: Run, params: Any, xs: Any, state: Any) -> Cotangents:
    found = run(params, xs, state)
    if not _is_pair(found) or not _is_pair(found[1]):
        raise TypeError(
            f"check: run must return (ys, (h, c)), not {_kind(found)}: outputs and the "
            "state after are compared. Return both."
        )
    ys, (h, c) = found
    return Cotangents(ys, h, c)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_kind, value))})"
    return "an array" if hasattr(value, "shape") else type(value).__name__


_outputs = jax.jit(_call, static_argnums=0)


@partial(jax.jit, static_argnums=0)
def _values(
    run: Run, params: Any, xs: Any, state: Any, cotangents: Cotangents
) -> tuple[Any, Any]:
    """Outputs, and the gradients of each set of cotangents, one plain pullback each."""
    outputs, pullback = jax.vjp(partial(_call, run), params, xs, state)
    return outputs, jax.lax.map(pullback, cotangents)


def of_torch(problem: Problem) -> dict[Key, Array] | None:
    """What `torch.nn.LSTM` gives; None where there is no torch or it refuses."""
    if 0 in problem.xs.shape[:-1] or not has_torch():
        return None
    import torch

    from parity.convert.torch import lstm_of, tensor_of

    axes = problem.xs.ndim - 2
    module = lstm_of({name: tensor_of(a) for name, a in problem.params.items()})

    def leaf(array: Array) -> Any:
        return tensor_of(_flatten_batch(array, axes)).requires_grad_()

    xs = leaf(problem.xs)
    state = None if problem.state is None else tuple(map(leaf, problem.state))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported")
        ys, (h, c) = module(xs, state)
    inputs = dict(_gradients(dict(module.named_parameters()), xs, state))
    shapes = dict(_gradients(problem.params, problem.xs, problem.state))
    sets = []
    for k in range(len(SETS)):
        weights = [leaf(a[k]).detach() for a in problem.cotangents]
        found = torch.autograd.grad(
            (ys, h, c), list(inputs.values()), weights, retain_graph=True
        )
        sets.append(
            {
                name: gradient.numpy().reshape(shapes[name].shape)
                for name, gradient in zip(inputs, found, strict=True)
            }
        )
    outputs = [
        a.detach().numpy().reshape(b.shape[1:])
        for a, b in zip((ys, h, c), problem.cotangents, strict=True)
    ]
    return _by_key(tuple(outputs), sets)


def has_torch() -> bool:
    """Whether torch can be imported."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def _flatten_batch(array: Array, axes: int) -> Array:
    """`(X, *B, F)` with that many batch axes as `(X, B, F)`."""
    batch = array.shape[1 : 1 + axes]
    return array.reshape(array.shape[0], prod(batch), array.shape[-1])


def of_oracle(problem: Problem) -> dict[Key, tolerance.Exact]:
    """The exact values and their noise, from one run of the oracle with noisy twins."""
    dtype, batch = problem.xs.dtype, problem.xs.shape[1:-1]
    wide = np.longdouble if dtype == np.float64 else np.float64
    runs, axes = 1 + tolerance.NOISE_RUNS, len(batch)

    def repeat(array: Array) -> Array:
        """`(X, *B, F)` as `(X, N, B, F)`, a copy for each run."""
        flat = _flatten_batch(array.astype(wide), axes)[:, None]
        return np.broadcast_to(flat, (flat.shape[0], runs, *flat.shape[2:]))

    def repeat_sets(array: Array) -> Array:
        """`(sets, X, *B, F)` as `(X, sets, N, B, F)`."""
        return np.stack([repeat(one) for one in array], axis=1)

    def timed(array: Array, steps: bool) -> tolerance.Exact:
        shaped = array.reshape(*array.shape[:2], *batch, array.shape[-1])
        return tolerance.from_runs(shaped if steps else shaped.swapaxes(0, 1), steps)

    state = problem.state or _zero_state(problem)
    result = oracle.forward(
        {name: a.astype(wide) for name, a in problem.params.items()},
        repeat(problem.xs),
        *map(repeat, state),
        rounding=_Noise(tolerance.eps_of(dtype.name), runs),
    )
    found = oracle.backward(result, *map(repeat_sets, problem.cotangents))
    outputs = zip(OUTPUTS, (result.ys, result.h, result.c), strict=True)
    values = {(name, ""): timed(a, name == "ys") for name, a in outputs}
    for k, label in enumerate(SETS):
        values["d_xs", label] = timed(found.xs[:, k], steps=True)
        if problem.state is not None:
            values["d_h0", label] = timed(found.h[:, k], steps=False)
            values["d_c0", label] = timed(found.c[:, k], steps=False)
        for name in problem.params:
            gradient = found.params[name][k]
            values[f"d_{name}", label] = tolerance.from_runs(gradient, steps=False)
    return values


def _zero_state(problem: Problem) -> tuple[Array, Array]:
    """Zeros shaped as the cotangents of the state after, which are of its shape."""
    return np.zeros_like(problem.cotangents.h[0]), np.zeros_like(
        problem.cotangents.c[0]
    )


class _Noise:
    """Rounding for `oracle.forward`: the first of the runs exact, the others noisy."""

    def __init__(self, eps: float, runs: int) -> None:
        self.rng = np.random.default_rng(0)
        self.eps = np.full((runs, 1, 1), eps)
        self.eps[0] = 0

    def __call__(self, array: Array) -> Array:
        if array.ndim < 3:  # a bias has no axis of runs yet
            array = np.broadcast_to(array, (len(self.eps), 1, array.size))
        u = self.rng.random(array.shape, dtype=np.float32) * 2 - 1
        return array * (1 + self.eps.astype(array.dtype) * u)
