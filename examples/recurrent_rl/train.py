"""Recurrent reinforcement learning: an agent that must remember what it saw.

    python examples/recurrent_rl/train.py

Every episode shows a cue at its first step and asks for it 20 steps later. An agent
with a memory is compared with one without, whose best return is 0.5. The same agent is
trained with `resets` shifted by a step, too: what that mistake costs.
"""

from functools import partial
from pathlib import Path

import jax
import numpy as np

from examples.form import Example, Outcome, Size
from examples.recurrent_rl.agent import Trained, train
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend

UPDATES = {"fast": 60, "usual": 300}
ENDS = 20  # updates whose mean is the loss at the start, and at the end
BEST_WITHOUT = 0.5  # of two answers that are as likely, one is right
# How each agent is trained: whether it has a memory, and the shift of its resets.
AGENTS = {
    "memory": (True, 0),
    "resets a step early": (True, -1),
    "resets a step late": (True, 1),
    "no memory": (False, 0),
}
COLORS = dict(zip(AGENTS, (BLUE, ORANGE, BLACK, GREY), strict=True))


def run(size: Size, seed: int) -> Outcome:
    """Train each agent, and let it act in episodes that it did not learn from."""
    made: dict[str, Trained] = {}
    for name, (memory, shift) in AGENTS.items():
        one = partial(train, updates=UPDATES[size], memory=memory, shift=shift)
        made[name] = jax.jit(one)(jax.random.key(seed))
    returns = {name: float(one.mean_return) for name, one in made.items()}
    shifted = {f"return, {name}": returns[name] for name in list(AGENTS)[1:3]}
    rows = {
        "model": {"return": returns["memory"], **shifted},
        "without memory": {"return": returns["no memory"]},
        "best without memory": {"return": BEST_WITHOUT},
    }
    wrong = 1 - np.asarray(made["memory"].learning)
    losses = float(wrong[:ENDS].mean()), float(wrong[-ENDS:].mean())
    return Outcome(rows, losses, made)


def draw(outcome: Outcome, folder: Path) -> None:
    """How each agent learns: the return over the updates, a mean of ten."""
    with drawn(folder / "learning.png", 7.0, 3.0) as figure:
        axes = figure.subplots()
        for name, one in outcome.kept.items():
            line = np.asarray(one.learning).reshape(-1, 10).mean(axis=1)
            updates = 10 * np.arange(1, len(line) + 1)
            _ = axes.plot(updates, line, color=COLORS[name], lw=1.5, label=name)
        _ = axes.axhline(BEST_WITHOUT, color=GREY, lw=0.8, ls="--")
        axes.set(xlabel="updates", ylabel="mean return of an episode", ylim=(0.3, 1.02))
        legend(axes)


EXAMPLE = Example(
    Path(__file__).parent,
    __doc__ or "",
    score="return",
    best="highest",
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
