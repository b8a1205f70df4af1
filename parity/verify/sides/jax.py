"""The side of JAX: `lstm_jax.lstm`, or anyone's function of its signature."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from parity.judge.cases import SETS, Cotangents, Problem
from parity.judge.tensors import Array, Key, Primals, Run, by_key, by_name, primals_of

# What JAX is to run under, such as a precision: entered for each call.
Held = Callable[[], AbstractContextManager[Any]]
full_precision: Held = partial(jax.default_matmul_precision, "highest")


def of_jax(run: Run, problem: Problem, held: Held = full_precision) -> dict[Key, Array]:
    """What `run(params, xs, state)` gives under `jit`, with reverse-mode gradients.

    `lengths`, `resets` and `reset_state` are passed by name where the problem has them.
    Where the outputs do not have the shapes and types of an LSTM's, no gradients are
    taken.
    """
    primals, masks = primals_of(problem), _masks_by_name(problem)
    with held(), types_of(problem):
        shapes = jax.eval_shape(partial(_outputs_of_run, run), primals, masks)
        pairs = zip(shapes, problem.cotangents, strict=True)
        if any((a.shape, a.dtype) != (b.shape[1:], b.dtype) for a, b in pairs):
            return by_key(_only_outputs(run, primals, masks), [])
        outputs, found = _with_gradients(run, primals, masks, problem.cotangents)
        gradients = by_name(found)
        sets = [{name: a[k] for name, a in gradients.items()} for k in range(len(SETS))]
        return by_key(outputs, sets)


def outputs_of_jax(
    run: Run, problem: Problem, held: Held = full_precision
) -> dict[Key, Array]:
    """Only the outputs: XLA compiles another program when no gradient is asked for."""
    with held(), types_of(problem):
        return by_key(
            _only_outputs(run, primals_of(problem), _masks_by_name(problem)), []
        )


def eager_outputs_of_jax(run: Run, problem: Problem) -> dict[Key, Array]:
    """The outputs of a function that is not compiled as a whole.

    Only what it compiles itself is compiled, once for all functions that share it.
    """
    with full_precision(), types_of(problem):
        arrays = jax.tree.map(
            jnp.asarray, (primals_of(problem), _masks_by_name(problem))
        )
        return by_key(_outputs_of_run(run, *arrays), [])


def _masks_by_name(problem: Problem) -> dict[str, Array]:
    masks = {"lengths": problem.lengths, "resets": problem.resets}
    return {name: mask for name, mask in masks.items() if mask is not None}


@contextmanager
def types_of(problem: Problem) -> Iterator[None]:
    """Enable 64-bit types where the problem needs them."""
    wide = problem.xs.dtype == np.float64
    with jax.enable_x64(wide or jax.config.read("jax_enable_x64")):
        yield


def _outputs_of_run(run: Run, primals: Primals, masks: dict[str, Any]) -> Cotangents:
    """`ys`, `h` and `c` of a call of `run`, or an error if it returns anything else."""
    options = dict(masks)
    if primals.reset_state is not None:
        options["reset_state"] = primals.reset_state
    found = run(primals.params, primals.xs, primals.state, **options)
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


_only_outputs = jax.jit(_outputs_of_run, static_argnums=0)


@partial(jax.jit, static_argnums=0)
def _with_gradients(
    run: Run, primals: Primals, masks: dict[str, Any], cotangents: Cotangents
) -> tuple[Any, Primals]:
    """Outputs, and the gradients for each set of cotangents, by the same pullback."""
    outputs, pullback = jax.vjp(
        lambda given: _outputs_of_run(run, given, masks), primals
    )
    (gradients,) = jax.lax.map(pullback, cotangents)
    return outputs, gradients
