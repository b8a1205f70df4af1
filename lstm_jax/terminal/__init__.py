"""What the commands of both packages share: their program, screen and text."""

from lstm_jax.terminal.program import Program as Program
from lstm_jax.terminal.screen import Screen as Screen, say as say, width as width
from lstm_jax.terminal.text import (
    WIDTH as WIDTH,
    jsonable as jsonable,
    printable as printable,
    text_table as text_table,
)
