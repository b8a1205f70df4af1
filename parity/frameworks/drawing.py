"""A picture of the layouts: how the gates of each framework lie in memory."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple

from parity.frameworks.layouts import Layout

_COLOURS = {"i": "#9ecae1", "f": "#fdd0a2", "g": "#a1d99b", "o": "#dadaeb"}
_UNIT, _INPUTS, _OUTPUTS = 16, 44, 32  # pixels of H in a gate, of I, and of H
_ROW, _WIDTH = 92, 760
_KERNELS, _RECURRENT, _BIASES, _TOP = 190, 370, 550, 40


class _Block(NamedTuple):
    """A gate's block of an array: left, top, width, height."""

    gate: str
    x: int
    y: int
    width: int
    height: int


def picture(layouts: Iterable[Layout]) -> str:
    """All layouts as one SVG, a row for each."""
    rows = list(layouts)
    height = _TOP + _ROW * len(rows)
    body = [_words(), *(line for k, one in enumerate(rows) for line in _row(k, one))]
    box = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    font = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} {font}>'
    title = "<title>How each framework keeps the gates of an LSTM</title>"
    ground = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    return "\n".join([head, title, ground, *body, "</svg>", ""])


def _words() -> str:
    heads = {_KERNELS: "inputs, I", _RECURRENT: "hidden, H", _BIASES: "biases"}
    return "\n".join(_text(x, 22, words, "#555") for x, words in heads.items())


def _row(number: int, layout: Layout) -> Iterator[str]:
    top = _TOP + _ROW * number
    yield f'<line x1="0" x2="{_WIDTH}" y1="{top - 8}" y2="{top - 8}" stroke="#ddd"/>'
    yield _text(12, top + 20, layout.name, "black")
    for block in _blocks(layout, top):
        yield _drawn(block)
    if layout.lies == "joined":
        end = top + _INPUTS
        yield (
            f'<line x1="{_KERNELS}" x2="{_KERNELS + 4 * _UNIT}" y1="{end}" y2="{end}" '
            'stroke="black" stroke-dasharray="3"/>'
        )


def _blocks(layout: Layout, top: int) -> Iterator[_Block]:
    """The blocks of a row of the picture."""
    gates = layout.gates
    if layout.lies == "flat":
        yield from _strip(gates, top)
        return
    gap = 5 * (layout.lies == "apart")
    if layout.lies == "joined":
        yield from _across(gates, _KERNELS, top, _INPUTS + _OUTPUTS, gap)
    else:
        along = _across if layout.transposed else _down
        yield from along(gates, _KERNELS, top, _INPUTS, gap)
        yield from along(gates, _RECURRENT, top, _OUTPUTS, gap)
    for k in range(layout.biases):
        yield from _across(gates, _BIASES + k * 5 * _UNIT, top, 14, gap)


def _down(gates: str, x: int, y: int, size: int, gap: int) -> Iterator[_Block]:
    for k, gate in enumerate(gates):
        yield _Block(gate, x, y + k * (_UNIT + gap), size, _UNIT)


def _across(gates: str, x: int, y: int, size: int, gap: int) -> Iterator[_Block]:
    for k, gate in enumerate(gates):
        yield _Block(gate, x + k * (_UNIT + gap), y, _UNIT, size)


def _strip(gates: str, top: int) -> Iterator[_Block]:
    """Kernels and biases after each other in one vector."""
    x, sizes = _KERNELS, (_INPUTS, _OUTPUTS, _UNIT, _UNIT)
    for size in sizes:
        for gate in gates:
            yield _Block(gate, x, top + 8, size, 16)
            x += size


def _drawn(block: _Block) -> str:
    gate, x, y, width, height = block
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" '
    middle = _text(x + width // 2 - 3, y + min(height, _INPUTS) // 2 + 4, gate, "black")
    return f'{box}fill="{_COLOURS[gate]}" stroke="#555"/>{middle}'


def _text(x: int, y: int, words: str, colour: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}">{escape(words)}</text>'
