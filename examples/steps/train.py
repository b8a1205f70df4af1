"""The next hour of activity from the last day, of a wearer never seen.

    python examples/steps/train.py

A watch counts movements, minute by minute. An LSTM reads the last day and predicts the
mean of the next hour. Each of five wearers is left out in turn: a model is trained on
the other four and scored on the one that it has not seen.
"""

from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from examples.form import Example, Outcome, Size
from examples.steps.data import (
    DAY,
    HOUR,
    WEARERS,
    Windows,
    hour_of,
    hourly_mean,
    joined,
    read_wearer,
    split,
    windows,
)
from lstm_jax import LSTMModel
from lstm_jax.train import Arrays, fit
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn, legend
from lstm_jax.train.scores.ridge import fit_ridge

HIDDEN, RATE = 16, 3e-3
EPOCHS = {"fast": 2, "usual": 10}
NAMES = "model", "ridge", "last hour", "same hour yesterday", "hourly mean"
COLORS: dict[str, str] = dict(
    zip(NAMES, (BLUE, ORANGE, BLACK, GREY, "#56B4E9"), strict=True)
)


def rows(made: Windows) -> Arrays:
    """Samples of `fit`: with these weights an error costs its square in counts."""
    weights = (made.scale[:, None] / 100) ** 2
    return Arrays(made.xs, made.ys, weights.astype(np.float32))


def predicted(
    made: list[Windows], left_out: int, size: Size, seed: int
) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
    """Predictions for one wearer, in counts a minute, and the losses of training."""
    pairs = [split(one) for k, one in enumerate(made) if k != left_out]
    train, valid = (joined(list(parts)) for parts in zip(*pairs, strict=True))
    test = made[left_out]
    model = LSTMModel(
        train.xs.shape[-1], HIDDEN, 1, forget_bias=1.0, rngs=nnx.Rngs(seed)
    )
    options: Any = {"rate": RATE, "epochs": EPOCHS[size], "seed": seed}
    run = fit(model, rows(train), validation=rows(valid), **options)
    ridge = fit_ridge(rows(train), rows(valid))
    ratios = (
        np.asarray(run.model(test.xs))[:, 0],
        ridge.predict(rows(test))[:, 0],
        hour_of(test, -1),
        hour_of(test, 0),
        hourly_mean(train, test),
    )
    found = {n: one * test.scale for n, one in zip(NAMES, ratios, strict=True)}
    losses = run.history["loss"]
    return found, (float(losses.iloc[0]), float(losses.iloc[-1]))


def scores(
    found: list[dict[str, np.ndarray]], made: list[Windows]
) -> dict[str, dict[str, float]]:
    """Errors in counts a minute: means over the wearers, and of each wearer."""
    off = {
        name: [one[name] - test.truth for one, test in zip(found, made, strict=True)]
        for name in NAMES
    }
    rmse = {n: [float(np.sqrt(np.mean(e**2))) for e in off[n]] for n in NAMES}
    best = [min(NAMES, key=lambda name: rmse[name][k]) for k in range(len(made))]
    return {
        name: {
            "RMSE": float(np.mean(rmse[name])),
            "MAE": float(np.mean([np.abs(e).mean() for e in off[name]])),
            "wearers won": float(best.count(name)),
            **{f"wearer {k + 1}": one for k, one in enumerate(rmse[name])},
        }
        for name in NAMES
    }


def run(size: Size, seed: int) -> Outcome:
    """Leave each wearer out in turn."""
    made = [windows(read_wearer(name)) for name in WEARERS]
    results = [predicted(made, k, size, seed) for k in range(len(made))]
    found = [one for one, _ in results]
    begin, end = np.mean([losses for _, losses in results], axis=0)
    return Outcome(scores(found, made), (begin, end), (found, made))


def draw(outcome: Outcome, folder: Path) -> None:
    """Three days of the first wearer, and the error for each wearer."""
    found, made = outcome.kept
    first = made[0].where(made[0].end < made[0].end[0] + 3 * DAY)
    hours = (first.end - first.end[0] + first.minute[0]) / HOUR
    with drawn(folder / "steps.png", 8.0, 5.2) as figure:
        days, errors = figure.subplots(2, 1, height_ratios=(3, 2))
        _ = days.fill_between(hours, first.truth, color="#DDDDDD", label="truth")
        for name in ("model", "ridge"):
            line = found[0][name][: len(hours)]
            _ = days.plot(hours, line, color=COLORS[name], lw=1.3, label=name)
        days.set(ylabel="mean of the next hour,\ncounts a minute", ylim=(0, None))
        days.set(xlabel="time at wearer 1, hours (24 is midnight)")
        days.set(xlim=(hours[0], hours[-1]), xticks=range(12, 81, 6))
        legend(days)
        for place, name in enumerate(NAMES):
            one = [outcome.rows[name][f"wearer {k + 1}"] for k in range(len(made))]
            places = np.arange(len(made)) + 0.15 * (place - 2)
            look = {"color": COLORS[name], "width": 0.13, "label": name}
            _ = errors.bar(places, one, **look)
        errors.set_xticks(range(len(made)), [f"wearer {k + 1}" for k in range(5)])
        errors.set_ylabel("RMSE, counts a minute")
        errors.legend(ncols=5, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0))


EXAMPLE = Example(
    Path(__file__).parent,
    __doc__ or "",
    score="RMSE",
    best="lowest",
    run=run,
    draw=draw,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
