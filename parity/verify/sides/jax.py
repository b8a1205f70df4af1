"""The side of JAX: `lstm_jax.lstm`, or anyone's function of its signature."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import numpy as np

import lstm_jax
from parity.judge.cases import SETS, Cotangents, Problem
from parity.judge.tensors import Array, Inputs, Key, Run, by_key, inputs_of, named


def of_jax(
    run: Run, problem: Problem, *, precision: str = "highest", device: Any = None
) -> dict[Key, Array]:
    """What `run(params, xs, state)` gives under `jit`, with reverse-mode gradients.

    `lengths`, `resets` and `reset_state` are passed by name where the problem has them.
    Where the outputs have other shapes or types than an LSTM's, they come without
    gradients.
    """
    inputs, masks = inputs_of(problem), _masks(problem)
    with _settings(problem, precision, device):
        shapes = jax.eval_shape(partial(_call, run), inputs, masks)
        pairs = zip(shapes, problem.cotangents, strict=True)
        if any((a.shape, a.dtype) != (b.shape[1:], b.dtype) for a, b in pairs):
            return by_key(_outputs(run, inputs, masks), [])
        outputs, found = _values(run, inputs, masks, problem.cotangents)
        gradients = named(found)
        sets = [{name: a[k] for name, a in gradients.items()} for k in range(len(SETS))]
        return by_key(outputs, sets)


def outputs_of_jax(
    run: Run,
    problem: Problem,
    change: Callable[..., Any] | None = None,
    *,
    precision: str = "highest",
    device: Any = None,
) -> dict[Key, Array]:
    """The outputs alone, which another program may give; of changed weights, if asked.

    It is one program for all changes.
    """
    with _settings(problem, precision, device):
        inputs = inputs_of(problem)
        if change is not None:
            params = change(problem.params, lstm_jax.spec_of(problem.params))
            inputs = inputs._replace(params=params)
        return by_key(_outputs(run, inputs, _masks(problem)), [])


def _masks(problem: Problem) -> dict[str, Array]:
    masks = {"lengths": problem.lengths, "resets": problem.resets}
    return {name: mask for name, mask in masks.items() if mask is not None}


@contextmanager
def _settings(problem: Problem, precision: str, device: Any) -> Iterator[None]:
    wide = problem.xs.dtype == np.float64
    with (
        jax.enable_x64(wide or jax.config.read("jax_enable_x64")),
        jax.default_matmul_precision(precision),
        jax.default_device(device),
    ):
        yield


def _call(run: Run, inputs: Inputs, masks: dict[str, Any]) -> Cotangents:
    options = dict(masks)
    if inputs.reset_state is not None:
        options["reset_state"] = inputs.reset_state
    found = run(inputs.params, inputs.xs, inputs.state, **options)
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
    run: Run, inputs: Inputs, masks: dict[str, Any], cotangents: Cotangents
) -> tuple[Any, Inputs]:
    """Outputs, and the gradients of each set of cotangents, one plain pullback each."""
    outputs, pullback = jax.vjp(lambda given: _call(run, given, masks), inputs)
    (gradients,) = jax.lax.map(pullback, cotangents)
    return outputs, gradients
