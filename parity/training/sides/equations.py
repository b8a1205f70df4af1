"""The optimizers written out in NumPy, with torch's gradients, in float64.

It shares no code with optax or `torch.optim`: what a known mistake does to a training
is computed here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from parity.judge.tensors import Array
from parity.training.recipe import Recipe
from parity.training.sides.biases import merged, separate
from parity.training.work import Moment

if TYPE_CHECKING:
    from parity.training.sides.torch import Trained

Arrays = dict[str, Array]
_TINY = 1e-300  # in place of a norm of zero


def train(trained: "Trained", recipe: Recipe, masks: str) -> Iterator[Moment]:
    """The steps of a recipe, one at a time.

    Args:
        trained: Torch's model in float64, for its gradients; what it holds is replaced.
        recipe: The recipe, which may have mistakes in it.
        masks: JAX's type of the masks of dropout.
    """
    work, optimizer = trained.work, Optimizer(recipe, trained.work.steps)
    params = {name: a.astype(np.float64) for name, a in work.params.items()}
    theta = params if recipe.biases == 2 else merged(params)
    for step in range(work.steps):
        loss, found = trained.gradients(step, masks, separate(theta, params))
        grads = {name: recipe.loss * found[name] for name in theta}
        norm = _norm(grads)
        theta = optimizer.stepped(theta, grads)
        yield Moment(recipe.loss * loss, norm, separate(theta, params))


@dataclass
class Optimizer:
    """A recipe with what it remembers: the number of the step, and the moments."""

    recipe: Recipe
    steps: int
    count: int = 0
    first: Arrays = field(default_factory=dict)
    second: Arrays = field(default_factory=dict)

    def stepped(self, theta: Arrays, grads: Arrays) -> Arrays:
        """The parameters after a step."""
        recipe = self.recipe
        self.count += 1
        decay = {name: _decay(recipe, name) * a for name, a in theta.items()}
        if recipe.decay == "first":
            grads = _added(grads, decay)
        if recipe.clipping not in ("after", "updates"):
            grads = _clipped(recipe, grads)
        if recipe.decay == "coupled":
            grads = _added(grads, decay)
        moves = self._adam(grads) if recipe.adaptive else self._momentum(grads)
        if recipe.clipping == "after":
            moves = _clipped(recipe, moves)
        if recipe.decay == "decoupled":
            moves = _added(moves, decay)
        moves = {name: self._rate() * a for name, a in moves.items()}
        if recipe.clipping == "updates":
            moves = _clipped(recipe, moves)
        return {name: a - moves[name] for name, a in theta.items()}

    def _momentum(self, grads: Arrays) -> Arrays:
        momentum = self.recipe.momentum
        share = 1 - momentum if self.recipe.averaged else 1.0
        zeros = dict.fromkeys(grads, np.zeros(()))
        before = self.first or zeros
        self.first = {n: momentum * before[n] + share * g for n, g in grads.items()}
        if self.recipe.nesterov:
            return {n: g + momentum * self.first[n] for n, g in grads.items()}
        return self.first

    def _adam(self, grads: Arrays) -> Arrays:
        b1, b2, eps = self.recipe.b1, self.recipe.b2, self.recipe.eps
        zeros = dict.fromkeys(grads, np.zeros(()))
        m, v = self.first or zeros, self.second or zeros
        self.first = {n: b1 * m[n] + (1 - b1) * g for n, g in grads.items()}
        self.second = {n: b2 * v[n] + (1 - b2) * g**2 for n, g in grads.items()}
        inside = eps if self.recipe.eps_place == "inside" else 0.0
        outside = eps - inside
        of_m, of_v = self._correction(b1), self._correction(b2)
        with np.errstate(invalid="ignore"):  # 0 / 0 where epsilon is rounded away
            return {
                n: self.first[n]
                / of_m
                / (np.sqrt(self.second[n] / of_v + inside) + outside)
                for n in grads
            }

    def _correction(self, decay: float) -> float:
        if self.recipe.correction == "float32":
            return _in_float32(decay, self.count)
        return 1 - decay**self.count

    def _rate(self) -> float:
        if self.recipe.schedule == "constant":
            return self.recipe.rate
        done = (self.count - 1) / self.steps
        return self.recipe.rate * (1 + np.cos(np.pi * done)) / 2


@lru_cache(maxsize=4096)
def _in_float32(decay: float, count: int) -> float:
    """`1 - decay**count` as optax computes it where float64 is not enabled."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(False):
        return float(jax.jit(lambda k: 1 - decay**k)(jnp.int32(count)))


def _decay(recipe: Recipe, name: str) -> float:
    spared = recipe.decay == "none" or (recipe.decayed == "weights" and "bias" in name)
    return 0.0 if spared else recipe.weight_decay


def _added(ones: Arrays, others: Arrays) -> Arrays:
    return {name: a + others[name] for name, a in ones.items()}


def _clipped(recipe: Recipe, grads: Arrays) -> Arrays:
    most, eps = recipe.clip, recipe.clip_eps
    if most is None or recipe.clipping == "none":
        return grads
    if recipe.clipping == "value":
        return {name: np.clip(g, -most, most) for name, g in grads.items()}
    norms = dict.fromkeys(grads, _norm(grads))
    if recipe.clipping == "each":
        norms = {name: _norm({name: g}) for name, g in grads.items()}
    return {
        n: g * min(1.0, most / max(norms[n] + eps, _TINY)) for n, g in grads.items()
    }


def _norm(grads: Arrays) -> float:
    return float(np.sqrt(sum((g**2).sum() for g in grads.values())))
