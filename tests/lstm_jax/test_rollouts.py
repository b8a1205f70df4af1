"""`check_resets`: agents that are right, late, early, and wrong otherwise."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax import Rollout, check_resets
from lstm_jax.linen import ScannedLSTM
from tests.given.inputs import B, H, I, draw, make_params, make_spec
from tests.given.wrong import Row, assert_raises

STEPS = 9
PARAMS = {
    name: jnp.asarray(a, "float32") for name, a in make_params(make_spec()).items()
}
DONE = np.zeros((STEPS + 2, B), "float32")
DONE[[2, 4, 5, 7, 1, 6], [0, 1, 1, 0, 2, 2]] = 1
XS = jnp.asarray(draw((STEPS + 2, B, I)), "float32")
HEAD = jnp.asarray(draw((H, 2)), "float32")


class Recorded(NamedTuple):
    """A rollout that starts one step after the environments did."""

    carry: Any
    xs: Any
    before: Any  # done of the step before: what act was given
    after: Any  # done of the step itself
    outputs: Any


def run(carry: Any, inputs: Any) -> Any:
    apply: Any = ScannedLSTM().apply
    carry, ys = apply({"params": PARAMS}, carry, inputs)
    return carry, {"logits": ys @ HEAD, "value": 100 * ys[..., 0]}


def act(carry: Any, inputs: Any) -> Any:
    carry, outputs = run(carry, jax.tree.map(lambda a: a[None], inputs))
    return carry, jax.tree.map(lambda a: a[0], outputs)


def act_late(carry: Any, inputs: Any) -> Any:
    """Resets what it carries on, once it has read the observation."""
    x, done = inputs
    carry, outputs = act(carry, (x, jnp.zeros_like(done)))
    return jnp.where(done[:, None] != 0, 0, carry), outputs


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    carry = ScannedLSTM.initialize_carry(B, H)
    carry, _ = act(carry, (XS[0], DONE[0]))
    part = np.s_[1 : STEPS + 1]
    _, outputs = jax.lax.scan(act, carry, (XS[part], jnp.asarray(DONE[part])))
    return Recorded(carry, XS[part], DONE[part], DONE[2:], outputs)


def rolled(steps: int, carry: Any, inputs: Any) -> Any:
    """A loss that shifts its flags."""
    xs, done = inputs
    return run(carry, (xs, jnp.roll(done, steps, axis=0)))


def shifted(carry: Any, inputs: Any) -> Any:
    """A loss that is given `done` of the step itself, and knows the one before."""
    xs, done = inputs
    return run(carry, (xs, jnp.concatenate([DONE[1:2], done[:-1]])))


def twice(carry: Any, inputs: Any) -> Any:
    """The same, shifted once too often."""
    xs, done = inputs
    return run(carry, (xs, jnp.concatenate([DONE[:2], done[:-2]])))


def without_resets(carry: Any, inputs: Any) -> Any:
    return run(carry, (inputs[0], jnp.zeros_like(inputs[1])))


def reversed_in_time(carry: Any, inputs: Any) -> Any:
    return run(carry, jax.tree.map(lambda a: jnp.flip(a, 0), inputs))


LATE = (
    "a step late: replay resets the memory one step after acting did, so it forgets "
    "the first observation of each episode: give it the done that act was given with "
    "each observation."
)
EARLY = (
    "a step early: replay resets the memory one step before acting did, so the last "
    "step of each episode has none: give it the done that act was given with each "
    "observation, not the one that followed it."
)
RIGHT = "right: replay resets the memory before the same steps as acting did."
FIRST = (
    "wrong otherwise: replay resets the memory before the same steps as acting did "
    "except for step 0: give it the done of the step before the rollout as well."
)
NEVER = (
    "wrong otherwise: replay never resets the memory: give it the done that act was "
    "given with each observation."
)


def found_of(r: Recorded, replay: Any, stored: str = "before", step: Any = act) -> str:
    rollout = Rollout(r.carry, r.xs, getattr(r, stored), r.outputs)
    found = check_resets(step, replay, rollout)
    assert found.ok == (found.verdict == "right")
    assert str(found) == f"{found.verdict}: {found.text}"
    return str(found)


@pytest.mark.parametrize(
    ("replay", "stored", "expected"),
    [
        pytest.param(run, "before", RIGHT, id="right"),
        pytest.param(partial(rolled, 1), "before", LATE, id="late"),
        pytest.param(partial(rolled, -1), "before", EARLY, id="early"),
        pytest.param(run, "after", EARLY, id="early-stored"),
        pytest.param(shifted, "after", RIGHT, id="right-shifted"),
        pytest.param(twice, "after", LATE, id="late-shifted"),
        pytest.param(partial(rolled, 1), "after", FIRST, id="but-the-first"),
        pytest.param(without_resets, "before", NEVER, id="never"),
    ],
)
def test_an_agent_is_told_where_it_resets(
    recorded: Recorded, replay: Any, stored: str, expected: str
) -> None:
    assert found_of(recorded, replay, stored) == expected


@pytest.mark.parametrize("dtype", ["bool", "int32", "bfloat16"])
def test_done_is_of_any_type(recorded: Recorded, dtype: str) -> None:
    done = jnp.asarray(recorded.before, dtype)
    assert found_of(recorded._replace(before=done), run) == RIGHT
    assert found_of(recorded._replace(before=done), partial(rolled, 1)) == LATE


def test_an_act_that_reads_before_it_resets_is_late(recorded: Recorded) -> None:
    assert found_of(recorded, run, step=act_late) == (
        "a step late: act reads an observation and resets the memory after it, so the "
        "first step of an episode sees the one before: reset the carry first."
    )


def test_an_act_that_keeps_its_memory_is_wrong(recorded: Recorded) -> None:
    def keeps(carry: Any, inputs: Any) -> Any:
        return act(carry, (inputs[0], jnp.zeros_like(inputs[1])))

    assert found_of(recorded, run, step=keeps) == (
        "wrong otherwise: act keeps a memory where done is true: replace the carry "
        "there, before the observation is read."
    )


OTHERS = (
    "with done as stored, a step later and a step earlier: give the parameters and the "
    "carry of the recording."
)


def test_a_replay_of_another_order_is_wrong_otherwise(recorded: Recorded) -> None:
    assert found_of(recorded, reversed_in_time) == (
        "wrong otherwise: replay gives other outputs than the recorded ones, first at "
        f"step 0 of row 0, {OTHERS}"
    )


def test_outputs_of_other_parameters_are_wrong_otherwise(recorded: Recorded) -> None:
    outputs = jax.tree.map(lambda a: a.at[4:, 1].add(a.max()), recorded.outputs)
    assert found_of(recorded._replace(outputs=outputs), run) == (
        "wrong otherwise: act gives other outputs than the recorded ones, first at "
        f"step 4 of row 1, {OTHERS}"
    )


def test_two_shifts_are_none_of_the_verdicts(recorded: Recorded) -> None:
    assert found_of(recorded, partial(rolled, 2)).startswith("wrong otherwise: replay")


def spoilt(**changes: Any) -> Any:
    r = Rollout(jnp.ones((B, 2 * H)), XS, jnp.asarray(DONE), {"value": XS[..., 0]})
    return lambda: check_resets(act, run, r._replace(**changes))


WRONG: list[Row] = [
    (
        lambda: check_resets(act, run, (XS, DONE)),  # pyright: ignore
        TypeError,
        (
            "check_resets: rollout must be (carry, xs, done, outputs), not tuple: "
            "these are what was recorded. Use Rollout(...)."
        ),
    ),
    (
        spoilt(done=DONE[0]),
        ValueError,
        (
            "check_resets: done.shape=(3,) must be (T, B): a flag for each step of "
            "each row. Use done[:, None] for one row."
        ),
    ),
    (
        spoilt(outputs=XS[0, :, 0]),
        ValueError,
        (
            "check_resets: outputs.shape=(3,) must begin with (11, 3), the shape of "
            "done: it has a value for each step of each row. Use arrays with time "
            "first, then rows."
        ),
    ),
    (
        spoilt(),
        ValueError,
        (
            "check_resets: the outputs of act have the shapes {'logits': (11, 3, "
            "2), 'value': (11, 3)} and must have {'value': (11, 3)}: they are "
            "compared with the recorded ones. Give the same outputs, in the same "
            "order, with time first."
        ),
    ),
]


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("row", WRONG, ids=lambda row: row[2][:50])
def test_a_rollout_that_does_not_fit(row: Row) -> None:
    assert_raises(row)


def silent(zeros: Any, carry: Any, inputs: Any) -> Any:
    """A memory that no output shows."""
    return carry + jnp.sum(inputs[1]), zeros


@pytest.mark.parametrize("why", ["no end", "no memory"])
def test_a_rollout_that_cannot_tell_is_refused(recorded: Recorded, why: str) -> None:
    r = recorded
    if why == "no end":
        done = jnp.zeros_like(jnp.asarray(r.before))
        outputs = run(r.carry, (r.xs, done))[1]
        rollout, step, replay = Rollout(r.carry, r.xs, done, outputs), act, run
    else:  # heads that are still zero
        zeros = jnp.zeros((STEPS, B, 2))
        rollout = Rollout(r.carry, r.xs, jnp.asarray(r.before), zeros)
        step, replay = partial(silent, zeros[0]), partial(silent, zeros)
    with pytest.raises(ValueError, match="check_resets") as caught:
        _ = check_resets(step, replay, rollout)
    assert str(caught.value) == (
        "check_resets: the outputs must depend on where the memory is reset: here they "
        "differ by 0 of the largest. Record the end of an episode, and the outputs of "
        "the LSTM itself where the heads are still zero."
    )
