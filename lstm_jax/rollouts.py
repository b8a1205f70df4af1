"""Whether an agent resets its memory at the same steps when it acts and learns."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax import _checks

_WHERE = "check_resets"
# Of what a shift by one step changes: the same numbers are far nearer, in bfloat16 too.
_NEAR = 0.05
# Of the largest recorded output: what a shift must change to be told from rounding.
_TOLD = 1e-3
_SHIFTS = {"right": 0, "a step late": 1, "a step early": -1}

Step = Callable[[Any, tuple[Any, Any]], tuple[Any, Any]]
Verdict = Literal["right", "a step late", "a step early", "wrong otherwise"]


class Rollout(NamedTuple):
    """What an agent has recorded: `T` steps of `B` environments.

    `carry` is any tree, the memory before the first step; `xs` a tree of observations,
    `(T, B, ...)`; `done` the flags that are stored with them, `(T, B)`; `outputs` a
    tree of what the agent had computed when it acted, `(T, B, ...)`: logits, values.
    """

    carry: Any
    xs: Any
    done: Any
    outputs: Any


@dataclass(frozen=True)
class ResetCheck:
    """What `check_resets` found: a verdict, and a sentence that says why."""

    verdict: Verdict
    text: str

    @property
    def ok(self) -> bool:
        """Whether the verdict is "right"."""
        return self.verdict == "right"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.text}"


def check_resets(act: Step, replay: Step, rollout: Rollout) -> ResetCheck:
    """Whether `replay` resets the memory at the steps where acting reset it.

    The recorded outputs are the witness. `act` is run over the rollout with its `done`
    as it is, a step later and a step earlier: which of the three gives the recorded
    outputs says where acting began anew. What `replay` computes from the rollout is
    then compared with `act` reset there, a step later and a step earlier.

    Args:
        act: One step of all rows, as in the environment loop: `(carry, (x, done)) ->
            (carry, outputs)`, `x` `(B, ...)`, `done` `(B,)`. JAX must be able to
            compile it, and it must draw nothing.
        replay: The rollout as the loss computes it, with the same parameters:
            `(carry, (xs, done)) -> (carry, outputs)`, arrays with time in front. It
            shifts `done` itself, if the loss does so.
        rollout: What was recorded, a `Rollout` or a tuple of its four.

    Returns:
        The verdict: "right", "a step late", "a step early", or "wrong otherwise", each
        with one sentence.

    Raises:
        ValueError: If shapes do not fit, or the rollout cannot tell: no output depends
            on where the memory is reset.
        TypeError: If the rollout is not a tuple of four.

    Example:
        >>> def act(carry, inputs):  # counts the steps of an episode
        ...     carry = jnp.where(inputs[1], 0, carry) + 1
        ...     return carry, carry
        >>> late = lambda carry, inputs: act(carry, (inputs[0], jnp.roll(inputs[1], 1)))
        >>> xs, carry = jnp.zeros((5, 1)), jnp.array([2])
        >>> done = jnp.array([[0], [0], [1], [0], [0]])
        >>> acted = jnp.array([[3], [4], [1], [2], [3]])
        >>> rollout = Rollout(carry, xs, done, acted)
        >>> replay = lambda carry, inputs: jax.lax.scan(act, carry, inputs)
        >>> check_resets(act, replay, rollout).verdict
        'right'
        >>> shifted = lambda carry, inputs: replay(carry, (xs, jnp.roll(done, 1)))
        >>> check_resets(act, shifted, rollout).verdict
        'a step late'
    """
    rollout = Rollout(*_checks.check_rollout(_WHERE, rollout))
    if found := _wrong_act(act, rollout):
        return found
    run = partial(_acted, jax.jit(partial(_scan, act)), rollout)
    recorded = _joined("rollout", rollout.outputs, rollout)
    flags, acted = _as_recorded(recorded, rollout, run)
    hypotheses = {name: run(_shifted(flags, n)) for name, n in _SHIFTS.items()}
    hypotheses["never"] = run([np.zeros_like(flags)])
    apart = _separation(hypotheses)
    hypotheses["but the first"] = run(_shifted(np.roll(flags, -1, axis=0), 1))
    if np.max(off := np.abs(recorded - acted)) > _NEAR * apart:
        return ResetCheck("wrong otherwise", f"act {_differs(off)}")
    _, outputs = replay(rollout.carry, (rollout.xs, rollout.done))
    return _judged(recorded, _joined("replay", outputs, rollout), hypotheses, apart)


def _wrong_act(act: Step, rollout: Rollout) -> ResetCheck | None:
    """What is wrong with a step that depends on the memory though `done` is true."""
    x = jax.tree.map(lambda leaf: leaf[0], rollout.xs)
    no, yes = (jnp.full_like(rollout.done[0], value) for value in (0, 1))
    other, _ = act(rollout.carry, (x, no))
    first, second = (act(carry, (x, yes)) for carry in (rollout.carry, other))
    if _same(first[1], second[1]):
        return None
    if _same(first[0], second[0]):
        return ResetCheck(
            "a step late",
            "act reads an observation and resets the memory after it, so the first "
            "step of an episode sees the one before: reset the carry first.",
        )
    return ResetCheck(
        "wrong otherwise",
        "act keeps a memory where done is true: replace the carry there, before the "
        "observation is read.",
    )


def _same(one: Any, other: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def _scan(act: Step, carry: Any, xs: Any, done: Any) -> Any:
    return jax.lax.scan(act, carry, (xs, done))[1]


def _acted(scan: Any, rollout: Rollout, flags: Iterable[np.ndarray]) -> np.ndarray:
    """What `act` gives with these flags in turn, `(K, T, B, F)`."""
    kind = jnp.asarray(rollout.done).dtype
    found = (scan(rollout.carry, rollout.xs, jnp.asarray(f, kind)) for f in flags)
    return np.stack([_joined("act", outputs, rollout) for outputs in found])


def _joined(name: str, outputs: Any, rollout: Rollout) -> np.ndarray:
    """Outputs side by side, `(T, B, F)`, each in units of its largest recorded one."""
    _checks.check_same_shapes(_WHERE, name, outputs, rollout.outputs)
    pairs = zip(*map(jax.tree.leaves, (outputs, rollout.outputs)), strict=True)
    return np.concatenate([_scaled(*pair) for pair in pairs], axis=-1)


def _scaled(leaf: Any, recorded: Any) -> np.ndarray:
    values, known = (np.asarray(a).astype(np.float64) for a in (leaf, recorded))
    scale = np.max(np.abs(known), initial=0) or 1.0
    return values.reshape(*values.shape[:2], -1) / scale


def _shifted(flags: np.ndarray, steps: int) -> list[np.ndarray]:
    """Flags a step later or earlier: what comes in from outside may be either."""
    if not steps:
        return [flags]
    moved = np.roll(flags, steps, axis=0)
    found = [moved.copy(), moved.copy()]
    for value, candidate in enumerate(found):
        candidate[0 if steps > 0 else -1] = value
    return found


def _as_recorded(
    recorded: np.ndarray, rollout: Rollout, run: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The flags of those tried that acting had, row by row, and what `act` gives."""
    stored = np.asarray(rollout.done) != 0
    tried = {n: _shifted(stored, n) for n in _SHIFTS.values()}
    found = {n: run(flags) for n, flags in tried.items()}
    means = {n: np.abs(recorded - k).mean(axis=(1, 3)) for n, k in found.items()}
    best = min(means, key=lambda n: means[n].min(axis=0).sum())
    chosen = np.argmin(means[best], axis=0)
    rows = np.arange(stored.shape[1])
    flags = np.stack(tried[best])[chosen, :, rows].T
    return flags, found[best][chosen, :, rows].swapaxes(0, 1)


def _distance(outputs: np.ndarray, candidates: np.ndarray) -> float:
    """The largest difference, each row compared with its nearest candidate."""
    return float(np.abs(outputs - candidates).max(axis=(1, 3)).min(axis=0).max())


def _separation(hypotheses: Mapping[str, np.ndarray]) -> float:
    """How far the right outputs are from the nearest wrong ones."""
    (right,) = hypotheses["right"]
    wrong = (found for name, found in hypotheses.items() if name != "right")
    apart = min(_distance(right, found) for found in wrong)
    if apart < _TOLD:
        raise ValueError(
            f"{_WHERE}: the outputs must depend on where the memory is reset: here "
            f"they differ by {apart:.1g} of the largest. Record the end of an episode, "
            "and the outputs of the LSTM itself where the heads are still zero."
        )
    return apart


def _differs(off: np.ndarray) -> str:
    step, row = np.argwhere(off.max(-1) > _NEAR * off.max())[0]
    return (
        f"gives other outputs than the recorded ones, first at step {step} of row "
        f"{row}, with done as stored, a step later and a step earlier: give the "
        "parameters and the carry of the recording."
    )


_SENTENCES: dict[str, tuple[Verdict, str]] = {
    "right": (
        "right",
        "replay resets the memory before the same steps as acting did.",
    ),
    "a step late": (
        "a step late",
        (
            "replay resets the memory one step after acting did, so it forgets the "
            "first observation of each episode: give it the done that act was given "
            "with each observation."
        ),
    ),
    "a step early": (
        "a step early",
        (
            "replay resets the memory one step before acting did, so the last step "
            "of each episode has none: give it the done that act was given with each "
            "observation, not the one that followed it."
        ),
    ),
    "but the first": (
        "wrong otherwise",
        (
            "replay resets the memory before the same steps as acting did except for "
            "step 0: give it the done of the step before the rollout as well."
        ),
    ),
    "never": (
        "wrong otherwise",
        (
            "replay never resets the memory: give it the done that act was given "
            "with each observation."
        ),
    ),
}


def _judged(
    recorded: np.ndarray,
    replayed: np.ndarray,
    hypotheses: Mapping[str, np.ndarray],
    apart: float,
) -> ResetCheck:
    """The hypothesis that explains what was replayed."""
    off = {name: _distance(replayed, found) for name, found in hypotheses.items()}
    best = min(off, key=lambda name: off[name])
    if off[best] <= _NEAR * apart:
        return ResetCheck(*_SENTENCES[best])
    text = _differs(np.abs(replayed - recorded))
    return ResetCheck("wrong otherwise", f"replay {text}")
