"""Who may send: the same tokens over OTLP/HTTP, on both of its ways, and over OTLP/gRPC, answered in OTLP's own form."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from app.auth import ANYONE, Doorkeeper, Scope, Tokens, Wanted
from app.auth.tokens import BUCKET
from app.clock import utc_now
from app.ingest.limits import Limits
from app.ingest.signals import Encoding
from app.settings import StoreSettings
from app.store.sqlite import open_store
from tests.app.ingest.requests import a_span, traces, written
from tests.app.ingest.servers import Ingest, serve_grpc, serve_http
from tests.app.ingest.wire import HEADERS, METHODS, status_of

TENANT = "x-scope-orgid"
WHOLE, PIECES = "whole", "pieces"  # an ordinary request, and one whose body comes chunked, as a task of ASGI


@pytest.fixture
def shown(tmp_path: Path) -> Generator[tuple[Tokens, Doorkeeper, Ingest, Ingest]]:
    store = open_store(tmp_path, settings=StoreSettings(), max_in_flight_bytes=2**28, now=utc_now)
    with serve_http(store.log, Limits()) as http, serve_grpc(store.log, Limits()) as rpc:
        door = Doorkeeper(store.documents.watch(BUCKET), utc_now)
        http.receiver.doorkeeper = rpc.receiver.doorkeeper = door
        yield Tokens(store.documents, utc_now), door, http, rpc
    store.close()


def a_token(tokens: Tokens, name: str, scope: Scope, *tenants: str) -> str:
    return f"Bearer {tokens.add(Wanted(name, [scope], tenants), ANYONE).text}"


def post(ingest: Ingest, headers: dict[str, str], way: str, encoding: Encoding = "protobuf") -> httpx.Response:
    body = written(traces(a_span()), "traces", encoding)

    def pieces() -> Iterator[bytes]:
        yield body[:10]
        yield body[10:]

    content = body if way == WHOLE else pieces()
    return httpx.post(f"http://{ingest.address}/v1/traces", content=content, headers=HEADERS[encoding] | headers, timeout=30)


def call(ingest: Ingest, *metadata: tuple[str, str]) -> grpc.StatusCode | None:
    """Return how a call was refused, the same by its code and by its Status; None where it was taken."""
    body = written(traces(a_span()), "traces", "protobuf")
    with grpc.insecure_channel(ingest.address) as channel:
        try:
            channel.unary_unary(METHODS["traces"])(body, metadata=metadata, timeout=30)
            return None
        except grpc.RpcError as exc:
            refused: Any = exc
    details = dict(refused.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    assert Code.Name(Status.FromString(details).code) == refused.code().name
    return refused.code()


@pytest.mark.parametrize("way", [WHOLE, PIECES])
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_who_shows_no_token_is_answered_401_with_a_status(
    shown: tuple[Tokens, Doorkeeper, Ingest, Ingest], way: str, encoding: Encoding
) -> None:
    _, _, http, _ = shown
    for headers in ({}, {"authorization": "Bearer fsk_0123456789ab_AAAA"}):
        answer = post(http, headers, way, encoding)
        assert (answer.status_code, status_of(answer).code) == (401, Code.UNAUTHENTICATED)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == HEADERS[encoding]["content-type"]
    assert http.messages() == []
    assert http.sample("foreshock_requests_total", protocol="http", signal="traces", code="401") == 2


@pytest.mark.parametrize("way", [WHOLE, PIECES])
def test_a_token_sends_for_its_tenant_without_naming_it_and_for_no_other(
    shown: tuple[Tokens, Doorkeeper, Ingest, Ingest], way: str
) -> None:
    tokens, _, http, _ = shown
    own = {"authorization": a_token(tokens, "collector", Scope.INGEST, "shop")}
    assert post(http, own, way).status_code == 200
    assert post(http, own | {TENANT: "shop"}, way).status_code == 200
    for other in ("bank", "default", "*"):
        answer = post(http, own | {TENANT: other}, way)
        assert answer.status_code in (400, 403)
        assert other == "*" or status_of(answer).code == Code.PERMISSION_DENIED
    assert [message.tenant for message in http.messages()] == ["shop", "shop"]


@pytest.mark.parametrize("way", [WHOLE, PIECES])
def test_two_tenants_are_chosen_by_the_header_and_two_headers_choose_none(
    shown: tuple[Tokens, Doorkeeper, Ingest, Ingest], way: str
) -> None:
    tokens, _, http, _ = shown
    both = {"authorization": a_token(tokens, "both", Scope.INGEST, "shop", "bank")}
    assert post(http, both | {TENANT: "bank"}, way).status_code == 200
    assert post(http, both, way).status_code == 403
    body = written(traces(a_span()), "traces", "protobuf")
    twice = [*HEADERS["protobuf"].items(), *both.items(), (TENANT, "shop"), (TENANT, "bank")]
    assert httpx.post(f"http://{http.address}/v1/traces", content=body, headers=twice).status_code == 400
    assert {message.tenant for message in http.messages()} == {"bank"}


@pytest.mark.parametrize("way", [WHOLE, PIECES])
def test_a_token_of_another_scope_is_answered_403_which_names_it(
    shown: tuple[Tokens, Doorkeeper, Ingest, Ingest], way: str
) -> None:
    tokens, _, http, rpc = shown
    for scope in set(Scope) - {Scope.INGEST}:
        reader = a_token(tokens, scope, scope, "*")
        answer = post(http, {"authorization": reader}, way)
        assert (answer.status_code, status_of(answer).code) == (403, Code.PERMISSION_DENIED)
        assert "'ingest' is needed" in status_of(answer).message
        assert call(rpc, ("authorization", reader)) == grpc.StatusCode.PERMISSION_DENIED


def test_a_call_shows_its_token_in_its_metadata(shown: tuple[Tokens, Doorkeeper, Ingest, Ingest]) -> None:
    tokens, _, _, rpc = shown
    own = ("authorization", a_token(tokens, "collector", Scope.INGEST, "shop"))
    assert call(rpc) == grpc.StatusCode.UNAUTHENTICATED
    assert call(rpc, ("authorization", "Bearer x")) == grpc.StatusCode.UNAUTHENTICATED
    assert call(rpc, own, own) == grpc.StatusCode.UNAUTHENTICATED
    assert call(rpc, own, (TENANT, "bank")) == grpc.StatusCode.PERMISSION_DENIED
    assert call(rpc, own, (TENANT, "shop"), (TENANT, "bank")) == grpc.StatusCode.INVALID_ARGUMENT
    assert rpc.messages() == []
    assert call(rpc, own) is None
    assert {message.tenant for message in rpc.messages()} == {"shop"}
    assert rpc.sample("foreshock_requests_total", protocol="grpc", signal="traces", code="PERMISSION_DENIED") == 1


@pytest.mark.parametrize("way", [WHOLE, PIECES])
def test_a_revoked_token_is_refused_on_a_connection_that_it_opened(
    shown: tuple[Tokens, Doorkeeper, Ingest, Ingest], way: str
) -> None:
    tokens, _, http, rpc = shown
    header = a_token(tokens, "collector", Scope.INGEST, "shop")
    body = written(traces(a_span()), "traces", "protobuf")
    with httpx.Client() as client:

        def sent() -> int:
            content = body if way == WHOLE else iter([body])
            headers = HEADERS["protobuf"] | {"authorization": header}
            return client.post(f"http://{http.address}/v1/traces", content=content, headers=headers).status_code

        assert sent() == 200
        tokens.revoke("collector", ANYONE)
        assert sent() == 401
    assert call(rpc, ("authorization", header)) == grpc.StatusCode.UNAUTHENTICATED
