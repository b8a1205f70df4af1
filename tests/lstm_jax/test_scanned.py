"""`ScannedLSTM`: the numbers of `lstm`, in a loop of purejaxrl's shape."""

from functools import partial
from typing import Any

import flax.linen as flax_linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx as flax_nnx

from lstm_jax import LSTM, LayerParams, LSTMState, linen, lstm, lstm_step, nnx
from lstm_jax.carry import pack, unpack
from tests.given.inputs import (
    B,
    H,
    I,
    P,
    T,
    assert_equal,
    assert_near,
    draw,
    like,
    make_inputs,
    make_spec,
    torch_lstm,
)

pytestmark = pytest.mark.usefixtures("float64")

STACKS = [
    pytest.param({}, id="plain"),
    pytest.param({"bias": False, "num_layers": 3}, id="no_bias"),
    pytest.param({"num_layers": 2, "proj_size": P}, id="projected"),
]
DONE = draw((T, B), seed=5) > 0.4
DTYPES = ["bool", "int32", "uint8", "float32", "bfloat16", "float64"]


def made(api: str, params: Any) -> Any:
    """A call of either module, of a carry and inputs."""
    if api == "nnx":
        return nnx.ScannedLSTM.from_params(params)
    module = linen.ScannedLSTM.from_params(params)
    return partial(module.apply, {"params": params})


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("api", ["nnx", "linen"])
def test_the_outputs_are_those_of_lstm_with_resets(api: str, stack: Any) -> None:
    spec = make_spec(**stack)
    params, xs, state = make_inputs(spec)
    carry, ys = made(api, params)(pack(state), (xs, DONE))
    expected, after = lstm(params, xs, state, resets=DONE)
    assert_equal(ys, expected)
    assert carry.shape == (B, spec.num_layers * (spec.output_size + H))
    assert_equal(unpack(carry, spec), after)


def test_a_carry_holds_h_of_every_layer_and_then_c_of_every_layer() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, proj_size=P))
    carry, ys = made("nnx", params)(pack(state), (xs, DONE))
    _, (h, c) = lstm(params, xs, state, resets=DONE)
    assert_equal(carry, jnp.concatenate([*h, *c], axis=1))
    assert_equal(carry[:, P : 2 * P], ys[-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("api", ["nnx", "linen"])
def test_done_is_of_any_type(api: str, dtype: str) -> None:
    params, xs, state = make_inputs()
    call = made(api, params)
    done = jnp.asarray(DONE).astype(dtype) * jnp.asarray(3).astype(dtype)
    assert_equal(call(pack(state), (xs, done)), call(pack(state), (xs, DONE)))


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("api", ["nnx", "linen"])
def test_step_by_step_is_all_at_once(api: str, stack: Any) -> None:
    params, xs, state = make_inputs(make_spec(**stack))
    call = made(api, params)

    def act(carry: Any, inputs: Any) -> Any:
        x, done = inputs
        carry, y = call(carry, (x[None], done[None]))
        return carry, y[0]

    acted = jax.lax.scan(act, pack(state), (jnp.asarray(xs), jnp.asarray(DONE)))
    assert_near(acted, jax.jit(call)(pack(state), (xs, DONE)))


def test_done_of_the_step_before_starts_a_row_from_zeros_and_torch_agrees() -> None:
    spec = make_spec(num_layers=2, proj_size=P)
    params, xs, state = make_inputs(spec)
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model = torch_lstm(spec, params)
    _, ys = made("nnx", params)(pack(state), (xs, DONE))
    for row in range(B):
        starts = np.flatnonzero(DONE[:, row])
        for start, end in zip([0, *starts], [*starts, T], strict=True):
            first = [torch.tensor(a[:, row]) for a in state]
            zeros = [torch.zeros_like(a) for a in first]
            before = zeros if DONE[start, row] else first
            with torch.no_grad():
                found, _ = model(torch.tensor(xs[start:end, row]), tuple(before))
            assert_near(ys[start:end, row], jnp.asarray(found.numpy()))


@pytest.mark.slow
def test_its_gradients_are_those_of_lstm() -> None:
    spec = make_spec(num_layers=2, proj_size=P)
    params, xs, state = make_inputs(spec)

    def ours(params: Any, xs: Any, carry: Any) -> Any:
        module = nnx.ScannedLSTM.from_params(params)
        return module(carry, (xs, DONE))

    def theirs(params: Any, xs: Any, carry: Any) -> Any:
        ys, after = lstm(params, xs, unpack(carry, spec), resets=DONE)
        return pack(after), ys

    found, pull = jax.vjp(ours, params, jnp.asarray(xs), pack(state))
    _, expected = jax.vjp(theirs, params, jnp.asarray(xs), pack(state))
    cotangents = like(found)
    assert_near(pull(cotangents), expected(cotangents))


def test_no_gradient_crosses_the_end_of_an_episode() -> None:
    params, xs, state = make_inputs()
    done = jnp.zeros((T, B)).at[3, 1].set(1.0)

    def last(xs: Any, carry: Any) -> Any:
        return jnp.sum(made("linen", params)(carry, (xs, done))[1][-1, 1])

    d_xs, d_carry = jax.grad(last, (0, 1))(jnp.asarray(xs), pack(state))
    assert np.any(np.asarray(d_xs) != 0, axis=(2)).T.tolist() == [
        [False] * T,
        [False] * 3 + [True] * (T - 3),
        [False] * T,
    ]
    assert not np.any(d_carry)


def test_a_carry_of_zeros_is_the_start_of_an_episode() -> None:
    params, xs, state = make_inputs(make_spec(num_layers=2, proj_size=P))
    sizes: Any = (B, H, 2, P)
    for api, kind in (("nnx", nnx.ScannedLSTM), ("linen", linen.ScannedLSTM)):
        call, start = made(api, params), kind.initialize_carry(*sizes)
        done = np.zeros((T, B))
        fresh = call(start, (xs, done))
        done[0] = 1
        assert_equal(call(pack(state), (xs, done)), fresh)
    zeros = nnx.ScannedLSTM.initialize_carry(B, H)
    assert_equal(zeros, jnp.zeros((B, 2 * H)))


@pytest.mark.parametrize("steps_and_rows", [(0, B), (T, 0)])
def test_no_step_and_no_row(steps_and_rows: tuple[int, int]) -> None:
    steps, rows = steps_and_rows
    params, _, _ = make_inputs()
    carry = draw((rows, 2 * H))
    inputs = jnp.zeros((steps, rows, I)), jnp.zeros((steps, rows))
    for api in ("nnx", "linen"):
        after, ys = made(api, params)(carry, inputs)
        assert_equal(after, jnp.asarray(carry))
        assert ys.shape == (steps, rows, H)


def test_an_nnx_module_draws_weights_and_gives_them_to_an_lstm() -> None:
    rnn = nnx.ScannedLSTM(I, H, 2, proj_size=P, forget_bias=1.0, rngs=flax_nnx.Rngs(0))
    params = rnn.params()
    assert list(params) == list(rnn.shapes())
    assert_equal(params["bias_ih_l1"][H : 2 * H], jnp.ones(H, "float32"))
    again = LSTM.from_params(params)
    xs = draw((T, B, I)).astype("float32")
    start = nnx.ScannedLSTM.initialize_carry(B, H, 2, P)
    _, ys = flax_nnx.jit(rnn)(start, (xs, DONE))
    assert_equal(ys, again(xs, again.initial_state((B,)), resets=DONE)[0])
    assert (
        repr(rnn)
        == "ScannedLSTM(input_size=5, hidden_size=4, num_layers=2, proj_size=2)"
    )


class ScannedReference(flax_linen.Module):
    """purejaxrl's idea over `lstm_step`: a scan that replaces the carry first."""

    @partial(
        flax_linen.scan,
        variable_broadcast="params",
        in_axes=0,
        out_axes=0,
        split_rngs={"params": False},
    )
    @flax_linen.compact
    def __call__(self, carry: Any, inputs: Any) -> Any:
        x, done = inputs
        size = carry.shape[1] // 2
        shapes = make_spec(input_size=x.shape[1], hidden_size=size).shapes()
        zeros = jax.nn.initializers.zeros
        layer = [self.param(name, zeros, shape) for name, shape in shapes.items()]
        carry = jnp.where(done[:, None], jnp.zeros_like(carry), carry)
        state = LSTMState(*jnp.split(carry, 2, axis=1))
        state = lstm_step(LayerParams(*layer), x, state)
        return jnp.concatenate(state, axis=1), state.h


class Agent(flax_linen.Module):
    """An actor and a critic on a memory."""

    rnn: Any

    @flax_linen.compact
    def __call__(self, hidden: Any, inputs: Any) -> Any:
        obs, done = inputs
        embedding = flax_linen.tanh(flax_linen.Dense(H)(obs))
        hidden, ys = self.rnn(name="rnn")(hidden, (embedding, done))
        return hidden, flax_linen.Dense(2)(ys), flax_linen.Dense(1)(ys)[..., 0]


ROWS, MINIBATCHES = 6, 2


def updated(kind: Any, variables: Any) -> Any:
    """Rollout, minibatches of rows, gradients: a loop like purejaxrl's."""
    apply: Any = Agent(kind).apply

    def env_step(runner: Any, key: Any) -> Any:
        obs, done, hidden = runner
        inputs = obs[np.newaxis, :], done[np.newaxis, :]
        hidden, logits, value = apply(variables, hidden, inputs)
        logits, value = logits.squeeze(0), value.squeeze(0)
        action_key, obs_key, done_key = jax.random.split(key, 3)
        action = jax.random.categorical(action_key, logits)
        seen = (done, action, value, obs)
        obs = jax.random.normal(obs_key, obs.shape) + action[:, None]
        done = jax.random.bernoulli(done_key, 0.3, done.shape)
        return (obs, done, hidden), (seen, logits)

    def loss(params: Any, first: Any, seen: Any, logits: Any) -> Any:
        done, action, value, obs = seen
        _, replayed, values = apply(params, first[0], (obs, done))
        log_p = jax.nn.log_softmax(replayed)
        chosen = jnp.take_along_axis(log_p, action[..., None], -1)
        off = jnp.max(jnp.abs(replayed - logits))
        return jnp.mean(chosen) + jnp.mean((values - value + 1) ** 2), off

    hidden = linen.ScannedLSTM.initialize_carry(ROWS, H)
    runner = draw((ROWS, I)), jnp.zeros(ROWS, bool), hidden
    keys = jax.random.split(jax.random.key(1), (2, T))
    runner, _ = jax.lax.scan(env_step, runner, keys[0])
    first = runner[-1]
    runner, (seen, logits) = jax.lax.scan(env_step, runner, keys[1])
    order = jax.random.permutation(jax.random.key(2), ROWS)
    batch = jax.tree.map(
        lambda a: jnp.take(a, order, axis=1), (first[None, :], seen, logits)
    )
    minibatches = jax.tree.map(
        lambda a: jnp.swapaxes(
            a.reshape(a.shape[0], MINIBATCHES, -1, *a.shape[2:]), 0, 1
        ),
        batch,
    )

    def of_minibatch(total: Any, parts: Any) -> Any:
        value, grads = jax.value_and_grad(loss, has_aux=True)(variables, *parts)
        return jax.tree.map(jnp.add, total, grads), value

    zeros = jax.tree.map(jnp.zeros_like, variables)
    return runner, jax.lax.scan(of_minibatch, zeros, minibatches)


@pytest.mark.slow
def test_a_loop_of_purejaxrls_shape_has_one_import_changed() -> None:
    """Two rollouts, the second from where the first ended, replayed in minibatches."""
    hidden = linen.ScannedLSTM.initialize_carry(ROWS, H)
    inputs = draw((1, ROWS, I)), jnp.zeros((1, ROWS))
    agent = Agent(linen.ScannedLSTM)
    shapes: Any = agent.init(jax.random.key(0), hidden, inputs)
    variables = like(shapes)
    variables["params"]["rnn"] = {
        name: draw(a.shape) for name, a in variables["params"]["rnn"].items()
    }
    ours = jax.jit(partial(updated, linen.ScannedLSTM))(variables)
    theirs = jax.jit(partial(updated, ScannedReference))(variables)
    (obs, done, hidden), (grads, (losses, off)) = ours
    (obs_, done_, hidden_), (grads_, (losses_, off_)) = theirs
    assert_equal((obs, done), (obs_, done_))
    assert_near((hidden, grads, losses), (hidden_, grads_, losses_))
    for difference in (off, off_):
        assert np.all(np.asarray(difference) < 1e-12)
