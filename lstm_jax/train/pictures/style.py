"""How pictures look, and how they are written."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

from lstm_jax.train.saved.writing import write_whole

# Colours that the colour-blind tell apart: Okabe and Ito, 2008.
BLUE, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#222222", "#8A8A8A"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": BLACK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "savefig.dpi": 150,
}


@contextmanager
def drawn(path: str | PathLike[str], width: float, height: float) -> Iterator[Any]:
    """A figure of so many inches, which is written to a PNG file at the end."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        held = io.BytesIO()
        figure.savefig(held, format="png", metadata={"Software": None})
    write_whole(path, held.getvalue())


def legend(axes: Any) -> None:
    """Names of the lines, in a row above the axes."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
    look = {"ncols": 4, "handlelength": 1.6, "columnspacing": 1.4, "fontsize": 8}
    _ = axes.legend(**place, **look)
