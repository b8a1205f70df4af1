"""What training on one sequence of 100,000 steps takes of memory.

    python examples/long_sequence/train.py

The backward pass needs what the forward pass leaves at every step. `remat="sqrt"` keeps
a few states and computes the rest again. It is compared with keeping everything, and
with `truncate=1000`, which cuts the gradient. Each is measured in a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.form import Example, Outcome, Size
from lstm_jax.train.pictures.style import BLUE, GREY, ORANGE, drawn

FOLDER = Path(__file__).parent
PEAK, SECONDS, LOSS = "peak memory, MB", "seconds an update", "loss"
SIZES = {
    "fast": ("--steps", "5000", "--hidden-size", "32", "--updates", "8"),
    "usual": ("--steps", "100000", "--hidden-size", "128", "--updates", "3"),
}
WAYS = {
    "model": ("--remat", "sqrt"),
    "truncate": ("--truncate", "1000"),
    "everything kept": (),
}


def measured(size: Size, seed: int, way: tuple[str, ...]) -> dict[str, Any]:
    """What `measure.py` says, in a process of its own: its peak is the process's."""
    script = str(FOLDER / "measure.py")
    command = [sys.executable, script, *SIZES[size], *way, "--seed", str(seed)]
    run = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def run(size: Size, seed: int) -> Outcome:
    """Measure each way of training."""
    found = {name: measured(size, seed, way) for name, way in WAYS.items()}
    rows = {
        name: {
            PEAK: one["peak"],
            SECONDS: min(one["seconds"][1:]),
            LOSS: one["losses"][-1],
        }
        for name, one in found.items()
    }
    losses = found["model"]["losses"]
    return Outcome(rows, (losses[0], losses[-1]))


def draw(outcome: Outcome, folder: Path) -> None:
    """The memory of each way."""
    with drawn(folder / "memory.png", 6.0, 1.8) as figure:
        axes = figure.subplots()
        lengths = [outcome.rows[name][PEAK] for name in WAYS]
        shown = ['remat="sqrt"', "truncate=1000", "everything kept"]
        bars = axes.barh(shown, lengths, color=(BLUE, ORANGE, GREY), height=0.6)
        _ = axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axes.set(xlabel="peak memory over that of the start, MB")
        axes.set(xlim=(0, 1.15 * max(1.0, *lengths)))
        axes.invert_yaxis()


EXAMPLE = Example(
    FOLDER,
    __doc__ or "",
    score=PEAK,
    best="lowest",
    run=run,
    draw=draw,
    machine=True,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
