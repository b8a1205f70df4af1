"""The side of JAX: an `LSTMModel` and a transformation of optax, as one trains here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax import LSTMModel
from parity.judge.tensors import Array
from parity.training.recipe import Recipe
from parity.training.sides.biases import merged, separate
from parity.training.work import Moment, Run, Work, run_of

# A loop of someone's own: `loop(params, xs, ys)` gives `(loss, params)` of each step.
Loop = Callable[..., Iterable[tuple[Any, Mapping[str, Any]]]]


def train(work: Work, optimizer: Any, dtype: str, recipe: Recipe) -> Run:
    """The steps of a transformation of optax.

    Args:
        work: The model and its batches.
        optimizer: The transformation.
        dtype: Of the weights.
        recipe: Its `biases` and its `loss`; the rest is in the transformation.
    """
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        params: Any = {name: a.astype(dtype) for name, a in work.params.items()}
        params = params if recipe.biases == 2 else merged(params)
        step, state = _step(work, optimizer, recipe), optimizer.init(params)
        moments = []
        for k in range(work.steps):
            batch = work.xs[k].astype(dtype), work.ys[k].astype(dtype)
            params, state, told = step(params, state, batch, work.key(k))
            loss, norm = map(float, told)
            moments.append(Moment(loss, norm, _whole(params, work)))
    return run_of(moments)


def _step(work: Work, optimizer: Any, recipe: Recipe) -> Any:
    """A step of training, compiled."""
    import optax

    @jax.jit
    def step(params: Any, state: Any, batch: Any, key: Any) -> Any:
        def objective(params: Any) -> Any:
            held = params if recipe.biases == 2 else _with_zeros(params)
            model = LSTMModel.from_params(held, dropout=work.dropout)
            predictions = model(batch[0], rngs=key if work.dropout else None)
            return recipe.loss * jnp.mean((predictions - batch[1]) ** 2)

        loss, grads = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(grads, state, params)
        told = loss, optax.tree.norm(grads)
        return optax.apply_updates(params, updates), state, told

    return step


def _with_zeros(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a model whose one bias is `bias_ih`."""
    names = [name for name in params if "bias_ih" in name]
    return params | {n.replace("_ih_", "_hh_"): params[n] * 0 for n in names}


def run_loop(work: Work, loop: Loop, dtype: str) -> Run:
    """The steps of someone's own loop.

    Raises:
        ValueError: If it gives another number of steps, or other parameters.
        TypeError: If it gives something else.
    """
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        params = {name: a.astype(dtype) for name, a in work.params.items()}
        arrays = work.xs.astype(dtype), work.ys.astype(dtype)
        told = islice(_pairs(loop(params, *arrays)), work.steps + 1)
        moments = [Moment(loss, np.nan, _whole(held, work)) for loss, held in told]
    if len(moments) != work.steps:
        gave = len(moments) if len(moments) < work.steps else f"more than {work.steps}"
        raise ValueError(
            f"check_training: run gave {gave} steps, and must give "
            f"{work.steps}: one for each batch. Yield (loss, params) after each update."
        )
    return run_of(moments)


def _pairs(told: Any) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """What a loop tells of its steps, one after the other."""
    if not isinstance(told, Iterable):
        raise _other(told)
    for pair in told:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise _other(pair)
        loss, params = pair
        single = isinstance(loss, Real) or getattr(loss, "shape", None) == ()
        if not single or not isinstance(params, Mapping):
            raise _other(pair)
        yield float(loss), params


def _other(told: Any) -> TypeError:
    kind = type(told).__name__
    if isinstance(told, tuple):
        kind = f"({', '.join(type(one).__name__ for one in told)})"
    return TypeError(
        f"check_training: run must give (loss, params) of each step, not {kind}: a "
        "number, and a mapping of names to arrays. Yield (loss, params) after each "
        "update."
    )


def _whole(params: Mapping[str, Any], work: Work) -> dict[str, Array]:
    """The parameters as arrays; of one bias, see `separate`."""
    # Copies: the loop may go on in the same memory.
    arrays = {name: np.asarray(array).copy() for name, array in params.items()}
    return separate(arrays, work.params)
