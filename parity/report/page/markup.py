"""HTML as text, escaped in one place: `escape`."""

import html

from lstm_jax.terminal import printable

_MOST = 4000
_VOID = {"meta", "br"}


class Markup(str):
    """Text that is HTML already: it is not escaped again."""

    __slots__ = ()


def escape(text: object) -> str:
    r"""Any text as HTML: between tags, or in an attribute.

    Control characters become `?`, those that turn the direction of text too.

    Example:
        >>> escape('<b title="x">\u202e')
        '&lt;b title=&quot;x&quot;&gt;?'
    """
    return html.escape(printable(text, _MOST), quote=True)


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """An element; a child or an attribute that is None is left out.

    `class_` is written `class`, and `aria_label` is written `aria-label`.

    Example:
        >>> element("p", "1 < 2", element("b", "!"), class_="sum")
        '<p class="sum">1 &lt; 2<b>!</b></p>'
    """
    named = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
    inside = "".join(f' {k}="{escape(v)}"' for k, v in named.items() if v is not None)
    if tag in _VOID:
        return Markup(f"<{tag}{inside}>")
    return Markup(f"<{tag}{inside}>{concat(*children)}</{tag}>")


def concat(*children: object) -> Markup:
    """Several children, one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )
