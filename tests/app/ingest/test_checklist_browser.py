"""The checklist of OTLP 1.11, browsers: item 19 of docs/otlp.md, with what a page's browser sends and reads."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from app.ingest.limits import Limits
from app.ingest.signals import SIGNALS, Signal
from app.settings import IngestSettings
from tests.app.ingest.servers import Ingest, serve_http, stored_log
from tests.app.ingest.wire import JSON, post, status_of

SHOP = "https://shop.example.com"
FROM_SHOP = JSON | {"origin": SHOP}
ASKED = {"origin": SHOP, "access-control-request-method": "POST", "access-control-request-headers": "content-type,x-team"}


@contextmanager
def serving(folder: Path, settings: IngestSettings) -> Generator[Ingest]:
    with stored_log(folder) as log, serve_http(log, Limits(max_lag=10), settings=settings) as ingest:
        yield ingest


def preflight(ingest: Ingest, path: str = "/v1/traces", **changes: str) -> httpx.Response:
    return httpx.options(f"http://{ingest.address}{path}", headers=ASKED | changes)


@pytest.mark.parametrize("signal", SIGNALS)
def test_item_19_a_preflight_is_answered_on_every_path(tmp_path: Path, signal: Signal) -> None:
    settings = IngestSettings(cors_origins=(SHOP,), cors_headers=("X-Team",), cors_max_age_s=60)
    with serving(tmp_path, settings) as ingest:
        response = preflight(ingest, f"/v1/{signal}")
        assert ingest.sample("foreshock_requests_total", protocol="http", signal=signal, code="204") == 1
    found = response.headers
    assert (response.status_code, found["access-control-allow-origin"], found["vary"]) == (204, SHOP, "origin")
    assert found["access-control-allow-methods"] == "POST"
    names = found["access-control-allow-headers"].split(", ")
    assert names == ["content-type", "content-encoding", "authorization", "x-scope-orgid", "x-team"]
    assert found["access-control-max-age"] == "60"
    assert "access-control-allow-credentials" not in found


def test_item_19_answers_and_errors_name_the_origin_too(tmp_path: Path) -> None:
    with serving(tmp_path, IngestSettings(cors_origins=(SHOP,))) as ingest:
        answers = [
            post(ingest, "/v1/logs", b"{}", FROM_SHOP),
            post(ingest, "/v1/logs", b"[", FROM_SHOP),
            post(ingest, "/v1/logs", b"{}", {"origin": SHOP, "content-type": "text/plain"}),
            post(ingest, "/v1/other", b"{}", FROM_SHOP),
        ]
        ingest.receiver.lag = lambda: 11
        answers.append(post(ingest, "/v1/logs", b"{}", FROM_SHOP))
    assert [answer.status_code for answer in answers] == [200, 400, 415, 404, 503]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {SHOP}
    assert {answer.headers["vary"] for answer in answers} == {"origin"}
    assert answers[-1].headers["access-control-expose-headers"] == "retry-after"


def test_item_19_the_origin_is_echoed_with_credentials_and_never_a_star(tmp_path: Path) -> None:
    settings = IngestSettings(cors_origins=("https://*.example.com",), cors_credentials=True)
    with serving(tmp_path, settings) as ingest:
        answers = [preflight(ingest), post(ingest, "/v1/logs", b"{}", FROM_SHOP)]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {SHOP}
    assert {answer.headers["access-control-allow-credentials"] for answer in answers} == {"true"}


def test_item_19_credentials_with_every_origin_stop_the_start() -> None:
    with pytest.raises(ValidationError, match="cors_origins must name origins where cors_credentials is on"):
        IngestSettings(cors_origins=("*",), cors_credentials=True)


def test_item_19_another_origin_is_not_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, IngestSettings(cors_origins=(SHOP,))) as ingest:
        refused = preflight(ingest, origin="https://evil.example")
        taken = post(ingest, "/v1/logs", b"{}", JSON | {"origin": "https://evil.example"})
        plain = post(ingest, "/v1/logs", b"{}", JSON)
    assert (refused.status_code, status_of(refused).code) == (403, 7)
    assert [answer.headers.get("access-control-allow-origin") for answer in (refused, taken, plain)] == [None] * 3
    assert {answer.headers["vary"] for answer in (refused, taken, plain)} == {"origin"}


def test_item_19_it_is_off_by_default(tmp_path: Path) -> None:
    with serving(tmp_path, IngestSettings()) as ingest:
        answers = [preflight(ingest), post(ingest, "/v1/logs", b"{}", FROM_SHOP)]
    assert [answer.status_code for answer in answers] == [405, 200]
    assert not any(name.startswith("access-control") or name == "vary" for answer in answers for name in answer.headers)
