"""The example of recurrent reinforcement learning: its task, its agent, its resets."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples.recurrent_rl import agent as rl, train
from lstm_jax import LSTM, LSTMState
from tests.given import ROOT
from tests.given.inputs import assert_near, draw


@pytest.fixture(scope="module")
def acted() -> Any:
    """An agent, the state its second rollout starts with, and that rollout."""
    with jax.enable_x64(True):
        params = rl.init_agent(jax.random.key(0))
        params["actor"] = jnp.asarray(draw(params["actor"].shape))
        state = LSTMState(*jnp.zeros((2, 1, rl.ENVS, rl.HIDDEN)))
        env = rl.new_episodes(jax.random.key(1))
        acting = rl.Acting(env, state, jnp.ones(rl.ENVS, bool))
        step = partial(rl.act, params, True)
        keys = jax.random.split(jax.random.key(2), (2, rl.STEPS))
        acting, _ = jax.lax.scan(step, acting, keys[0])
        _, steps = jax.lax.scan(step, acting, keys[1])
        return params, acting.state, steps


def test_the_answer_is_asked_20_steps_after_the_cue_and_paid_if_right(
    acted: Any,
) -> None:
    steps = jax.tree.map(np.asarray, acted[-1])
    lengths = set()
    for row in range(rl.ENVS):
        starts = np.flatnonzero(steps.reset[:, row])
        lengths |= set(np.diff(starts))
        for start in starts[starts + rl.DELAY < rl.STEPS]:
            episode = np.s_[start : start + rl.DELAY + 1, row]
            *before, last = steps.asked[episode]
            assert last
            assert not any(before)
            right = (2 * steps.action[episode][-1] - 1) == steps.x[start, row, 0]
            assert steps.reward[episode].tolist() == [0] * rl.DELAY + [right]
    assert lengths == set(range(rl.DELAY + 1, rl.DELAY + rl.IDLE + 2))


@pytest.mark.usefixtures("float64")
def test_a_rollout_replayed_has_the_logits_that_were_acted_by(acted: Any) -> None:
    params, state, steps = acted
    assert steps.reset[1:].any()
    logits, _ = rl.replay(params, state, steps)
    assert_near(logits, steps.logits)


@pytest.mark.usefixtures("float64")
def test_steps_of_the_module_have_the_logits_of_the_rollout(acted: Any) -> None:
    params, state, steps = acted
    model = LSTM.from_params(params["lstm"])
    ys = []
    for x, reset in zip(steps.x, steps.reset, strict=True):
        y, state = model.step(x, state, reset)
        ys.append(y)
    assert_near(jnp.stack(ys) @ params["actor"], steps.logits)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("shift", [-1, 1])
def test_resets_shifted_by_one_step_change_the_logits(acted: Any, shift: int) -> None:
    """Early, an episode's last step has no memory; late, its first has a memory."""
    params, state, steps = acted
    logits, _ = rl.replay(params, state, steps, shift)
    wrong = np.abs(logits - steps.logits).max(-1) > 1e-6
    first = np.asarray(steps.reset)
    assert wrong[1:][first[1:]].all()
    if shift < 0:
        assert wrong[:-1][first[1:]].all()


@pytest.mark.usefixtures("float64")
def test_an_answer_has_a_gradient_of_its_own_episode_alone(acted: Any) -> None:
    params, state, steps = acted
    asked = np.asarray(steps.asked) & (np.arange(rl.STEPS) >= rl.STEPS // 2)[:, None]
    row = np.flatnonzero(asked.any(0))[0]
    time = np.flatnonzero(asked[:, row])[0]

    def answer(xs: Any, state: Any) -> Any:
        return rl.replay(params, state, steps._replace(x=xs))[0][time, row, 0]

    d_xs, d_state = jax.grad(answer, (0, 1))(steps.x, state)
    reached = np.flatnonzero(np.any(np.asarray(d_xs) != 0, axis=(1, 2)))
    assert reached.tolist() == list(range(time - rl.DELAY, time + 1))
    assert not any(np.any(leaf) for leaf in d_state)


@pytest.mark.usefixtures("float64")
def test_the_share_of_right_answers_is_the_return_of_an_episode(acted: Any) -> None:
    steps = acted[-1]
    asked = np.asarray(steps.asked)
    expected = np.asarray(steps.reward)[asked].mean()
    assert float(rl.right(steps)) == pytest.approx(expected)
    assert not np.asarray(steps.reward)[~asked].any()


def test_the_page_has_the_returns_of_the_record() -> None:
    page = (ROOT / "docs" / "recurrent_rl.md").read_text("utf-8")
    rows = train.EXAMPLE.recorded()
    for words, row, score in (
        ("its memory", "model", "return"),
        ("its state zeroed each step", "without memory", "return"),
        ("resets a step late", "model", "return, resets a step late"),
        ("resets a step early", "model", "return, resets a step early"),
    ):
        shown = ", ".join(f"{number:.3f}" for number in rows[row][score])
        assert f"\n| {words} | {shown} |\n" in page


@pytest.mark.slow
def test_an_agent_recalls_if_it_has_a_memory_and_its_resets_are_right() -> None:
    made = train.run("usual", 0)
    returns = {name: float(one.mean_return) for name, one in made.kept.items()}
    assert returns["memory"] >= 0.95
    assert returns["no memory"] <= 0.6
    assert returns["resets a step late"] <= 0.75
    assert made.rows["model"]["return"] == returns["memory"]
    assert made.rows["without memory"]["return"] == returns["no memory"]


@pytest.mark.slow
def test_only_resets_that_are_right_replay_what_was_acted_by() -> None:
    made = train.run("fast", 1)
    apart = {name: float(one.difference) for name, one in made.kept.items()}
    for name, (_, shift) in train.AGENTS.items():
        assert (apart[name] > 1e-2) == (shift != 0)
