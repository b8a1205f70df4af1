"""`torch_optimizer` and `clip_grad_norm`: torch's own updates, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_jax.train import clip_grad_norm, torch_optimizer

SHAPES = {"weight": (4, 3), "bias": (4,)}
OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "weight_decay": 0.1},
    "adam": {"b1": 0.8, "b2": 0.95, "eps": 1e-6, "weight_decay": 0.1},
    "adamw": {},
}


def drawn(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}


def of_torch(torch: Any, name: str, steps: int) -> dict[str, np.ndarray]:
    """Parameters after steps of torch's optimizer, their gradients clipped at 1."""
    params = {n: torch.nn.Parameter(torch.tensor(a)) for n, a in drawn(0).items()}
    given = dict(OPTIONS[name])
    if "b1" in given:
        given["betas"] = given.pop("b1"), given.pop("b2")
    kinds = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
    optimizer = getattr(torch.optim, kinds[name])(params.values(), lr=0.1, **given)
    for step in range(steps):
        for n, gradient in drawn(step + 1).items():
            params[n].grad = torch.tensor(gradient)
        _ = torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        _ = optimizer.step()
    return {n: p.detach().numpy() for n, p in params.items()}


def of_optax(optimizer: Any, steps: int, dtype: str = "float64") -> dict[str, Any]:
    params: Any = {n: jnp.asarray(a, dtype) for n, a in drawn(0).items()}
    state = optimizer.init(params)
    for step in range(steps):
        grads = {n: jnp.asarray(a, dtype) for n, a in drawn(step + 1).items()}
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_are_torchs(name: str, torch: Any) -> None:
    optimizer = torch_optimizer(name, 0.1, clip=1.0, **OPTIONS[name])
    found, right = of_optax(optimizer, 20), of_torch(torch, name, 20)
    for key, array in right.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-13, atol=1e-14)


# Options at the limits of what torch takes.
EXTREMES: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "momentum 1": ("SGD", {"momentum": 1.0}, 0.1),
    "any norm": ("Adam", {"betas": (0.0, 0.999)}, float("inf")),
    "clip 0": ("AdamW", {"betas": (0.9, 0.0)}, 0.0),
    "eps 0": ("Adam", {"eps": 0.0, "weight_decay": 0.0}, None),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", EXTREMES)
def test_gradients_of_zero_and_without_number_do_as_in_torch(
    name: str, torch: Any
) -> None:
    """300 steps: an embedding whose rows are rarely read, a NaN, and an infinity."""
    kind, options, clip = EXTREMES[name]
    rng = np.random.default_rng(0)
    right = torch.nn.Parameter(torch.tensor(rng.standard_normal((5, 3))))
    theirs = getattr(torch.optim, kind)([right], lr=0.01, **options)
    given = dict(options)
    if "betas" in given:
        given["b1"], given["b2"] = given.pop("betas")
    ours = torch_optimizer(kind.lower(), 0.01, clip=clip, **given)
    params: Any = jnp.asarray(right.detach().numpy().copy())
    state, update = ours.init(params), jax.jit(ours.update)
    for step in range(300):
        gradient = np.zeros((5, 3))
        gradient[rng.integers(0, 4)] = rng.standard_normal(3)
        if clip is None and step in (100, 200):
            gradient[step // 100, 1] = np.nan if step == 100 else np.inf
        right.grad = torch.tensor(gradient)
        if clip is not None:
            _ = torch.nn.utils.clip_grad_norm_([right], clip)
        _ = theirs.step()
        updates, state = update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params, right.detach(), rtol=1e-11, atol=1e-13)
    assert np.isnan(params).any() == (name == "eps 0")


@pytest.mark.usefixtures("float64")
def test_optaxs_clip_is_not_torchs(torch: Any) -> None:
    """The control: what divides by the norm alone is seen."""
    clip = optax.clip_by_global_norm(1.0)
    chain = optax.chain(clip, torch_optimizer("adamw", 0.1))
    found, right = of_optax(chain, 20), of_torch(torch, "adamw", 20)
    far = max(np.abs(found[key] - right[key]).max() for key in right)
    assert far > 1e-9


def test_bias_corrections_do_not_cancel_in_float32() -> None:
    """Step by step, beside Python's float64; optax's own are 100 roundings away."""
    b2, ones = 0.999, {"a": jnp.ones(())}
    for optimizer, least, most in (
        (torch_optimizer("adam", 1.0, b1=0.0, b2=b2, eps=0.0), 0.0, 4e-7),
        (optax.adam(1.0, b1=0.0, b2=b2, eps=0.0), 5e-6, 1e-4),
    ):
        state, second, far = optimizer.init(ones), 0.0, 0.0
        for step in range(1, 6):
            gradient = float(step)
            updates: Any
            updates, state = optimizer.update({"a": jnp.float32(gradient)}, state)
            second = b2 * second + (1 - b2) * gradient**2
            right = gradient / np.sqrt(second / (1 - b2**step))
            far = max(far, abs(-float(updates["a"]) / right - 1))
        assert least <= far < most


def test_the_first_moment_rounds_to_both_sides_in_float32() -> None:
    """Over 1000 numbers: rounded b1 and 1 - b1 add up to 1, or all are too small."""
    grads = (3 + np.random.default_rng(0).standard_normal((60, 1000))).astype("f4")
    means: list[float] = []
    for optimizer in (
        torch_optimizer("adam", 1.0, b2=0.0, eps=0.0),
        optax.adam(1.0, b2=0.0, eps=0.0),
    ):
        state, first, updates = optimizer.init(jnp.ones(1000)), np.zeros(1000), None
        for gradient in grads:
            updates, state = optimizer.update(jnp.asarray(gradient), state)
            first = 0.9 * first + (1 - 0.9) * gradient.astype(float)
        right = -first / (1 - 0.9**60) / grads[-1].astype(float)
        means.append(abs(float(np.mean(np.asarray(updates) / right - 1))))
    assert means[0] < 1e-7 < means[1]


def test_a_schedule_sets_the_rate_of_each_step() -> None:
    optimizer = torch_optimizer("sgd", lambda count: 1.0 / (1 + count))
    state = optimizer.init(jnp.zeros(1))
    moves = []
    for _ in range(3):
        updates: Any
        updates, state = optimizer.update(jnp.ones(1), state)
        moves.append(round(float(updates[0]), 6))
    assert moves == [-1.0, -0.5, -0.333333]


def test_gradients_below_the_limit_stay_to_the_bit() -> None:
    clip = clip_grad_norm(10.0)
    grads = {n: jnp.asarray(a, jnp.float32) for n, a in drawn(3).items()}
    kept, _ = clip.update(grads, clip.init(grads))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), kept, grads))
    zeros = jax.tree.map(jnp.zeros_like, grads)
    still, _ = clip.update(zeros, clip.init(zeros))
    assert all(bool((a == 0).all()) for a in jax.tree.leaves(still))


OTHER = (
    "torch_optimizer: name='rmsprop' must be one of sgd, adam, adamw: no other is "
    "written here. Use name='adam', or an optimizer of optax."
)
REFUSED = [
    (
        lambda: torch_optimizer("rmsprop", 0.1),
        OTHER,
    ),
    (
        lambda: torch_optimizer("adam", 0.1, b2=1.0),
        "torch_optimizer: b2=1.0 must be 0 or more, and below 1. Use b2=0.999.",
    ),
    (
        lambda: torch_optimizer("adam", 0.1, momentum=0.9),
        (
            "torch_optimizer: momentum=0.9 must not come with name='adam': torch's "
            "takes none. Leave it out."
        ),
    ),
    (
        lambda: torch_optimizer("sgd", 0.1, b2=0.9),
        (
            "torch_optimizer: b2=0.9 must not come with name='sgd': torch's takes "
            "none. Leave it out."
        ),
    ),
    (
        lambda: torch_optimizer("sgd", 0.1, momentum=float("nan")),
        "torch_optimizer: momentum=nan must be 0 or more. Use momentum=0.",
    ),
    (
        lambda: torch_optimizer("adam", 0.1, weight_decay=-1.0),
        "torch_optimizer: weight_decay=-1.0 must be 0 or more. Use weight_decay=0.",
    ),
    (
        lambda: torch_optimizer("adam", 0.1, clip=-2.0),
        "clip_grad_norm: max_norm=-2.0 must be 0 or more. Use max_norm=1.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_is_refused(call: Any, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        _ = call()
    assert str(caught.value) == sentence
