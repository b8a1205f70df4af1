"""Every core a device: an LSTM trained on both cores.

    python examples/cores_as_devices/train.py

XLA gains little from a second thread at the sizes of an LSTM. So each core becomes a
device, and the batch is divided among them by `shard_map`. It is compared with one
device, and with plain `jit` on a batch that lies on all devices.
"""

import json
import subprocess
import sys
from pathlib import Path

from examples.form import Example, Outcome, Size
from lstm_jax.train.pictures.style import BLACK, BLUE, GREY, ORANGE, drawn

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
    command = [sys.executable, str(FOLDER / "measure.py"), "--json", *SIZES[size]]
    command += ["--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    rows = {
        row: {TIME: found["times"][name], "loss at the end": found["losses"][name][-1]}
        for row, name in NAMES.items()
    }
    losses = found["losses"][NAMES["model"]]
    return Outcome(rows, (losses[0], losses[-1]))


def draw(outcome: Outcome, folder: Path) -> None:
    """The time of a step of each way."""
    with drawn(folder / "cores.png", 6.0, 1.8) as figure:
        axes = figure.subplots()
        lengths = [row[TIME] for row in outcome.rows.values()]
        look = {"color": (BLUE, ORANGE, GREY), "height": 0.6}
        bars = axes.barh(list(NAMES.values()), lengths, **look)
        _ = axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8, color=BLACK)
        axes.set(xlabel="milliseconds a step of training")
        axes.set(xlim=(0, 1.15 * max(lengths)))
        axes.invert_yaxis()


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
