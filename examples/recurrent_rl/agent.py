"""The task and the agent: what it does, and what it learns from.

Every episode shows a cue, -1 or 1, at its first step and asks for it `DELAY` steps
later: the right answer earns 1, everything else nothing. Noise that looks like a cue
fills the other steps. After the question an episode goes on for 0 to `IDLE` steps,
drawn for each, so that episodes are of unequal length. Without memory the best return
is 0.5.

The agent is an LSTM with an actor and a critic, trained by policy gradient on rollouts
of `STEPS` steps, which begin and end anywhere in an episode. It acts one step at a time
and learns from whole rollouts: `resets` makes both the same function.
"""

from functools import partial
from math import log
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from lstm_jax import LSTMState, init_params, lstm

DELAY, IDLE = 20, 9
ENVS, STEPS, TEST_STEPS = 64, 64, 1024
FEATURES, HIDDEN, ACTIONS = 3, 32, 2
OPTIMIZER = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(5e-3))


class Env(NamedTuple):
    """Episodes under way, one for each of `ENVS` rows."""

    cue: Array
    time: Array
    length: Array


class Step(NamedTuple):
    """One step of each row. `reset`: whether the step *before* ended an episode."""

    x: Array
    reset: Array
    logits: Array
    action: Array
    reward: Array
    asked: Array


class Acting(NamedTuple):
    """What a step hands to the next, and a rollout to the next."""

    env: Env
    state: LSTMState
    done: Array


def new_episodes(key: Array) -> Env:
    """Episodes at their first step."""
    cue_key, idle_key = jax.random.split(key)
    cue = jax.random.rademacher(cue_key, (ENVS,))
    idle = jax.random.randint(idle_key, (ENVS,), 0, IDLE + 1)
    return Env(cue, jnp.zeros(ENVS, int), DELAY + 1 + idle)


def observe(key: Array, env: Env) -> Array:
    """The cue or noise, then two flags: the first step, and the question."""
    first, noise = env.time == 0, jax.random.rademacher(key, (ENVS,))
    signal = jnp.where(first, env.cue, noise)
    return jnp.stack([signal, first, env.time == DELAY], -1).astype(float)


def move(key: Array, env: Env, action: Array) -> tuple[Env, Array, Array]:
    """The environments after an action, its reward, and `done`.

    Where an episode is done, what comes back is the next one at its first step.
    """
    right = 2 * action - 1 == env.cue
    reward = jnp.where((env.time == DELAY) & right, 1.0, 0.0)
    after = env._replace(time=env.time + 1)
    done = after.time == env.length
    return (
        jax.tree.map(partial(jnp.where, done), new_episodes(key), after),
        reward,
        done,
    )


def init_agent(key: Array) -> dict[str, Any]:
    """An LSTM that forgets over `DELAY` steps, and two linear heads."""
    return {
        "lstm": init_params(key, FEATURES, HIDDEN, forget_bias=log(DELAY)),
        "actor": jnp.zeros((HIDDEN, ACTIONS)),
        "critic": jnp.zeros(HIDDEN),
    }


def agent(
    params: dict[str, Any], xs: Array, state: LSTMState, resets: Array
) -> tuple[Array, Array, LSTMState]:
    """Logits and values of a sequence `(T, B, I)`, and the state after it."""
    ys, state = lstm(params["lstm"], xs, state, resets=resets)
    return ys @ params["actor"], ys @ params["critic"], state


def act(
    params: dict[str, Any], memory: bool, before: Acting, key: Array
) -> tuple[Acting, Step]:
    """One step of every environment: the agent on a sequence of one step."""
    noise_key, action_key, env_key = jax.random.split(key, 3)
    env, state, done = before
    x, reset = observe(noise_key, env), done if memory else jnp.ones_like(done)
    logits, _, state = agent(params, x[None], state, reset[None])
    action = jax.random.categorical(action_key, logits[0])
    after, reward, done = move(env_key, env, action)
    step = Step(x, reset, logits[0], action, reward, env.time == DELAY)
    return Acting(after, state, done), step


def replay(
    params: dict[str, Any], state: LSTMState, steps: Step, shift: int = 0
) -> tuple[Array, Array]:
    """Logits and values of a rollout, from the state it started with."""
    resets = jnp.roll(steps.reset, shift, axis=0)  # 0 is right, all else the mistake
    logits, values, _ = agent(params, steps.x, state, resets)
    return logits, values


def loss(params: dict[str, Any], state: LSTMState, steps: Step, shift: int) -> Array:
    """Policy gradient with a baseline, a little entropy.

    No action changes what comes after it: the return of a step is its own reward.
    """
    logits, values = replay(params, state, steps, shift)
    log_p = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_p, steps.action[..., None], -1)[..., 0]
    error = steps.reward - values
    entropy = -jnp.sum(jnp.exp(log_p) * log_p, -1)
    actor = -chosen * lax.stop_gradient(error) - 0.01 * entropy
    return jnp.mean(actor + 0.5 * error**2)


class Trained(NamedTuple):
    """What training gave.

    Attributes:
        learning: The share of right answers in each update, `(updates,)`.
        mean_return: The mean return of an episode, of the trained agent in episodes
            that it did not learn from.
        difference: The largest difference between a logit that it acted by there and
            the same logit replayed.
    """

    learning: Array
    mean_return: Array
    difference: Array


def train(key: Array, updates: int, memory: bool = True, shift: int = 0) -> Trained:
    """Train an agent, then let it act.

    Args:
        key: Of everything that is drawn.
        updates: Of the parameters, each from a rollout.
        memory: Whether the state is kept; else it is zeroed at each step.
        shift: Steps by which learning resets the state late: 0 is right.
    """
    init_key, env_key, train_key, test_key = jax.random.split(key, 4)
    params, state = init_agent(init_key), LSTMState(*jnp.zeros((2, 1, ENVS, HIDDEN)))
    acting = Acting(new_episodes(env_key), state, jnp.ones(ENVS, bool))

    def update(carry: Any, key: Array) -> tuple[Any, Array]:
        params, optimizer, acting = carry
        keys = jax.random.split(key, STEPS)
        after, steps = lax.scan(partial(act, params, memory), acting, keys)
        grads = jax.grad(loss)(params, acting.state, steps, shift)
        changes, optimizer = OPTIMIZER.update(grads, optimizer)
        return (optax.apply_updates(params, changes), optimizer, after), right(steps)

    carry = (params, OPTIMIZER.init(params), acting)
    keys = jax.random.split(train_key, updates)
    (params, _, acting), learning = lax.scan(update, carry, keys)
    keys = jax.random.split(test_key, TEST_STEPS)
    _, steps = lax.scan(partial(act, params, memory), acting, keys)
    logits, _ = replay(params, acting.state, steps, shift)
    difference = jnp.max(jnp.abs(logits - steps.logits))
    return Trained(learning, right(steps), difference)


def right(steps: Step) -> Array:
    """The share of right answers, which is the mean return of an episode."""
    return jnp.sum(steps.reward) / jnp.sum(steps.asked)
