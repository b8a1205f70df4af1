"""The example of recurrent reinforcement learning: its task, its agent, its resets."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples import recurrent_rl as rl
from lstm_jax import LSTM, LSTMState
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


def printed_returns(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, *arguments: str
) -> np.ndarray:
    """The return of each seed that the command prints."""
    monkeypatch.setattr("sys.argv", ["recurrent_rl.py", *arguments])
    rl.main()
    returns = re.findall(r"return ([\d.]+)", capsys.readouterr().out)
    assert len(returns) == rl.SEEDS
    return np.array(returns, float)


@pytest.mark.slow
def test_an_agent_with_a_memory_recalls(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert np.all(printed_returns(monkeypatch, capsys) >= 0.95)


@pytest.mark.slow
def test_without_its_memory_the_agent_is_at_chance(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert np.all(printed_returns(monkeypatch, capsys, "--memory", "off") <= 0.6)


@pytest.mark.slow
def test_with_resets_one_step_late_no_cue_is_learned(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    returns = printed_returns(monkeypatch, capsys, "--shift-resets", "1")
    assert np.all(returns <= 0.75)
