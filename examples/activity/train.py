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

from examples.activity.baselines import fit_linear
from examples.activity.data import (
    CLASSES,
    Streams,
    near_changes,
    read_part,
    split,
    streams,
)
from examples.form import Example, Outcome, Size
from lstm_jax import LSTMModel
from lstm_jax.train import fit
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn

HIDDEN, RATE, BATCH, GAIN = 32, 5e-3, 16, 0.3
COUNTS = {"fast": (32, 8, 8), "usual": (192, 24, 48)}  # streams: train, valid, test
EPOCHS = {"fast": 5, "usual": 15}
COLORS = ("#DDDDDD", BLUE, ORANGE, "#009E73")  # of the classes


@cache
def parts(size: Size) -> tuple[Streams, Streams, Streams]:
    """Training, validation and test; inputs are standardised by the training part."""
    made = [*split(read_part("TRAIN")), read_part("TEST")]
    counts = COUNTS[size]
    found = [streams(made[0], counts[0], 0, GAIN)]
    found += [streams(made[k], counts[k], k) for k in (1, 2)]
    centre, scale = found[0].xs.mean(axis=(0, 1)), found[0].xs.std(axis=(0, 1))
    return tuple(Streams((one.xs - centre) / scale, one.ys) for one in found)


@cache
def baselines(size: Size) -> dict[str, np.ndarray]:
    """What the baselines say of the test part: the same for every seed."""
    train, valid, test = parts(size)
    often = np.bincount(train.ys.ravel()).argmax()
    linear = fit_linear(train, valid)
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
    train, valid, test = parts(size)
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
    return Outcome(rows, (float(losses.iloc[0]), float(losses.iloc[-1])), found)


def draw(outcome: Outcome, folder: Path) -> None:
    """The stream whose accuracy is the median: the signal, and who says what of it."""
    size: Size = "fast" if len(outcome.kept["model"]) == COUNTS["fast"][2] else "usual"
    test = parts(size)[2]
    right = (outcome.kept["model"] == test.ys).mean(axis=1)
    row = np.argsort(right)[len(right) // 2]
    seconds = np.arange(test.ys.shape[1] + 1) / 10
    says = {"truth": test.ys, **outcome.kept}
    with drawn(folder / "activity.png", 8.0, 3.4) as figure:
        signal, bands = figure.subplots(2, 1, sharex=True)
        _ = signal.plot(seconds[:-1], test.xs[row, :, 0], color=BLACK, lw=0.7)
        signal.set(ylabel="acceleration,\nstandardised", xlim=(0, seconds[-1]))
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
