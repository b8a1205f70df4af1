"""Trainings that people write in place of torch's: what a parting is explained by.

Each row changes a recipe. It is a mistake only where the changed recipe is another one.
To add a mistake, add a row; where it needs a new field of `Recipe`, both
`sides/chains.py` and `sides/equations.py` must know it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from parity.training.recipe import Recipe

_EPSILONS = {1e-7: ", as in Keras", 1e-6: "", 1e-5: "", 1e-4: "", 1e-3: "", 0.0: ""}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A change of a recipe, and the sentence that names it.

    Attributes:
        name: For `--mistake`, tests and tables.
        says: What is wrong, then what torch does.
        change: The fields of the recipe that are other ones.
        when: Whether it can make a difference to a recipe.
        dtype: The type that it makes a difference in; empty for both.
    """

    name: str
    says: str
    change: dict[str, Any]
    when: Callable[[Recipe], Any] = lambda _: True
    dtype: str = ""

    def applies(self, recipe: Recipe, dtype: str) -> bool:
        """Whether it is another recipe, in this type."""
        changed = self.changed(recipe) != recipe
        return bool(self.when(recipe)) and changed and self.dtype in ("", dtype)

    def changed(self, recipe: Recipe) -> Recipe:
        """The recipe with the mistake."""
        return replace(recipe, **self.change)


def _adaptive(recipe: Recipe) -> bool:
    return recipe.adaptive


def _clips(recipe: Recipe) -> bool:
    return recipe.clip is not None


def _decays(recipe: Recipe) -> bool:
    return recipe.weight_decay > 0


def _decays_coupled(recipe: Recipe) -> bool:
    return _decays(recipe) and recipe.decay == "coupled"


def _decays_decoupled(recipe: Recipe) -> bool:
    return _decays(recipe) and recipe.decay == "decoupled"


def _has_momentum(recipe: Recipe) -> bool:
    return recipe.momentum > 0


MISTAKES = (
    *(
        Mistake(
            name=f"eps {eps:g}",
            says=f"The epsilon of Adam is {eps:g}{where}: torch's is 1e-08 here.",
            change={"eps": eps},
            when=_adaptive,
        )
        for eps, where in _EPSILONS.items()
    ),
    Mistake(
        name="eps inside",
        says="The epsilon of Adam stands inside the square root: torch adds it "
        "outside. Of optax's, give eps, and leave eps_root at 0.",
        change={"eps_place": "inside"},
        when=_adaptive,
    ),
    Mistake(
        name="no clipping",
        says="Nothing is clipped: there is no clip, or it stands after the optimizer, "
        "whose updates never reach the limit. Put the clip first in optax.chain.",
        change={"clipping": "none"},
        when=_clips,
    ),
    Mistake(
        name="clipping after",
        says="The clip stands after the momentum or Adam, before the rate: torch clips "
        "the gradients before them. Put the clip first in optax.chain.",
        change={"clipping": "after", "clip_eps": 0.0},
        when=_clips,
    ),
    Mistake(
        name="clipping updates",
        says="The clip stands after the optimizer and limits its updates: torch clips "
        "the gradients. Put the clip first in optax.chain.",
        change={"clipping": "updates", "clip_eps": 0.0},
        when=_clips,
    ),
    Mistake(
        name="clipping each",
        says="Each gradient is clipped by a norm of its own: torch takes the norm of "
        "all together.",
        change={"clipping": "each"},
        when=_clips,
    ),
    Mistake(
        name="clipping values",
        says="Each number of the gradients is clipped: torch clips their global norm.",
        change={"clipping": "value"},
        when=_clips,
    ),
    Mistake(
        name="optax's clip",
        says="Gradients are clipped by max_norm / norm, as optax.clip_by_global_norm "
        "does: torch divides by norm + 1e-6. Use lstm_jax.train.clip_grad_norm.",
        change={"clip_eps": 0.0},
        when=_clips,
    ),
    Mistake(
        name="decay decoupled",
        says="The weight decay is decoupled, as in AdamW: torch's SGD and Adam add it "
        "to the gradient. Put optax.add_decayed_weights before the optimizer.",
        change={"decay": "decoupled"},
        when=_decays_coupled,
    ),
    Mistake(
        name="decay coupled",
        says="The weight decay is added to the gradient, as in Adam: torch's AdamW "
        "takes it from the weights.",
        change={"decay": "coupled"},
        when=_decays_decoupled,
    ),
    Mistake(
        name="decay first",
        says="The weight decay is added before the gradients are clipped: torch adds "
        "it after.",
        change={"decay": "first"},
        when=lambda recipe: _decays_coupled(recipe) and _clips(recipe),
    ),
    Mistake(
        name="decay of weights",
        says="The biases do not decay: torch's weight_decay is of all parameters.",
        change={"decayed": "weights"},
        when=_decays,
    ),
    Mistake(
        name="no decay",
        says="There is no weight decay.",
        change={"decay": "none"},
        when=_decays,
    ),
    Mistake(
        name="decay 1e-4",
        says="The weight decay is 1e-4, optax's default of AdamW: torch's default is "
        "0.01.",
        change={"weight_decay": 1e-4},
        when=_decays_decoupled,
    ),
    Mistake(
        name="one bias",
        says="One bias of each layer is trained in place of two: torch trains bias_ih "
        "and bias_hh both, so that their sum moves twice as far.",
        change={"biases": 1},
    ),
    Mistake(
        name="momentum averaged",
        says="The momentum is an average of gradients, (1 - momentum) of each: torch's "
        "SGD adds them up. Use optax.trace, not optax.ema.",
        change={"averaged": True},
        when=_has_momentum,
    ),
    Mistake(
        name="no momentum",
        says="There is no momentum.",
        change={"momentum": 0.0},
        when=_has_momentum,
    ),
    Mistake(
        name="nesterov",
        says="The momentum is Nesterov's: torch's is so only with nesterov=True.",
        change={"nesterov": True},
        when=_has_momentum,
    ),
    Mistake(
        name="cosine",
        says="The rate falls along a cosine, as lstm_jax.train.fit has it without an "
        "optimizer: here torch's stays.",
        change={"schedule": "cosine"},
    ),
    Mistake(
        name="half the loss",
        says="The loss is half of the squared error, as optax.l2_loss is: torch's "
        "mse_loss has no factor.",
        change={"loss": 0.5},
    ),
    Mistake(
        name="float32 corrections",
        says="1 - b2**t is rounded to float32 after it has cancelled, as optax.adam "
        "does. Use lstm_jax.train.torch_optimizer.",
        change={"correction": "float32"},
        when=_adaptive,
        dtype="float32",
    ),
)


def pairs(recipe: Recipe, dtype: str) -> Iterator[Mistake]:
    """Two mistakes at once, where they change different fields of a recipe."""
    able = [mistake for mistake in MISTAKES if mistake.applies(recipe, dtype)]
    for one, other in combinations(able, 2):
        if not one.change.keys() & other.change.keys():
            yield Mistake(
                name=f"{one.name} and {other.name}",
                says=f"{one.says} And: {other.says}",
                change=one.change | other.change,
            )


def named(name: str) -> Mistake:
    """The mistake of this name.

    Raises:
        ValueError: If there is none.
    """
    found = [mistake for mistake in MISTAKES if mistake.name == name]
    if not found:
        names = ", ".join(mistake.name for mistake in MISTAKES)
        raise ValueError(
            f"train: --mistake {name!r} must be one of {names}: no other is known. Use "
            "--mistake 'one bias'."
        )
    return found[0]
