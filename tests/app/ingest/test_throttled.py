"""Senders that come too often, send too much or show wrong tokens are told so in the words of OTLP, over HTTP and gRPC, and when to come again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from app.auth import ANYONE, Scope, Tokens, Wanted
from app.clock import utc_now
from tests.app.ingest.requests import a_log, as_json, as_protobuf, logs
from tests.nodes import RunningNode, run_node

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
JSON, PROTOBUF = as_json(logs(a_log())), as_protobuf(logs(a_log()), "logs")


def running(folder: Path, **limits: Any) -> Any:
    return run_node(folder, security__require_tokens=True, security__limits=limits)


def token_of(node: RunningNode, name: str) -> str:
    return Tokens(node.node.store.documents, utc_now).add(Wanted(name, [Scope.INGEST, Scope.READ], ["*"]), ANYONE).text


def post(node: RunningNode, token: str, body: bytes = JSON, **headers: str) -> httpx.Response:
    return node.post("logs", body, authorization=f"Bearer {token}", **headers)


def call(node: RunningNode, token: str, body: bytes = PROTOBUF, *further: tuple[str, str]) -> ExportLogsServiceResponse:
    with grpc.insecure_channel(node.served.otlp_grpc) as channel:
        metadata = (("authorization", f"Bearer {token}"), *further)
        return ExportLogsServiceResponse.FromString(channel.unary_unary(EXPORT)(body, timeout=30, metadata=metadata))


def refused_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, int]:
    """Return the code, and the seconds that its RetryInfo says."""
    said: Any = error
    (status,) = (value for name, value in said.trailing_metadata() if name == "grpc-status-details-bin")
    found = RetryInfo()
    assert any(detail.Unpack(found) for detail in Status.FromString(status).details)
    return said.code(), found.retry_delay.seconds


@pytest.fixture
def by_requests(tmp_path: Path) -> Generator[RunningNode]:
    # Ten at once, then one in ten seconds: no test runs into a new one.
    with running(tmp_path, token_requests_per_s=1.0, address_requests_per_s=100.0) as node:
        yield node


def test_a_token_that_comes_too_often_is_told_when_to_come_again_over_http(by_requests: RunningNode) -> None:
    token, other = token_of(by_requests, "one"), token_of(by_requests, "other")
    answers = [post(by_requests, token) for _ in range(12)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == Code.UNAVAILABLE
    assert refused.json()["details"][0]["retryDelay"] == "1s"
    assert post(by_requests, other).status_code == 200
    assert by_requests.node.telemetry.value("throttled", reason="token_requests") >= 1


def test_a_request_counts_once_also_where_its_body_turns_out_too_large_for_the_short_way(by_requests: RunningNode) -> None:
    body = gzip.compress(as_protobuf(logs(*[a_log() for _ in range(60_000)]), "logs"))
    said = {"content_type": "application/x-protobuf", "content_encoding": "gzip"}
    token = token_of(by_requests, "one")
    assert [post(by_requests, token, body, **said).status_code for _ in range(10)] == [200] * 10


def test_the_same_holds_where_a_request_takes_the_long_way(by_requests: RunningNode) -> None:
    token = token_of(by_requests, "one")

    def in_pieces() -> Generator[bytes]:
        yield JSON

    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "connection": "close"}
    url = f"{by_requests.served.otlp_http}/v1/logs"
    answers = [by_requests.client.post(url, content=in_pieces(), headers=headers) for _ in range(12)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert 429 in {answer.status_code for answer in answers[10:]}


def test_the_same_holds_over_grpc_with_retry_info(by_requests: RunningNode) -> None:
    token = token_of(by_requests, "one")
    seen: list[tuple[grpc.StatusCode, int]] = []
    for _ in range(14):
        try:
            call(by_requests, token)
        except grpc.RpcError as exc:
            seen.append(refused_of(exc))
    assert seen
    assert set(seen) == {(grpc.StatusCode.RESOURCE_EXHAUSTED, 1)}


def test_who_sends_too_many_bytes_is_taken_once_and_waits(tmp_path: Path) -> None:
    with running(tmp_path, token_bytes_per_s=10.0) as node:
        packed = gzip.compress(as_json(logs(*[a_log() for _ in range(200)])))
        for name, send in {"http": True, "grpc": False}.items():
            token = token_of(node, name)
            if send:
                assert post(node, token, packed, content_encoding="gzip").status_code == 200
                refused = post(node, token)
                assert refused.status_code == 429
                # What it weighs as received, less the ten seconds' worth that may come at once.
                assert int(refused.headers["retry-after"]) == pytest.approx((len(packed) - 100) / 10, abs=4)
            else:
                call(node, token, PROTOBUF * 10)
                with pytest.raises(grpc.RpcError) as error:
                    call(node, token)
                code, wait_s = refused_of(error.value)
                assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert wait_s == pytest.approx((10 * len(PROTOBUF) - 100) / 10, abs=4)


def test_behind_a_trusted_proxy_senders_are_told_apart(tmp_path: Path) -> None:
    with running(tmp_path, address_requests_per_s=0.1, trusted_proxies=["127.0.0.1"]) as node:
        token = token_of(node, "one")
        assert [post(node, token, x_forwarded_for="203.0.113.9").status_code for _ in range(2)] == [200, 429]
        assert post(node, token, x_forwarded_for="198.51.100.7").status_code == 200
        assert call(node, token, PROTOBUF, ("x-forwarded-for", "192.0.2.1")) == ExportLogsServiceResponse()
        with pytest.raises(grpc.RpcError) as error:
            call(node, token, PROTOBUF, ("x-forwarded-for", "192.0.2.1"))
        assert refused_of(error.value)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_wrong_tokens_of_one_address_count_together_over_http_grpc_and_rest(tmp_path: Path) -> None:
    with running(tmp_path, failed_logins_per_minute=6.0) as node:
        right, wrong = token_of(node, "one"), "fsk_0736fd5b7cc7_wrong"
        assert [post(node, wrong).status_code for _ in range(2)] == [401, 401]
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as error:
                call(node, wrong)
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED  # type: ignore[attr-defined]
        url, shown = f"{node.served.api}/api/v1/incidents", {"authorization": f"Bearer {wrong}"}
        assert [node.client.get(url, headers=shown).status_code for _ in range(2)] == [401, 401]
        late = node.client.get(url, headers=shown)
        assert late.status_code == 429
        assert json.loads(late.content)["type"] == "urn:foreshock:problem:too-often"
        assert post(node, wrong).status_code == 429
        with pytest.raises(grpc.RpcError) as error:
            call(node, wrong)
        assert refused_of(error.value)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
        # Who shares the address and shows a right one is not locked out.
        assert post(node, right).status_code == 200
        assert node.post("logs", JSON).status_code == 401  # no token at all is no wrong one
