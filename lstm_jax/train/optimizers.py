"""Optimizers: the one where none is given, and torch's; which weights are trained."""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
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


def torch_optimizer(
    name: str,
    rate: float | Schedule,
    *,
    momentum: float = 0.0,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float | None = None,
    clip: float | None = None,
) -> optax.GradientTransformation:
    r"""An optimizer of `torch.optim`, as a transformation of optax.

    "sgd" and "adam" add the decay to the gradient, $g + \lambda \theta$; "adamw" takes
    it from the parameter, $\theta - \eta \lambda \theta$. With the moments $m_t$ and
    $v_t$ of the gradients, step $t$ of Adam gives

    $$
    \theta - \frac{\eta}{1 - \beta_1^t}
    \frac{m_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}
    $$

    Args:
        name: "sgd", "adam" or "adamw".
        rate: $\eta$, torch's `lr`, or a schedule of optax.
        momentum: Of "sgd", without dampening.
        b1: $\beta_1$ of "adam" and "adamw".
        b2: $\beta_2$, likewise.
        eps: $\epsilon$, likewise.
        weight_decay: $\lambda$; None means torch's default: 0.01 of "adamw", else 0.
        clip: The largest global norm of the gradients, see `clip_grad_norm`; None means
            any.

    Returns:
        A transformation for `fit(..., optimizer=..., clip=None)`, or any loop.

    Raises:
        ValueError: If the name is unknown, a number is out of range, or an option is
            another optimizer's.

    Example:
        >>> adam = torch_optimizer("adam", 0.1)
        >>> state = adam.init(jnp.array([1.0]))
        >>> updates, state = adam.update(jnp.array([3.0]), state)
        >>> round(float(updates[0]), 6)  # the first step of Adam is the rate long
        -0.1

    References:
        `torch.optim.SGD`, `Adam` and `AdamW` of torch 2. `optax.adamw` has another
        default decay, 1e-4. In float32 `optax.adam` computes $1 - \beta_2^t$ from the
        rounded power, with up to 3e-5 of it lost; here it is right to a rounding.
    """
    where = "torch_optimizer"
    for option, value, usual, end in (
        ("momentum", momentum, 0.0, math.inf),
        ("b1", b1, 0.9, 1.0),
        ("b2", b2, 0.999, 1.0),
        ("eps", eps, 1e-8, math.inf),
    ):
        _check_below(where, option, value, usual, end)
        if (name == "sgd") != (option == "momentum") and value != usual:
            raise ValueError(
                f"torch_optimizer: {option}={value!r} must not come with {name=}: "
                "torch's takes none. Leave it out."
            )
    torchs = 0.01 if name == "adamw" else 0.0
    decay = torchs if weight_decay is None else weight_decay
    _check_below(where, "weight_decay", decay, 0.0)
    added = [optax.add_decayed_weights(decay)] if decay else []
    scaled = _scale_by_adam(b1, b2, eps)
    chains = {
        "sgd": [*added, *([optax.trace(momentum)] if momentum else [])],
        "adam": [*added, scaled],
        "adamw": [scaled, *added],
    }
    if name not in chains:
        raise ValueError(
            f"torch_optimizer: {name=} must be one of sgd, adam, adamw: no other is "
            "written here. Use name='adam', or an optimizer of optax."
        )
    clips = [] if clip is None else [clip_grad_norm(clip)]
    return optax.chain(*clips, *chains[name], optax.scale_by_learning_rate(rate))


def clip_grad_norm(max_norm: float, eps: float = 1e-6) -> optax.GradientTransformation:
    r"""`torch.nn.utils.clip_grad_norm_`, as a transformation of optax.

    With the norm $n$ of all gradients together, each is multiplied by
    $\min(1, c / (n + \epsilon))$.

    Args:
        max_norm: $c$, the largest norm.
        eps: $\epsilon$, which torch adds to the norm.

    Raises:
        ValueError: If a number is below 0.

    Example:
        >>> clip = clip_grad_norm(1.0)
        >>> grads = jnp.array([30.0, 40.0])
        >>> clipped, _ = clip.update(grads, clip.init(grads))
        >>> [round(float(g), 5) for g in clipped]
        [0.6, 0.8]

    References:
        `optax.clip_by_global_norm` adds nothing to the norm: a difference of 1e-6 of
        each gradient that is clipped.
    """
    _check_below("clip_grad_norm", "max_norm", max_norm, 1.0)
    _check_below("clip_grad_norm", "eps", eps, 1e-6)

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        factor = jnp.minimum(1, max_norm / (optax.tree.norm(grads) + eps))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), grads), state

    made: Any = optax.GradientTransformation
    return made(lambda _: optax.EmptyState(), update)


def _scale_by_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """`optax.scale_by_adam`, but for two roundings of float32 that do not average out.

    The rounded b1 and 1 - b1 do not add up to 1, and the bias corrections cancel.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        zeros = optax.tree.zeros_like
        return optax.ScaleByAdamState(
            jnp.zeros([], jnp.int32), zeros(params), zeros(params)
        )

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        count = optax.safe_increment(state.count)
        mu = _moved(state.mu, grads, 1 - b1)
        nu = optax.tree.update_moment_per_elem_norm(grads, state.nu, b2, 2)
        first, second = _correction(b1, count), jnp.sqrt(_correction(b2, count))

        def scaled(m: Any, v: Any) -> Any:
            divisor = jnp.sqrt(v) / second.astype(v.dtype) + eps
            return m / first.astype(m.dtype) / divisor

        return jax.tree.map(scaled, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    made: Any = optax.GradientTransformation
    return made(init, update)


def _moved(before: Any, to: Any, share: float) -> Any:
    """A share of the way, as `torch.lerp`: both shares together are 1, to the bit."""
    way = jax.tree.map(jnp.subtract, to, before)
    if share < 0.5:
        return jax.tree.map(lambda a, d: a + share * d, before, way)
    return jax.tree.map(lambda a, d: a - (1 - share) * d, to, way)


def _correction(decay: float, count: Any) -> Any:
    """`1 - decay**count`, by the binary digits of the count: nothing cancels."""
    found = jnp.zeros([])
    for digit in range(31):
        power = decay ** (2**digit)  # in Python's float64
        longer = found + (1 - power) * (1 - found)
        found = jnp.where((count >> digit) & 1, longer, found)
    return found


def _check_below(
    where: str, name: str, value: float, usual: float, end: float = math.inf
) -> None:
    if not value >= 0 or (value >= end and end < math.inf):
        below = "" if end == math.inf else f", and below {end:g}"
        raise ValueError(
            f"{where}: {name}={value!r} must be 0 or more{below}. Use {name}={usual:g}."
        )
