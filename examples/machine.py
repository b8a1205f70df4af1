"""What the examples that measure the machine share: a process, and bars."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lstm_jax.train.pictures.style import BLUE, GREY, ORANGE, drawn


def measured_by(folder: Path, *words: str) -> dict[str, Any]:
    """What `measure.py` of a folder says, in a process of its own."""
    command = [sys.executable, str(folder / "measure.py"), *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def draw_bars(
    path: Path, names: Sequence[str], lengths: Sequence[float], label: str
) -> None:
    """A bar for each of three ways, with its number."""
    with drawn(path, 6.0, 1.8) as figure:
        axes = figure.subplots()
        bars = axes.barh(names, lengths, color=(BLUE, ORANGE, GREY), height=0.6)
        _ = axes.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
        axes.set(xlabel=label, xlim=(0, 1.15 * max(1.0, *lengths)))
        axes.invert_yaxis()
