"""`check_training`: torch's training passes, and each known mistake is named."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx

from lstm_jax import LSTMModel, train
from parity import check_training

pytestmark = pytest.mark.usefixtures("unoptimised")

SMALL = {"input_size": 3, "hidden_size": 4, "output_size": 2}
STEPS = 12
SGD: dict[str, Any] = {"optimizer": "sgd", "rate": 0.05, "momentum": 0.9}
SGD |= {"weight_decay": 1e-3, "clip": 0.25}
ADAM: dict[str, Any] = {"optimizer": "adam", "weight_decay": 1e-3, "clip": 0.25}
ADAMW: dict[str, Any] = {"optimizer": "adamw", "clip": 0.25}


def small(**options: Any) -> LSTMModel:
    sizes: Any = SMALL | options
    return LSTMModel(**sizes, rngs=nnx.Rngs(0))


def checked(options: dict[str, Any], **others: Any) -> Any:
    return check_training(small(), steps=STEPS, **(options | others))


def of_torch(name: str, **options: Any) -> Any:
    return train.torch_optimizer(name, 0.01, **options)


@pytest.mark.parametrize("options", [SGD, ADAM, ADAMW], ids=["sgd", "adam", "adamw"])
def test_every_step_is_torchs_in_float64(options: dict[str, Any]) -> None:
    report = checked(options)
    assert report.ok
    assert report.verdict == "ok"
    assert max(report.far.loss.max(), report.far.worst.max()) < 1e-12
    assert 0 < report.clipped < STEPS or options is ADAMW
    assert report.messages()[0].startswith(f"ok: all {STEPS} steps are torch's; ")
    before = {name: np.asarray(a) for name, a in small().params().items()}
    moved = [np.abs(w[-1] - before[n]).max() for n, w in report.ours.weights.items()]
    assert min(moved) > 1e-4  # every tensor was trained


@pytest.mark.slow
def test_float32_is_as_near_as_torchs_own() -> None:
    """Of 200 steps: of a few, the last rounding of a loss is all that is compared."""
    report = check_training("plain", dtype="float32", **ADAM)
    assert report.ok
    assert 1e-8 < report.budget.weights < 2e-5


def chain(*parts: Any) -> Any:
    return optax.chain(*parts)


CLIP = train.clip_grad_norm(0.25)
DECAY = optax.add_decayed_weights(1e-3)
FAST = ADAM | {"rate": 0.05}  # its updates are longer than the limit
FAST_ADAM = train.torch_optimizer("adam", 0.05, weight_decay=1e-3)
QUICK = ("eps 1e-07", "clipping after", "decay coupled")
# What someone writes, by hand, in place of the optimizer; and what it is called.
WRONG = {
    "eps 1e-07": (ADAM, of_torch("adam", eps=1e-7, weight_decay=1e-3, clip=0.25)),
    "eps 1e-05": (ADAMW, of_torch("adamw", eps=1e-5, clip=0.25)),
    "eps inside": (
        ADAMW,
        chain(CLIP, optax.adamw(0.01, 0.9, 0.999, 0, 1e-8, weight_decay=0.01)),
    ),
    "clipping after": (
        SGD,
        chain(
            DECAY, optax.trace(0.9), optax.clip_by_global_norm(0.25), optax.scale(-0.05)
        ),
    ),
    "clipping updates": (
        FAST,
        chain(FAST_ADAM, optax.clip_by_global_norm(0.25)),
    ),
    "no clipping": (FAST, FAST_ADAM),
    "optax's clip": (
        ADAM,
        chain(optax.clip_by_global_norm(0.25), of_torch("adam", weight_decay=1e-3)),
    ),
    "decay coupled": (ADAMW, of_torch("adam", weight_decay=0.01, clip=0.25)),
    "decay decoupled": (ADAM, of_torch("adamw", weight_decay=1e-3, clip=0.25)),
    "decay first": (SGD, chain(DECAY, CLIP, optax.sgd(0.05, momentum=0.9))),
    "decay 1e-4": (ADAMW, chain(CLIP, optax.adamw(0.01))),
    "momentum averaged": (
        SGD,
        chain(CLIP, DECAY, optax.ema(0.9, debias=False), optax.scale(-0.05)),
    ),
    "nesterov": (SGD, chain(CLIP, DECAY, optax.sgd(0.05, momentum=0.9, nesterov=True))),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in WRONG
    ],
)
def test_a_wrong_optimizer_fails_and_is_named(name: str) -> None:
    options, run = WRONG[name]
    report = checked(options, run=run)
    assert not report.ok
    assert report.mistakes == [name]
    assert report.parting.tensor in report.far.tensors


@pytest.mark.slow
def test_optaxs_adam_in_float32_is_named() -> None:
    """Its bias corrections cancel: it is further than torch's own float32."""
    run = chain(CLIP, DECAY, optax.adam(0.01))
    options: Any = {"dtype": "float32", "steps": 40}
    report = check_training("plain", run=run, **(ADAM | options))
    assert report.mistakes == ["float32 corrections"]


@pytest.mark.slow
def test_two_mistakes_at_once_are_named() -> None:
    run = chain(optax.clip_by_global_norm(0.25), optax.adamw(0.01))
    assert checked(ADAMW, run=run).mistakes == ["optax's clip and decay 1e-4"]


@pytest.mark.slow
def test_what_no_known_mistake_explains_says_so() -> None:
    report = checked(SGD, run=optax.sgd(0.05123, momentum=0.9))
    assert report.mistakes == []
    assert report.advice[0].endswith(" known mistakes, nor two, reproduce it.")


def loop_of(optimizer: Any, *, factor: float = 1.0, one_bias: bool = False) -> Any:
    """Someone's own training: the step of a user, one bias where it is asked for."""

    def predict(params: Any, xs: Any) -> Any:
        zeros = {"lstm.bias_hh_l0": jnp.zeros_like(params["lstm.bias_ih_l0"])}
        return LSTMModel.from_params({**zeros, **params})(xs)

    @jax.jit
    def step(params: Any, state: Any, xs: Any, ys: Any) -> Any:
        def objective(params: Any) -> Any:
            return factor * jnp.mean((predict(params, xs) - ys) ** 2)

        loss, grads = jax.value_and_grad(objective)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    def run(params: Any, xs: Any, ys: Any) -> Any:
        if one_bias:
            other = params.pop("lstm.bias_hh_l0")
            params["lstm.bias_ih_l0"] = params["lstm.bias_ih_l0"] + other
        state = optimizer.init(params)
        for batch in zip(xs, ys, strict=True):
            params, state, loss = step(params, state, *batch)
            yield loss, params

    return run


@pytest.mark.slow
def test_a_loop_of_ones_own_is_compared() -> None:
    right = of_torch("adamw", clip=0.25)
    assert checked(ADAMW, run=loop_of(right)).ok
    half = checked(ADAMW, run=loop_of(right, factor=0.5))
    assert half.mistakes == ["half the loss"]
    assert half.parting.step == 1
    other = checked(ADAMW, run=loop_of(right, factor=0.7))
    assert other.advice[0].startswith("The losses differ before the first update: ")


def test_a_loop_may_go_on_in_the_same_memory() -> None:
    """A loop of torch: what it yields are views of parameters that it then changes."""

    def run(params: Any, xs: Any, ys: Any) -> Any:
        model = torch.nn.ModuleDict(
            {
                "lstm": torch.nn.LSTM(3, 4, batch_first=True, dtype=torch.float64),
                "fc": torch.nn.Linear(4, 2, dtype=torch.float64),
            }
        )
        own = dict(model.named_parameters())
        _ = model.load_state_dict({n: torch.tensor(a) for n, a in params.items()})
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for x, y in zip(torch.tensor(xs), torch.tensor(ys), strict=True):
            optimizer.zero_grad()
            out = model["fc"](model["lstm"](x)[0][:, -1])
            loss = torch.nn.functional.mse_loss(out, y)
            _ = loss.backward()
            _ = optimizer.step()
            yield loss.item(), {name: p.detach() for name, p in own.items()}

    assert checked({"optimizer": "sgd", "rate": 0.05}, run=run).ok


def test_options_at_their_limits_are_torchs() -> None:
    for options in (
        {"optimizer": "sgd", "momentum": 1.0},
        {"optimizer": "adam", "clip": float("inf"), "eps": 0.0},
        {"optimizer": "adamw", "clip": 0.0, "b1": 0.0},
        {"optimizer": "adam", "rate": 0.0},
    ):
        assert check_training(small(), steps=4, **options).ok, options


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_one_bias_in_place_of_two_moves_half_as_far_and_is_named(name: str) -> None:
    run = loop_of(train.torch_optimizer(name, 0.01), one_bias=True)
    report = checked({"optimizer": name}, run=run)
    assert report.mistakes == ["one bias"]
    first = {name: np.asarray(a) for name, a in small().params().items()}
    half, whole = (
        sum(run.weights[n][0] - first[n] for n in first if "bias_" in n)
        for run in (report.ours, report.exact)
    )
    assert np.abs(half).max() > 1e-4
    np.testing.assert_allclose(whole, 2 * half, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_fit_trains_as_the_report_says() -> None:
    """The weights that `lstm_jax.train.fit` ends with are those of the comparison."""
    seen: list[Any] = []

    def run(params: Any, xs: Any, ys: Any) -> Any:
        batches = [train.Batch(*pair) for pair in zip(xs, ys, strict=True)]
        model = LSTMModel.from_params(params)
        optimizer = of_torch("adamw", clip=0.25)
        fitted = train.fit(
            model, batches, optimizer=optimizer, clip=None, epochs=1, patience=None
        )
        seen.append({n: np.asarray(a) for n, a in fitted.model.params().items()})
        yield from loop_of(optimizer)(params, xs, ys)

    report = checked(ADAMW, run=run)
    assert report.ok
    for name, right in report.exact.weights.items():
        np.testing.assert_allclose(seen[0][name], right[-1], rtol=0, atol=1e-13)


@pytest.mark.slow
def test_dropout_has_the_masks_of_the_model() -> None:
    model = small(num_layers=2, dropout=0.4)
    report = check_training(model, steps=3, optimizer="sgd", rate=0.1)
    assert report.ok
    kept = check_training(small(num_layers=2), steps=3, optimizer="sgd", rate=0.1)
    assert abs(kept.exact.losses[0] - report.exact.losses[0]) > 1e-4


def test_torch_is_the_textbooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.optim beside the equations in NumPy, which name the mistakes."""
    from parity.training.recipe import USUAL, usual
    from parity.training.sides import equations, torch as side
    from parity.training.work import draw, run_of

    work = draw(small(), 20, 0)
    trained = side.Trained(work, "float64")
    for optimizer in USUAL:
        recipe = usual(optimizer)
        ours = run_of(list(equations.train(trained, recipe, "float64")))
        theirs = run_of(list(side.train(work, recipe, "float64", "float64")))
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-12)
        np.testing.assert_allclose(ours.norms, theirs.norms, rtol=1e-12)
        for name, right in theirs.weights.items():
            np.testing.assert_allclose(ours.weights[name], right, rtol=0, atol=1e-13)


def test_torch_is_left_as_it_was() -> None:
    before = torch.get_default_dtype(), jax.config.read("jax_enable_x64")
    _ = check_training(small(), steps=1)
    assert before == (torch.get_default_dtype(), jax.config.read("jax_enable_x64"))
