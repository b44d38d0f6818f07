"""Plain tables and the box that searches them, as most pages show lists of some hundred rows at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

from app.dashboard.markup import Child, Markup, h
from app.dashboard.rights import may

__all__ = ["button", "matches", "meter", "search_box", "table"]


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Sequence[int] = (), keys: Iterable[str] | None = None
) -> Markup:
    """Return a table that scrolls by itself where it is wider than the page.

    Parameters
    ----------
    heads : sequence of str
        Of the columns.
    rows : iterable of sequence of Child
        Cells in the order of the heads.
    numbers : sequence of int
        Columns that hold numbers alone.
    keys : iterable of str, optional
        What each row is of, so that who is at one stays at it when others come before it.
    """

    def cell(tag: str, place: int, content: Child, **attributes: str) -> Markup:
        return h(f"{tag}.number" if place in numbers else tag, content, **attributes)

    head = h("thead", h("tr", [cell("th", place, text, scope="col") for place, text in enumerate(heads)]))
    of: Iterable[str | None] = repeat(None) if keys is None else keys
    body = [
        h("tr", [cell("td", place, content) for place, content in enumerate(row)], data_key=key)
        for row, key in zip(rows, of, strict=False)
    ]
    return h("div.wide", h("table.list", head, h("tbody", body)), tabindex=0, role="group", aria_label=", ".join(heads))


def search_box(search: str, what: str) -> Markup:
    """Return the box that the words to search for are typed into."""
    box = h("input", type="search", value=search, placeholder=what, data_search=True)
    return h("label.search", "Search ", box)


def matches(search: str, *texts: str) -> bool:
    """Return whether all words to search for stand in the texts.

    Examples
    --------
    >>> matches("pay reSource", "payment", "resource"), matches("cart", "payment"), matches("", "payment")
    (True, False, True)
    """
    text = " ".join(texts).lower()
    return all(word in text for word in search.lower().split())


def meter(share: float, label: str) -> Markup:
    """Return a bar of how much of something is done."""
    percent = round(100 * min(max(share, 0.0), 1.0))
    bar = h("i", style=f"width: {percent}%")
    return h("div.meter", bar, role="progressbar", aria_valuemin=0, aria_valuemax=100, aria_valuenow=percent, aria_label=label)


def button(text: str, act: str, value: str = "", **asked: str) -> Markup:
    """Return a button that does something on the server; nothing where who looks may not do that.

    Parameters
    ----------
    text : str
        On it.
    act, value : str
        What `app.dashboard.frame.Frame.acts` knows it by, and what it is about.
    **asked : str
        ``ask``, ``detail``, ``fields`` and ``verb`` of the question before; none asks nothing.

    Examples
    --------
    >>> button("Promote", "promote", "v1", ask="Let v1 serve?")
    '<button type="button" data-act="promote" data-value="v1" data-ask="Let v1 serve?">Promote</button>'
    """
    if not may(act):
        return Markup("")
    return h(
        "button", text, type="button", **{f"data_{name}": said for name, said in {"act": act, "value": value, **asked}.items()}
    )
