"""`plot_gates`: the numbers of a trace are the numbers of its pictures."""

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from lstm_jax import plot_gates, trace
from tests.given.inputs import B, H, I, T, make_inputs, make_spec
from tests.given.wrong import Row, assert_raises

STACK: Any = {"num_layers": 2, "bidirectional": True}
DRAWN = make_inputs(make_spec(**STACK))
PARAMS: dict[str, Any] = {name: a.astype("f4") for name, a in DRAWN.params.items()}
XS: Any = DRAWN.xs.astype("f4")
LENGTHS = np.array([7, 5, 3])
FOUND = trace(PARAMS, XS, lengths=LENGTHS)
ONE_LAYER: dict[str, Any] = {
    n: a for n, a in PARAMS.items() if "_l0" in n and "reverse" not in n
}


def pictures(figure: Any) -> dict[tuple[str, str], np.ndarray]:
    """What each picture shows, by the name of its column and its own."""
    columns, found = [], {}
    for axes in figure.axes:
        first, _, name = axes.get_title(loc="left").rpartition("\n")
        columns += [first] if first else []
        if name and axes.images:
            seen = sum(1 for _, other in found if other == name)
            found[(columns[seen] if len(columns) > seen else first, name)] = (
                axes.images[0].get_array()
            )
    return found


def test_each_picture_shows_its_gate_of_its_layer_and_direction() -> None:
    row = 1
    found = pictures(plot_gates(FOUND, XS, row=row))
    columns = [
        f"layer {layer}, {direction}"
        for layer in (0, 1)
        for direction in ("forward", "reverse")
    ]
    names = {"forget gate $f$": "f", "input gate $i$": "i", "output gate $o$": "o"}
    names |= {"cell $c$": "c"}
    assert len(found) == 5 * 4
    down = [name for column, name in found if column == columns[0]]
    assert down == ["input $x$", *names]
    for n, column in enumerate(columns):
        inputs = found[column, "input $x$"]
        np.testing.assert_array_equal(inputs, XS[:, row].T)
        for name, part in names.items():
            shown = np.ma.filled(found[column, name].astype(float), np.nan)
            expected = np.array(getattr(FOUND, part)[n, :, row], float).T
            expected[:, LENGTHS[row] :] = np.nan
            np.testing.assert_array_equal(shown, expected)


def test_a_layer_is_drawn_by_itself_and_without_inputs() -> None:
    found = pictures(plot_gates(FOUND, layer=1))
    assert {column for column, _ in found} == {"layer 1, forward", "layer 1, reverse"}
    assert len(found) == 2 * 4
    shown = found["layer 1, reverse", "output gate $o$"]
    np.testing.assert_array_equal(shown, FOUND.o[3, :, 0].T)


def test_directions_are_read_off_the_numbers() -> None:
    one = plot_gates(trace(ONE_LAYER, XS))
    assert {column for column, _ in pictures(one)} == {"layer 0"}
    resets = np.ones((T, B), bool)
    again = plot_gates(trace(ONE_LAYER, XS, resets=resets))
    assert {column for column, _ in pictures(again)} == {"layer 0"}


@pytest.mark.parametrize("batch", [(), (2, B)])
def test_batch_axes_and_layouts(batch: tuple[int, ...]) -> None:
    _, xs, _ = make_inputs(batch=batch)
    xs = np.moveaxis(xs.astype("f4"), 0, -2)
    row = (1, 2)[: len(batch)]
    found = trace(ONE_LAYER, xs, batch_first=True)
    drawn = pictures(plot_gates(found, xs, row=row or None, batch_first=True))
    place = (0, *row)
    np.testing.assert_array_equal(drawn["layer 0", "cell $c$"], found.c[place].T)
    np.testing.assert_array_equal(drawn["layer 0", "input $x$"], xs[row].T)


def test_few_features_are_lines() -> None:
    params = ONE_LAYER | {"weight_ih_l0": ONE_LAYER["weight_ih_l0"][:, :2]}
    figure = plot_gates(trace(params, XS[..., :2]), XS[..., :2], row=2)
    lines = figure.axes[0].get_lines()
    assert len(lines) == 2
    for k, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_ydata(), XS[:, 2, k])
    assert len({to_hex(line.get_color()) for line in lines}) == 2


def test_gates_have_one_scale_and_the_cell_one_about_zero() -> None:
    figure = plot_gates(FOUND)
    for axes in figure.axes:
        for image in axes.images:
            low, high = image.get_clim()
            cell = "cell" in axes.get_title(loc="left")
            largest = float(np.abs(FOUND.c[:, :, 0]).max())
            assert (low, high) == ((-largest, largest) if cell else (0, 1))


def luminance(color: Any) -> float:
    digits = to_hex(color)[1:]
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [
        x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: Any, other: Any) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_lines_are_read_on_white_and_on_dark() -> None:
    params = ONE_LAYER | {"weight_ih_l0": ONE_LAYER["weight_ih_l0"][:, :4]}
    figure = plot_gates(trace(params, XS[..., :4]), XS[..., :4])
    assert figure.get_facecolor()[3] == 0
    colors, texts = [line.get_color() for line in figure.axes[0].get_lines()], []
    for axes in figure.axes:
        assert axes.patch.get_facecolor()[3] == 0 or axes.images or axes.collections
        labels = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        labels += [axes.xaxis.label, axes.yaxis.label]
        texts += [label.get_color() for label in labels]
    assert len(texts) > 20
    for page in ("#ffffff", "#121212"):
        assert min(contrast(color, page) for color in texts) > 4.2
        assert min(contrast(color, page) for color in colors) > 3


WRONG: list[Row] = [
    (
        lambda: plot_gates((1, 2)),  # pyright: ignore[reportArgumentType]
        TypeError,
        (
            "plot_gates: trace must be a Trace, not tuple: gates and states of every "
            "step are drawn. Use lstm_jax.trace(params, xs)."
        ),
    ),
    (
        lambda: plot_gates(trace(PARAMS, XS[:1])),
        ValueError,
        (
            "plot_gates: trace must have two steps at least, not 1: it is drawn over "
            "time. Trace a longer sequence."
        ),
    ),
    (
        lambda: plot_gates(FOUND, XS[:, :2]),
        ValueError,
        (
            f"plot_gates: xs.shape=(7, 2, {I}) must be (7, 3, I): the trace has these "
            "steps and rows. Use the inputs that were traced."
        ),
    ),
    (
        lambda: plot_gates(FOUND, row=3),
        ValueError,
        (
            "plot_gates: row=3 must be a row of the batch (3,): a number for each of "
            "its axes. Use (0,) for the first."
        ),
    ),
    (
        lambda: plot_gates(FOUND, row=(0, 0)),
        ValueError,
        (
            "plot_gates: row=(0, 0) must be a row of the batch (3,): a number for "
            "each of its axes. Use (0,) for the first."
        ),
    ),
    (
        lambda: plot_gates(FOUND, layer=2),
        ValueError,
        (
            "plot_gates: layer=2 must be a layer of the trace, 0 to 1: layers count "
            "from 0. Use None for all."
        ),
    ),
]


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("row", WRONG, ids=lambda row: row[2][:50])
def test_what_cannot_be_drawn(row: Row) -> None:
    assert_raises(row)


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match="matplotlib") as caught:
        _ = plot_gates(FOUND)
    assert str(caught.value) == (
        "plot_gates: matplotlib must be installed: it draws the figure. Use pip "
        "install matplotlib."
    )


def test_units_are_lines_of_the_picture() -> None:
    assert {a.shape for a in pictures(plot_gates(FOUND)).values()} == {(H, T)}
