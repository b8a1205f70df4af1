"""What training on one sequence of 100,000 steps takes of memory.

    python examples/long_sequence/train.py

The backward pass needs what the forward pass leaves at every step. `remat="sqrt"` keeps
a few states and computes the rest again. It is compared with keeping everything, and
with `truncate=1000`, which cuts the gradient. Each is measured in a process of its own.
"""

from pathlib import Path

from examples.form import Example, Outcome, Size
from examples.machine import draw_bars, measured_by

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
SHOWN = 'remat="sqrt"', "truncate=1000", "everything kept"


def run(size: Size, seed: int) -> Outcome:
    """Measure each way of training."""
    given = *SIZES[size], "--seed", str(seed)
    found = {name: measured_by(FOLDER, *given, *way) for name, way in WAYS.items()}
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
    lengths = [outcome.rows[name][PEAK] for name in WAYS]
    label = "peak memory over that of the start, MB"
    draw_bars(folder / "memory.png", SHOWN, lengths, label)


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
