"""Docstrings are Markdown: their code, shapes, names and equations for Sphinx.

A shape such as `(T, *B, I)` becomes a link to the glossary of the axes, a public name a
link to its page, `$...$` an equation.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

import lstm_jax
import lstm_jax.train
import parity

SHAPE = re.compile(r"\([LDTBIHPOQ0-9*+, .]+\)")
INLINE = re.compile(r"(?<![`:\w])`(?P<code>[^`]+)`(?![`_])|\$(?P<equation>[^$]+)\$")
BLOCK = re.compile(r"^( *)\$\$\n(.*?)\n *\$\$", re.MULTILINE | re.DOTALL)
PUBLIC = {
    f"{package.__name__}.{name}"
    for package in (lstm_jax, lstm_jax.train, parity)
    for name in dir(package)
    if callable(getattr(package, name)) and not name.startswith("_")
}


class Shape(SphinxRole):
    """A shape in axis letters, linked to the glossary."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link."""
        glossary = self.env.app.builder.get_relative_uri(self.env.docname, "glossary")
        reference = nodes.reference("", "", refuri=f"{glossary}#axes")
        reference += nodes.literal(self.text, self.text, classes=["shape"])
        return [reference], []


def inline(match: re.Match[str], package: str) -> str:
    """Make of code or an equation in Markdown what Sphinx reads."""
    text = match["code"]
    if text is None:
        return f":math:`{match['equation']}`"
    if SHAPE.fullmatch(text):
        return f":shape:`{text}`"
    for name in (text, f"{package}.{text}"):
        if name in PUBLIC:
            return f":py:obj:`{text} <{name}>`"
    return f"``{text}``"


def equation(match: re.Match[str]) -> str:
    """Make a block of Sphinx of one between `$$`."""
    lines = [line.strip() for line in match[2].splitlines()]
    return "\n".join(
        [f"{match[1]}.. math::", "", *(f"{match[1]}   {x}" for x in lines)]
    )


def translate(text: str, package: str) -> str:
    """Translate a whole docstring; examples stay as they are."""
    text = BLOCK.sub(equation, text)
    return INLINE.sub(lambda match: inline(match, package), text)


def on_docstring(*event: Any) -> None:
    """Translate the lines of a docstring in place."""
    _, _, name, _, _, lines = event
    package = "lstm_jax.train" if "lstm_jax.train" in name else name.split(".")[0]
    parts = re.split(r"(?m)^( *>>> .*(?:\n.*\S.*)*)", "\n".join(lines))
    parts[::2] = [translate(part, package) for part in parts[::2]]
    lines[:] = "".join(parts).splitlines()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role `shape` and read docstrings before napoleon does."""
    app.add_role("shape", Shape())
    _ = app.connect("autodoc-process-docstring", on_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
