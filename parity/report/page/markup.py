"""HTML as text that is escaped where it is made, in `escape` alone."""

import html

from parity.show import printable

_MOST = 4000
_VOID = {"meta", "br"}


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


def escape(text: object) -> str:
    r"""Any text as HTML, for between tags and for attributes.

    Control characters, those that turn the direction of text included, become `?`.

    Example:
        >>> escape('<b title="x">\u202e')
        '&lt;b title=&quot;x&quot;&gt;?'
    """
    return html.escape(printable(text, _MOST), quote=True)


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """An element: `class_` is written `class`, and `aria_label` `aria-label`.

    A child or attribute of None is left out.

    Example:
        >>> element("p", "1 < 2", element("b", "!"), class_="sum")
        '<p class="sum">1 &lt; 2<b>!</b></p>'
    """
    named = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
    inside = "".join(f' {k}="{escape(v)}"' for k, v in named.items() if v is not None)
    if tag in _VOID:
        return Markup(f"<{tag}{inside}>")
    return Markup(f"<{tag}{inside}>{join(*children)}</{tag}>")


def join(*children: object) -> Markup:
    """Several one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )
