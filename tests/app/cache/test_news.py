"""News are who serves and what was said, tenant by tenant, read from memory."""

from __future__ import annotations

import pytest

from app.cache.documents import encode_document, tenant_key
from app.cache.news import News
from app.cache.records import FeedbackRecord, Known, SelectorRecord
from app.store.contract import Documents
from features.series import WHOLE, SeriesKey
from models.version import ServingHistory
from tests.api_builders import NOON


@pytest.fixture
def news(documents: Documents) -> News:
    return News(documents.watch("models"), documents.watch("feedback"))


def serve(documents: Documents, *history: str, tenant: str = "default") -> None:
    documents.put("models", f"{tenant}/serving", ServingHistory(history).to_json())


def say(documents: Documents, name: str, tenant: str = "default", **about: object) -> None:
    record = FeedbackRecord(name, tenant, NOON, "confirmed", **about)  # pyright: ignore[reportArgumentType]
    documents.put("feedback", tenant_key(tenant, name), encode_document(record))


def test_who_serves_is_known_by_tenant_as_of_now(documents: Documents, news: News) -> None:
    cart, other = SeriesKey("default", "cart", WHOLE), SeriesKey("other", "cart", WHOLE)
    assert news.known(cart) == Known()
    before = news.changes
    serve(documents, "first", "second")
    assert news.changes != before
    assert (news.known(cart), news.known(other)) == (Known("second"), Known())
    serve(documents, "first")
    assert news.known_of([cart, other, cart]) == [Known("first"), Known(), Known("first")]


def test_verdicts_count_for_the_series_they_are_about(documents: Documents, news: News) -> None:
    serve(documents, "first")
    say(documents, "f1", service="cart", operation=WHOLE)
    say(documents, "f2", selector=SelectorRecord("cart", None))
    say(documents, "f3", selector=SelectorRecord())
    say(documents, "f4", prediction_id="gone")
    say(documents, "f5", "other", service="cart", operation=WHOLE)
    say(documents, "undo-f1", service="cart", operation=WHOLE, undoes="f1")
    documents.put("feedback", "default/odd", b'{"of": "another version"}')
    keys = [SeriesKey("default", "cart", WHOLE), SeriesKey("default", "cart", "GET /"), SeriesKey("default", "web", WHOLE)]
    assert news.known_of(keys) == [Known("first", 4), Known("first", 2), Known("first", 1)]
    assert [news.known(key) for key in keys] == news.known_of(keys)
    say(documents, "f6", service="web", operation=WHOLE)
    assert news.known(keys[2]) == Known("first", 2)
