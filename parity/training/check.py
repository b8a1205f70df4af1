"""Train a model in torch and in JAX, and compare every step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lstm_jax import LSTMModel
from parity.machine import need_torch
from parity.training.diagnose import Parted, advice, near_epsilon
from parity.training.judged import distances
from parity.training.own import own_of
from parity.training.recipe import Recipe, torch_recipe
from parity.training.report import TrainingReport
from parity.training.work import MODELS, STEPS, Run, Work, draw, named_model

DTYPES = ("float64", "float32")
MOST_STEPS, MOST_SEED = 100_000, 2**32 - 1
DRAWS = 50  # of the weights of a model with a name
Ours = Callable[[Work, str], Run]


def check_training(
    model: str | LSTMModel = "plain",
    *,
    run: Any = None,
    optimizer: str = "adam",
    rate: float = 0.01,
    momentum: float | None = None,
    b1: float | None = None,
    b2: float | None = None,
    eps: float | None = None,
    weight_decay: float | None = None,
    clip: float | None = None,
    dtype: str = "float64",
    steps: int = STEPS,
    seed: int = 0,
) -> TrainingReport:
    """Train a model in torch and in JAX from the same weights, and compare every step.

    Both see the same batches of 16 sequences in the same order; the loss is the mean of
    the squared errors of the last step's predictions. In torch it is `nn.LSTM`,
    `nn.Linear`, `clip_grad_norm_` and the optimizer of `torch.optim`.

    Args:
        model: Whose weights both begin with: an `LSTMModel`, or one of "plain",
            "bidirectional", "projected" and "dropout".
        run: What is compared with torch: a transformation of optax, which is to be the
            optimizer below with its decay and clip; or a function `run(params, xs, ys)`
            that trains on inputs `(S, B, T, I)` and targets `(S, B, O)`, and yields
            `(loss, params)` of each of the S steps: the loss before its update, the
            parameters after it. A layer of the params may have `bias_ih` alone. None
            means `lstm_jax.train.torch_optimizer`.
        optimizer: Torch's: "sgd", "adam" or "adamw".
        rate: Its `lr`.
        momentum: Of "sgd"; None means torch's default, here and below.
        b1: The first of `betas` of "adam" and "adamw".
        b2: The second.
        eps: Of "adam" and "adamw".
        weight_decay: Coupled for "sgd" and "adam", decoupled for "adamw".
        clip: The largest global norm of the gradients; None means any.
        dtype: "float64", where all must be within 1e-10; or "float32", where JAX may be
            twice as far from torch's float64 as torch's float32 is: as the worst of 5
            trainings that round otherwise, or of 40 where 5 would let it fail.
        steps: Steps of training.
        seed: Of the weights, the batches and the masks of dropout.

    Returns:
        A report. `ok` says whether all is within the budget; `parting` is the first
        step at which they part, and `mistakes` names the known mistakes that reproduce
        the numbers.

    Raises:
        ModuleNotFoundError: If torch, or the extra `train`, is not installed.
        ValueError: If an option is unknown, out of range or another optimizer's; the
            model has another head; a loop gives other steps or parameters; or torch's
            own roundings grow so large that no training can be judged.
        TypeError: If `model`, `run`, what it yields or an option is of another kind.

    Example:
        >>> import optax
        >>> chain = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01))
        >>> report = check_training(run=chain, optimizer="adam", clip=0.5, steps=20)
        >>> report.ok, report.mistakes  # torch divides by the norm + 1e-6
        (False, ["optax's clip"])
    """
    betas = {"momentum": momentum, "b1": b1, "b2": b2, "eps": eps, "clip": clip}
    recipe = torch_recipe(optimizer, rate, weight_decay=weight_decay, **betas)
    check_options(dtype, steps, seed)
    check_model(model)
    if run is not None and not callable(run) and not hasattr(run, "update"):
        raise TypeError(
            "check_training: run must be a transformation of optax or a function, not "
            f"{type(run).__name__}: it trains the model. Use "
            "run=lstm_jax.train.torch_optimizer('adam', 0.01)."
        )
    need_torch("check_training", "it trains beside JAX")
    if isinstance(model, str):
        work = conditioned(model, recipe, dtype, steps, seed)
    else:
        work = draw(model, steps, seed)
    if callable(run) and work.dropout:
        raise ValueError(
            "check_training: run must be a transformation of optax where the model has "
            "dropout: a function does not know its masks. Use dropout=0."
        )
    name = model if isinstance(model, str) else "model"
    title = f"{optimizer}, {name}, {dtype}"
    return compare(title, work, recipe, dtype, _ours(run, recipe))


def check_options(dtype: str, steps: int, seed: int) -> None:
    """Refuse a type, a number of steps or a seed that is not compared.

    Raises:
        ValueError: If one is out of range.
    """
    if dtype not in DTYPES:
        raise ValueError(
            f"check_training: {dtype=} must be float64 or float32: there is no budget "
            "for others. Use dtype='float32'."
        )
    for name, value, least, most, why, usual in (
        ("steps", steps, 1, MOST_STEPS, "the weights of every step are kept", STEPS),
        ("seed", seed, 0, MOST_SEED, "JAX and NumPy draw by it", 0),
    ):
        is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not is_whole or not least <= value <= most:
            raise ValueError(
                f"check_training: {name}={value!r} must be a whole number from {least} "
                f"to {most}: {why}. Use {name}={usual}."
            )


def check_model(model: Any) -> None:
    """Refuse a model that has no twin here.

    Raises:
        ValueError: If the name is unknown, or the head is another one.
        TypeError: If it is no model.
    """
    if isinstance(model, str):
        if model not in MODELS:
            raise ValueError(
                f"check_training: {model=} must be one of {', '.join(MODELS)}, or an "
                "LSTMModel: no other has a name. Use model='plain'."
            )
        return
    if not isinstance(model, LSTMModel):
        raise TypeError(
            "check_training: model must be an LSTMModel or a name, not "
            f"{type(model).__name__}: both sides begin with its weights. Use "
            "LSTMModel.from_params."
        )
    if model.outputs != "last" or model.activation or model.num_embeddings:
        raise ValueError(
            "check_training: model must predict from features by a linear layer on the "
            "last step, as its torch twin does. Use outputs='last', without activation "
            "and embedding."
        )


def _ours(run: Any, recipe: Recipe) -> Ours:
    """How JAX trains: by a transformation, or by a loop of someone's own."""
    from parity.training.sides import jax as side

    if callable(run) and not hasattr(run, "update"):
        loop: Any = run
        return lambda work, dtype: side.run_loop(work, loop, dtype)
    if run is not None:
        return lambda work, dtype: side.train(work, run, dtype, recipe)
    return ours_of(recipe)


def ours_of(recipe: Recipe) -> Ours:
    """How JAX trains by a recipe, which may have a mistake in it."""
    from parity.training.sides import jax as side
    from parity.training.sides.chains import chain_of

    return lambda work, dtype: side.train(
        work, chain_of(recipe, work.steps), dtype, recipe
    )


def compare(
    title: str, work: Work, recipe: Recipe, dtype: str, ours: Ours
) -> TrainingReport:
    """The report of a work, trained by torch by a recipe, and by ours."""
    own = own_of(work, recipe, dtype)
    run = ours(work, dtype)
    far = distances(run, own.exact)
    parting, mistakes, said = own.parting(far), [], []
    if parting is not None:
        mistakes, said = advice(Parted(work, recipe, dtype, run, far, own.budget))
    return TrainingReport(
        title=title,
        dtype=dtype,
        recipe=recipe,
        ours=run,
        exact=own.exact,
        torch=own.first,
        far=far,
        torch_far=distances(own.first, own.exact),
        budget=own.budget,
        parting=parting,
        mistakes=mistakes,
        advice=said,
    )


def conditioned(model: str, recipe: Recipe, dtype: str, steps: int, seed: int) -> Work:
    """The work of a model with a name, at the first of its draws that is well-posed.

    In float32 Adam needs gradients that are not near its epsilon, see `near_epsilon`.
    """
    for attempt in range(DRAWS):
        work = draw(named_model(model, DRAWS * seed + attempt), steps, seed)
        if not near_epsilon(work, recipe, dtype):
            return work
    raise ValueError(
        f"check_training: {seed=} must be another one: in {DRAWS} draws of weights a "
        f"gradient of the first step is near Adam's epsilon. Use seed={seed + 1}."
    )
