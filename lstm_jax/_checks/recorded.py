"""What an agent has recorded: a flag and outputs for each step of each row."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_rollout(where: str, rollout: Any) -> tuple[Any, Any, Any, Any]:
    """A rollout whose arrays all have the steps and rows of `done`."""
    if not isinstance(rollout, (tuple, list)) or len(rollout) != 4:
        raise TypeError(
            f"{where}: rollout must be (carry, xs, done, outputs), not "
            f"{type(rollout).__name__}: these are what was recorded. Use Rollout(...)."
        )
    carry, xs, done, outputs = rollout
    done = np.asarray(done)
    if done.ndim != 2:
        raise ValueError(
            f"{where}: {done.shape=} must be (T, B): a flag for each step of each "
            "row. Use done[:, None] for one row."
        )
    for name, tree in (("xs", xs), ("outputs", outputs)):
        for leaf in jax.tree.leaves(tree):
            _check_steps_and_rows(where, name, jnp.shape(leaf), done.shape)
    return carry, xs, jnp.asarray(done), outputs


def _check_steps_and_rows(where: str, name: str, found: tuple, done: tuple) -> None:
    if found[:2] != done:
        raise ValueError(
            f"{where}: {name}.shape={found} must begin with {done}, the shape of "
            "done: it has a value for each step of each row. Use arrays with time "
            "first, then rows."
        )


def check_same_shapes(where: str, name: str, outputs: Any, recorded: Any) -> None:
    """The outputs that were recorded, computed again."""
    found, expected = (jax.tree.map(jnp.shape, tree) for tree in (outputs, recorded))
    if found != expected:
        raise ValueError(
            f"{where}: the outputs of {name} have the shapes {found} and must have "
            f"{expected}: they are compared with the recorded ones. Give the same "
            "outputs, in the same order, with time first."
        )
