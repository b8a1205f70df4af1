"""What the wearer of a watch is doing, told at every step.

    python examples/activity/train.py

Streams of a smart watch are joined from recordings of one activity each: standing,
walking, running, badminton. A bidirectional LSTM names the activity at each step.
Scored are all steps, and those near a change. No recording is in two parts.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from examples.activity.baselines import WIDTHS, fit_linear
from examples.activity.data import CLASSES, Streams, near_changes, parts
from examples.form import Example, Outcome, Size
from lstm_jax import LSTMModel
from lstm_jax.train import fit
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn

HIDDEN, RATE, BATCH = 32, 1e-2, 32
EPOCHS = {"fast": 5, "usual": 12}
SHARES = {"fast": 6, "usual": 1}  # one stream of so many is used
COLORS = ("#DDDDDD", BLUE, ORANGE, "#009E73")  # of the classes


@cache
def baselines(size: Size) -> dict[str, np.ndarray]:
    """What the baselines say of the test part: the same for every seed."""
    train, plain, valid, test = parts(SHARES[size])
    half = Streams(train.xs[: len(plain.xs)], train.ys[: len(plain.xs)])
    tried = WIDTHS[:1] if size == "fast" else WIDTHS
    linear = fit_linear((plain, half), valid, tried)
    often = np.bincount(train.ys.ravel()).argmax()
    return {
        "linear model": linear.predict(test.xs),
        "most frequent": np.full(test.ys.shape, often),
    }


def scores(found: np.ndarray, ys: np.ndarray) -> dict[str, float]:
    """The share of the steps that are named rightly: all, near changes, elsewhere."""
    right, near = found == ys, near_changes(ys)
    return {
        "accuracy": float(right.mean()),
        "near changes": float(right[near].mean()),
        "elsewhere": float(right[~near].mean()),
    }


def run(size: Size, seed: int) -> Outcome:
    """Train, and name the steps of the test streams."""
    train, _, valid, test = parts(SHARES[size])
    model = LSTMModel(
        train.xs.shape[-1],
        HIDDEN,
        len(CLASSES),
        bidirectional=True,
        outputs="all",
        forget_bias=1.0,
        rngs=nnx.Rngs(seed),
    )
    options: Any = {"loss": "cross_entropy", "rate": RATE, "batch": BATCH}
    options |= {"epochs": EPOCHS[size], "patience": None, "seed": seed}
    done = fit(model, (train.xs, train.ys), validation=(valid.xs, valid.ys), **options)
    named = np.asarray(done.model(test.xs)).argmax(axis=-1)
    found = {"model": named, **baselines(size)}
    rows = {name: scores(one, test.ys) for name, one in found.items()}
    losses = done.history["loss"]
    ends = float(losses.iloc[0]), float(losses.iloc[-1])
    return Outcome(rows, ends, (found, test))


def draw(outcome: Outcome, folder: Path) -> None:
    """The stream whose accuracy is the median: the signal, and who says what of it."""
    found, test = outcome.kept
    right = (found["model"] == test.ys).mean(axis=1)
    row = np.argsort(right)[len(right) // 2]
    seconds = np.arange(test.ys.shape[1] + 1) / 10
    says = {"truth": test.ys, **found}
    with drawn(folder / "activity.png", 8.0, 3.4) as figure:
        signal, bands = figure.subplots(2, 1, sharex=True)
        _ = signal.plot(seconds[:-1], test.xs[row, :, 0], color=BLACK, lw=0.7)
        signal.set(ylabel="acceleration x,\nstandardised", xlim=(0, seconds[-1]))
        for place, one in enumerate(says.values()):
            edges = np.flatnonzero(np.diff(one[row])) + 1
            begins, ends = np.r_[0, edges], np.r_[edges, len(one[row])]
            for begin, end in zip(begins, ends, strict=True):
                color = COLORS[one[row][begin]]
                width = seconds[end] - seconds[begin]
                look = {"left": seconds[begin], "color": color, "height": 0.8}
                _ = bands.barh(place, width, **look)
        bands.set_yticks(range(len(says)), list(says))
        bands.invert_yaxis()
        bands.set_xlabel("seconds")
        for color, name in zip(COLORS, CLASSES, strict=True):
            _ = signal.plot([], [], color=color, lw=6, label=name)
        _ = signal.axhline(0, color=GREY, lw=0.5)
        signal.legend(ncols=4, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0))


EXAMPLE = Example(
    Path(__file__).parent,
    __doc__ or "",
    score="accuracy",
    best="highest",
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
