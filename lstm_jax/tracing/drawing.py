"""A trace as a picture: gates and cell over time, under the input.

What draws needs matplotlib, the extra `plot`: it is imported inside the functions.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lstm_jax import _checks
from lstm_jax._types import AnyArray
from lstm_jax.tracing.gates import Trace

_WHERE = "plot_gates"
_TITLES = {
    "f": "forget gate $f$",
    "i": "input gate $i$",
    "o": "output gate $o$",
    "c": "cell $c$",
}
# A grey with a contrast of 4.3 to 1 on white and on a page of #121212.
_TEXT = "#797979"
# Okabe and Ito's blue, orange, green and purple, as light as a dark page needs.
_LINES = ("#1F83BF", "#D55E00", "#00956B", "#B8689A")
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "legend.frameon": False,
}


def plot_gates(
    trace: Trace,
    xs: Float[AnyArray, "... I"] | None = None,
    *,
    row: int | tuple[int, ...] | None = None,
    layer: int | None = None,
    batch_first: bool = False,
) -> Any:
    """Forget, input and output gate and the cell over time, under the input.

    A column for each layer and direction; time runs to the right, a line of a picture
    is a unit. Gates are shown from 0, dark, to 1, light; the cell from blue over white
    to red, its middle is 0. What lies past the end of a row is left empty. Colours are
    told apart by the colour-blind; the page shows through, and text is grey, so that
    the picture is read in light and in dark.

    Args:
        trace: What `lstm_jax.trace` returned. Directions are read off its numbers: a
            cell follows from the one before it, or from the one after it.
        xs: The inputs of the trace, `(T, *B, I)`: up to four features are lines, more
            are a picture. None leaves them out.
        row: Which row of the batch, a number for each of its axes. None is the first.
        layer: Which layer, in both directions. None draws all.
        batch_first: Whether the trace and `xs` are `(..., *B, T, ...)`.

    Returns:
        The `matplotlib.figure.Figure`; `savefig` writes it.

    Raises:
        ValueError: If the trace has fewer than two steps, `xs` are not its inputs, or
            there is no such row or layer.
        ImportError: If matplotlib is missing.

    Example:
        >>> params = init_params(jax.random.key(0), 3, 4, 2)
        >>> xs = jnp.ones((7, 5, 3))
        >>> figure = plot_gates(trace(params, xs), xs, row=2)
        >>> [axes.get_title(loc="left") for axes in figure.axes[2:6:2]]
        ['forget gate $f$', 'input gate $i$']
    """
    first = _time_second(trace, batch_first)
    place = _checks.check_row(_WHERE, row, first.i.shape[2:-1])
    names = _names(first)
    chosen = _checks.check_layer(_WHERE, layer, names)
    parts = {n: np.asarray(getattr(first, n)) for n in "fioc"}
    shown = {n: a[(slice(None), slice(None), *place)] for n, a in parts.items()}
    given = None if xs is None else _inputs(xs, trace, place, batch_first)
    return _figure(
        {names[n]: {k: a[n] for k, a in shown.items()} for n in chosen}, given
    )


def _time_second(trace: Trace, batch_first: bool) -> Trace:
    """The trace as `(L*D, T, *B, ...)`, of two steps at least."""
    if not isinstance(trace, Trace):
        raise TypeError(
            f"{_WHERE}: trace must be a Trace, not {type(trace).__name__}: gates and "
            "states of every step are drawn. Use lstm_jax.trace(params, xs)."
        )
    if batch_first:
        trace = jax.tree.map(lambda a: jnp.moveaxis(a, -2, 1), trace)
    if trace.i.shape[1] < 2:
        raise ValueError(
            f"{_WHERE}: trace must have two steps at least, not {trace.i.shape[1]}: it "
            "is drawn over time. Trace a longer sequence."
        )
    return trace


def _names(trace: Trace) -> list[str]:
    """Layer and direction of each row of the trace."""
    rows = range(trace.i.shape[0])
    turned = [_is_reverse(*(np.asarray(a[n], float) for a in trace)) for n in rows]
    if not any(turned):
        return [f"layer {n}" for n in rows]
    return [f"layer {n // 2}, {('forward', 'reverse')[n % 2]}" for n in rows]


def _is_reverse(i: Any, f: Any, g: Any, o: Any, h: Any, c: Any) -> bool:
    """Whether a cell follows from the next one: to rounding, or not at all."""
    del o, h
    new = i * g
    on = np.abs(c[1:] - f[1:] * c[:-1] - new[1:])[i[1:] > 0]
    back = np.abs(c[:-1] - f[:-1] * c[1:] - new[:-1])[i[:-1] > 0]
    return bool(on.size and np.median(back) < 0.01 * np.median(on))


def _inputs(xs: Any, trace: Trace, place: tuple, batch_first: bool) -> np.ndarray:
    """The inputs of one row, `(T, I)`."""
    xs, expected = np.asarray(xs), trace.i.shape[1:-1]
    if xs.shape[:-1] != expected:
        raise ValueError(
            f"{_WHERE}: {xs.shape=} must be ({', '.join(map(str, expected))}, I): the "
            "trace has these steps and rows. Use the inputs that were traced."
        )
    if batch_first:
        xs = np.moveaxis(xs, -2, 0)
    return xs[(slice(None), *place)].astype(float)


def _figure(columns: dict[str, dict[str, np.ndarray]], xs: np.ndarray | None) -> Any:
    """A column of pictures for each layer and direction."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"{_WHERE}: matplotlib must be installed: it draws the figure. Use "
            "pip install matplotlib."
        ) from error
    above = int(xs is not None)
    with mpl.rc_context(_STYLE):
        size = (1.4 + 3.6 * len(columns), 1.3 * (4 + above) + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        shape: Any = {"sharex": True, "squeeze": False}
        axes = figure.subplots(4 + above, len(columns), **shape)
        if xs is not None:
            _draw_inputs(axes[0], xs)
        _draw_pictures(figure, axes[above:], list(columns.values()))
        for name, top, bottom in zip(columns, axes[0], axes[-1], strict=True):
            top.set_title(f"{name}\n{top.get_title(loc='left')}", loc="left")
            bottom.set_xlabel("step")
        figure.draw_without_rendering()  # ticks take their colour here
    return figure


def _draw_pictures(figure: Any, axes: Any, columns: list[dict[str, Any]]) -> None:
    """The gates from 0 to 1, then the cell about 0."""
    most = max(float(np.max(np.abs(column["c"]), initial=0)) for column in columns)
    limits = {"cmap": "RdBu_r", "vmin": -(most or 1.0), "vmax": most or 1.0}
    gates = {"cmap": "cividis", "vmin": 0, "vmax": 1}
    for row, name in zip(axes, "fioc", strict=True):
        for place, column in zip(row, columns, strict=True):
            ended = (column["i"] == 0).all(-1)[:, None]
            values = np.where(ended, np.nan, column[name]).T
            _ = _heat(place, values, limits if name == "c" else gates)
            place.set_title(_TITLES[name], loc="left")
        row[0].set_ylabel("unit")
    for part, label in ((axes[:3], "gate"), (axes[3:], "cell")):
        bar = figure.colorbar(part[0, 0].images[0], ax=part, pad=0.01)
        bar.set_label(label)
        bar.outline.set_visible(False)


def _heat(place: Any, values: np.ndarray, look: dict[str, Any]) -> Any:
    place.yaxis.get_major_locator().set_params(integer=True)
    place.xaxis.get_major_locator().set_params(integer=True)
    return place.imshow(values, aspect="auto", interpolation="nearest", **look)


def _draw_inputs(row: Any, xs: np.ndarray) -> None:
    """The same inputs above each column."""
    for place in row:
        place.set_title("input $x$", loc="left")
        if xs.shape[1] > len(_LINES):
            most = float(np.nanmax(np.abs(xs), initial=0)) or 1.0
            _ = _heat(place, xs.T, {"cmap": "RdBu_r", "vmin": -most, "vmax": most})
            continue
        for feature, color in zip(xs.T, _LINES, strict=False):
            _ = place.plot(feature, color=color, lw=1.2)
        for side in ("top", "right"):
            place.spines[side].set_visible(False)
    row[0].set_ylabel("feature" if xs.shape[1] > len(_LINES) else "value")
