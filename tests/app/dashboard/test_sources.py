"""A page's state goes into its URL and comes out of it."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from app.dashboard.sources import RANGES, View, tenants
from tests.app.dashboard.sources import sources_of
from tests.nodes import RunningNode

NAMES = st.from_regex(r"\A[A-Za-z0-9_\-]{1,20}\Z")


@given(NAMES, st.sampled_from(sorted(RANGES)), st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_a_view_is_the_same_after_its_link(tenant: str, chosen: str, search: str) -> None:
    view = View(tenant, range=chosen)
    link = urlsplit(view.link("errors", search=search))
    assert View.of(dict(parse_qsl(link.query)), "default") == view.searching(search)


def test_what_is_no_name_and_no_range_counts_as_not_said() -> None:
    assert View.of({"tenant": "a/b", "range": "1y", "q": "x" * 500}, "mine") == View("mine", "mine", search="x" * 200)
    assert View("a", range="7d").range_s == 604_800.0


def test_tenants_are_those_that_have_services(shop: RunningNode) -> None:
    assert {"default", "mine"} <= set(tenants(sources_of(shop).cache, "mine"))
