"""Every core a device: an LSTM trained on both cores.

    python examples/cores_as_devices/train.py

XLA gains little from a second thread at the sizes of an LSTM. So each core becomes a
device, and the batch is divided among them by `shard_map`. It is compared with one
device, and with plain `jit` on a batch that lies on all devices.
"""

from pathlib import Path

from examples.form import Example, Outcome, Size
from examples.machine import draw_bars, measured_by

FOLDER = Path(__file__).parent
TIME = "ms a step"
SIZES = {
    "fast": ("--steps", "20", "--rounds", "2"),
    "usual": ("--steps", "100", "--rounds", "10"),
}
NAMES = {
    "model": "shard_map",
    "one device": "one device",
    "jit over the devices": "jit over the devices",
}


def run(size: Size, seed: int) -> Outcome:
    """Measure, in a process that makes devices of its cores before JAX starts."""
    found = measured_by(FOLDER, *SIZES[size], "--seed", str(seed))
    rows = {
        row: {TIME: found["times"][name], "loss at the end": found["losses"][name][-1]}
        for row, name in NAMES.items()
    }
    losses = found["losses"][NAMES["model"]]
    return Outcome(rows, (losses[0], losses[-1]))


def draw(outcome: Outcome, folder: Path) -> None:
    """The time of a step of each way."""
    lengths = [row[TIME] for row in outcome.rows.values()]
    label = "milliseconds a step of training"
    draw_bars(folder / "cores.png", [*NAMES.values()], lengths, label)


EXAMPLE = Example(
    FOLDER,
    __doc__ or "",
    score=TIME,
    best="lowest",
    run=run,
    draw=draw,
    machine=True,
)

if __name__ == "__main__":
    _ = EXAMPLE.main()
