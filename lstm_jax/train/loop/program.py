"""A step of training, and one of evaluation, as compiled programs."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array

from lstm_jax.train.batch import Batch
from lstm_jax.train.loop.devices import ONE, Devices
from lstm_jax.train.losses import Sums, sum_losses

_MASKS = ("lengths", "deterministic", "rngs")


class Moving(NamedTuple):
    """What a step changes. Its buffers are used anew by the next step.

    Attributes:
        params: The parameters that are trained, under their names.
        optimizer: State of the optimizer.
        others: What else the model holds: statistics, streams of random keys.
        carry: State of the LSTM after the last batch; None where none is carried.
        step: Steps so far.
    """

    params: dict[str, Array]
    optimizer: Any
    others: Any
    carry: Any
    step: Array


@dataclass(frozen=True)
class Network:
    """The static half of a model: everything but its arrays."""

    graph: Any
    structure: Any
    names: tuple[str, ...]
    takes: tuple[str, ...]

    @property
    def text(self) -> str:
        """What tells models apart, the same in every process: it has no addresses."""
        return re.sub(r" at 0x[0-9a-f]+", "", repr(self.graph))

    def run(
        self,
        params: Mapping[str, Array],
        others: Any,
        carry: Any,
        batch: Batch,
        key: Any,
    ) -> tuple[Any, Any, Any]:
        """Predictions, what else the model holds after, and the carried state.

        Dropout acts where there is a key.
        """
        model = self.merge(params, others)
        masks = self._masks(model, batch, key)
        if carry is None:
            predictions, after = model(batch.xs, **masks), None
        else:
            carry = fresh(carry, batch.reset)
            predictions, after = model.with_state(batch.xs, carry, **masks)
        return predictions, nnx.split(model, nnx.Param, ...)[2], after

    def merge(self, params: Mapping[str, Array], others: Any) -> Any:
        """The model with these arrays."""
        leaves = [params[name] for name in self.names]
        state = jax.tree.unflatten(self.structure, leaves)
        others = jax.tree.map(lambda array: array, others)  # variables of this trace
        return nnx.merge(self.graph, state, others)

    def _masks(self, model: Any, batch: Batch, key: Any) -> dict[str, Any]:
        given = {"lengths": batch.lengths, "deterministic": key is None, "rngs": key}
        if "deterministic" not in self.takes:
            _ = model.eval() if key is None else model.train()
        if batch.lengths is not None and "lengths" not in self.takes:
            raise TypeError(
                "fit: model must take `lengths`: `data` has them. Add the argument to "
                "its __call__, or leave the lengths out."
            )
        return {name: given[name] for name in self.takes if given[name] is not None}


def split(model: nnx.Module) -> tuple[Network, dict[str, Array], Any]:
    """The static half of a model, copies of its parameters, and what else it holds."""
    if not isinstance(model, nnx.Module):
        kind = type(model).__name__
        raise TypeError(
            f"fit: model must be a flax.nnx.Module, not {kind}. Use an LSTMModel."
        )
    graph, state, others = nnx.split(model, nnx.Param, ...)
    paths, structure = jax.tree_util.tree_flatten_with_path(state)
    params = {_name(path): jnp.copy(leaf) for path, leaf in paths}
    known = inspect.signature(type(model).__call__).parameters
    takes = tuple(name for name in _MASKS if name in known)
    others = jax.tree.map(jnp.copy, others)
    return Network(graph, structure, tuple(params), takes), params, others


def _name(path: tuple[Any, ...]) -> str:
    keys = [str(getattr(k, "key", getattr(k, "name", k))) for k in path]
    return ".".join(key for key in keys if key != "value")


def fresh(carry: Any, reset: Any) -> Any:
    """The carried state, with zeros in the rows that begin anew."""
    return jax.tree.map(lambda s: jnp.where(reset[:, None], 0, s), carry)


@dataclass(frozen=True)
class Program:
    """What is compiled."""

    network: Network
    loss: Callable[..., Any]
    optimizer: Any


@lru_cache(maxsize=16)
def step_of(program: Program, devices: Devices = ONE) -> Any:
    """The step of training, `(moving, frozen, key, batch, asked) -> (moving, told)`.

    Told are the sums of the losses, and the largest number that a process asked by.
    """
    whole: Any = devices.sharding(None)
    rows = devices.sharding(1)
    weights = whole if devices.units == 1 else None  # the step says where they lie
    places = Moving(weights, weights, whole, rows, whole), whole  # type: ignore[arg-type]
    out: Any = {} if devices.mesh is None else {"out_shardings": places}
    return jax.jit(partial(_step, program, devices), donate_argnums=0, **out)


@lru_cache(maxsize=16)
def evaluation_of(
    network: Network, loss: Callable[..., Any], devices: Devices = ONE
) -> Any:
    """The losses of a batch, `(params, others, carry, batch) -> (sums, carry)`."""
    places = devices.sharding(None), devices.sharding(1)
    out: Any = {} if devices.mesh is None else {"out_shardings": places}
    return jax.jit(partial(_evaluate, network, loss), **out)


def _step(
    program: Program,
    devices: Devices,
    moving: Moving,
    frozen: dict[str, Array],
    key: Array,
    batch: Batch,
    asked: Array | None,
) -> tuple[Moving, tuple[Sums, Array | None]]:
    before, state, others, carry, step = moving
    key = jax.random.fold_in(key, step)

    def objective(params: dict[str, Array]) -> tuple[Array, Any]:
        run = program.network.run({**params, **frozen}, others, carry, batch, key)
        sums = sum_losses(program.loss, run[0], batch)
        return sums.mean(), (sums, *run[1:])

    gradients, (sums, others, carry) = jax.grad(objective, has_aux=True)(before)
    update = optax.with_extra_args_support(program.optimizer).update
    updates, state = update(gradients, state, before, value=sums.mean())
    params: Any = optax.apply_updates(before, updates)
    params, state = devices.kept_apart((params, state))
    told = sums, None if asked is None else asked.max()
    return Moving(params, state, others, carry, step + 1), told


def _evaluate(
    network: Network, loss: Any, params: Any, others: Any, carry: Any, batch: Batch
) -> tuple[Sums, Any]:
    predictions, _, carry = network.run(params, others, carry, batch, None)
    return sum_losses(loss, predictions, batch), carry
