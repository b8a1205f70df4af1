"""Three tunes as piano rolls."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.melody import abc_notation as abc, tunes
from lstm_jax.train.pictures.style import BLUE, GREY, ORANGE, drawn

SHOWN = 16  # bars


def draw(some: Mapping[str, Sequence[str]], path: Path) -> None:
    """The first bars of each tune: pitch over time, repeats not played out."""
    with drawn(path, 7.5, 1.9 * len(some)) as figure:
        rows = figure.subplots(len(some), 1, squeeze=False)[:, 0]
        for axes, (name, tune), color in zip(
            rows, some.items(), (BLUE, ORANGE, GREY), strict=False
        ):
            at, begins = 0.0, []
            for bar in tunes.bars(tune)[:SHOWN]:
                begins.append(at)
                for token in bar.notes:
                    pitch, sixteenths = abc.heard(token)
                    length = float(sixteenths)
                    if pitch is not None:
                        _ = axes.broken_barh(
                            [(at + 0.05, length - 0.1)], (pitch - 0.4, 0.8), color=color
                        )
                    at += length
            for begin in begins:
                _ = axes.axvline(begin, color="#DDDDDD", lw=0.8, zorder=0)
            metre, mode = (token[2:] for token in tune[:2])
            whole = "whole" if tunes.adds_up(tune) else "not whole"
            _ = axes.set_title(f"{name}: {metre}, {mode}, {whole}")
            _ = axes.set_xlim(0, at)
            _ = axes.set_xticks(
                begins[::4], [f"{n + 1}" for n in range(len(begins))][::4]
            )
            _ = axes.set_yticks([60, 72, 84], ["C4", "C5", "C6"])
            _ = axes.set_ylim(54, 92)
        _ = rows[-1].set_xlabel("bar")
