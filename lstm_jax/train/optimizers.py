"""The optimizer where none is given, clipping, and which parameters are trained."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import jax
import optax

Schedule = Callable[[Any], Any]


@lru_cache(maxsize=16)
def make_optimizer(rate: float | Schedule, steps: int | None) -> Any:
    """Adam, whose rate falls from `rate` to 0 along a cosine over the steps."""
    schedule = rate
    if not callable(rate):
        schedule = optax.cosine_decay_schedule(rate, steps or 1)
    static = ("b1", "b2", "eps", "eps_root", "nesterov")
    return optax.inject_hyperparams(optax.adam, static_args=static)(
        learning_rate=schedule
    )


@lru_cache(maxsize=16)
def clipped(optimizer: Any, clip: float | None) -> Any:
    """The optimizer behind a clip by the gradients' global norm."""
    if clip is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(clip), optimizer)


def rate_of(state: Any) -> float | None:
    """The rate of the last step, where the optimizer's state tells it."""
    leaves = jax.tree.leaves(state, is_leaf=_has_rate)
    rates = [s.hyperparams["learning_rate"] for s in leaves if _has_rate(s)]
    return float(rates[0]) if rates else None


def _has_rate(state: Any) -> bool:
    return "learning_rate" in getattr(state, "hyperparams", ())


def trained_names(
    trainable: str | Iterable[str] | None, names: Iterable[str]
) -> tuple[str, ...]:
    """The names that begin with one of the prefixes; all of them for None."""
    names = tuple(names)
    if trainable is None:
        return names
    prefixes = (trainable,) if isinstance(trainable, str) else tuple(trainable)
    unused = [p for p in prefixes if not any(n.startswith(p) for n in names)]
    if unused or not prefixes:
        raise ValueError(
            f"fit: trainable={trainable!r} must be beginnings of names of parameters: "
            f"{', '.join(names)}. Use trainable={names[-1].rpartition('.')[0]!r}, or "
            "None for all."
        )
    return tuple(name for name in names if name.startswith(prefixes))
