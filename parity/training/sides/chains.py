"""A recipe as a transformation of optax. Imported inside functions, needs optax."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lstm_jax import train
from parity.training.recipe import Recipe


def chain_of(recipe: Recipe, steps: int) -> Any:
    """The transformation that someone would write, rightly or wrongly."""
    if replace(recipe, biases=2, loss=1.0) == recipe.torchs:
        return _right(recipe)
    decay, clips = _decay(recipe), _clips(recipe)
    first = recipe.decay == "first"
    after, last = recipe.clipping == "after", recipe.clipping == "updates"
    coupled, decoupled = recipe.decay == "coupled", recipe.decay == "decoupled"
    parts = [
        *[decay] * first,
        *clips * (not (after or last)),
        *[decay] * coupled,
        *(_adam(recipe) if recipe.adaptive else _momentum(recipe)),
        *clips * after,
        *[decay] * decoupled,
        optax.scale_by_learning_rate(_rate(recipe, steps)),
        *clips * last,
    ]
    return optax.chain(*parts)


def _right(recipe: Recipe) -> Any:
    """Torch's optimizer."""
    own: dict[str, Any] = {"momentum": recipe.momentum}
    if recipe.adaptive:
        own = {"b1": recipe.b1, "b2": recipe.b2, "eps": recipe.eps}
    return train.torch_optimizer(
        recipe.optimizer,
        recipe.rate,
        weight_decay=recipe.weight_decay,
        clip=recipe.clip,
        **own,
    )


def _decay(recipe: Recipe) -> Any:
    if recipe.decayed == "all":
        return optax.add_decayed_weights(recipe.weight_decay)
    return optax.add_decayed_weights(recipe.weight_decay, mask=_weights)


def _weights(params: dict[str, Any]) -> dict[str, bool]:
    return {name: "bias" not in name for name in params}


def _clips(recipe: Recipe) -> list[Any]:
    if recipe.clip is None or recipe.clipping == "none":
        return []
    if recipe.clipping == "value":
        return [optax.clip(recipe.clip)]
    if not recipe.clip_eps:
        return [optax.clip_by_global_norm(recipe.clip)]
    by_norm: Any = train.clip_grad_norm(recipe.clip, recipe.clip_eps)
    if recipe.clipping != "each":
        return [by_norm]

    def each(grads: Any, params: Any) -> Any:
        del params
        return jax.tree.map(lambda g: by_norm.update(g, ())[0], grads)

    return [optax.stateless(each)]


def _momentum(recipe: Recipe) -> list[Any]:
    if not recipe.momentum:
        return []
    if recipe.averaged:
        return [optax.ema(recipe.momentum, debias=False)]
    return [optax.trace(recipe.momentum, nesterov=recipe.nesterov)]


def _adam(recipe: Recipe) -> list[Any]:
    b1, b2, eps = recipe.b1, recipe.b2, recipe.eps
    if recipe.eps_place == "inside":
        return [optax.scale_by_adam(b1, b2, 0.0, eps)]
    if recipe.correction == "float32":
        return [optax.scale_by_adam(b1, b2, eps)]
    adam = train.torch_optimizer("adam", 1.0, b1=b1, b2=b2, eps=eps)
    return [adam, optax.scale(-1.0)]


def _rate(recipe: Recipe, steps: int) -> Any:
    if recipe.schedule == "constant":
        return recipe.rate
    return lambda count: recipe.rate * (1 + jnp.cos(jnp.pi * count / steps)) / 2
