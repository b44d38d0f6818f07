"""HTML out of values: everything that is text is escaped, so that no name from outside can become markup.

The pages of `app.dashboard` are made of it; `app.dashboard.frame` hands the text to the browser.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Child", "Markup", "h", "join"]

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already; only `h` and `join` make it."""

    __slots__ = ()


Child: TypeAlias = "str | int | float | Iterable[Child] | None"
"""What may stand inside of an element: markup, text to be escaped, numbers, several of these, or nothing."""


def h(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """Return an element.

    Parameters
    ----------
    tag : str
        Its name, with classes behind dots.
    *children : Child
        What is inside, in order.
    **attributes : str, int, float, bool or None
        Underscores become dashes, one at the end goes; True writes the name alone, False and None write nothing.

    Examples
    --------
    >>> h("a.name", "<cart>", href="/service/cart?a=1&b=2")
    '<a class="name" href="/service/cart?a=1&amp;b=2">&lt;cart&gt;</a>'
    >>> h("button", "Go", disabled=True, aria_label=None), h("br")
    ('<button disabled>Go</button>', '<br>')
    """
    name, *classes = tag.split(".")
    shown = {"class_": " ".join(classes), **attributes} if classes else attributes
    head = f"<{name}{''.join(_attribute(key, value) for key, value in shown.items())}>"
    return Markup(head if name in _VOID else f"{head}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Return children one behind the other.

    Examples
    --------
    >>> join([h("b", 1), None, " & ", ["x", 2]])
    '<b>1</b> &amp; x2'
    """
    return Markup("".join(map(_text, children)))


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str | int | float):
        return escape(str(child))
    return join(child)
