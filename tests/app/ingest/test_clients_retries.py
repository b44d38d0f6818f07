"""Real SDKs that are refused first, or whose answer is lost: they try again, nothing is missing and nothing counts twice.

The SDK for JavaScript tries again over HTTP alone; its gRPC exporter (0.223) gives every failure up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep, time_ns

import pytest

from app.ingest.limits import Limits
from app.store.contract import Log
from features.errors import StoreFailed
from tests.app.ingest.clients import javascript_sdk
from tests.app.ingest.clients.python_sdk import over_grpc, over_http, send
from tests.app.ingest.oracle import expected, unlike
from tests.app.ingest.servers import Ingest, refusals, serve_grpc, serve_http, stored_log
from tests.app.ingest.truth import TRUTH

LIMITS = Limits(span_end_sample=1)
FOR_ONE = LIMITS.max_tenant_in_flight_bytes
PATIENCE_S = 30

Send = Callable[[str], dict[str, dict[str, str]]]

every_client = pytest.mark.parametrize(
    ("client", "protocol"),
    [
        ("python", "http"),
        ("python", "grpc"),
        pytest.param("javascript", "http", marks=[pytest.mark.system("node"), pytest.mark.system("npm")]),
    ],
)


def sender(client: str, protocol: str, cache: pytest.Cache | None) -> Send:
    if client == "python":
        over = over_http if protocol == "http" else over_grpc
        return lambda address: send(TRUTH, over(address, packed=True))
    assert cache is not None
    folder, spoken = javascript_sdk.install(cache), "grpc" if protocol == "grpc" else "http/protobuf"
    return lambda address: javascript_sdk.send(folder, TRUTH, spoken, "gzip", address)


def wait_for_refusals(ingest: Ingest, protocol: str, sending: Future[dict[str, dict[str, str]]]) -> None:
    deadline = monotonic() + PATIENCE_S
    while not all(refusals(ingest, protocol).values()):
        assert monotonic() < deadline, refusals(ingest, protocol)
        assert not sending.done(), "the client ended before the server took anything"
        sleep(0.01)


@every_client
@pytest.mark.parametrize("others", [True, False], ids=["all-room", "its-own-room"])
def test_a_client_that_is_refused_for_want_of_room_loses_nothing(
    client: str, protocol: str, others: bool, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    send_all, begin_ns = sender(client, protocol, pytestconfig.cache), time_ns()
    serve = serve_http if protocol == "http" else serve_grpc
    with stored_log(tmp_path) as log, serve(log, LIMITS) as ingest, ThreadPoolExecutor(1) as thread:
        room = ingest.receiver.room
        with room.hold("default") as own, room.hold("another") as rest:
            own.grow_to(FOR_ONE)
            rest.grow_to(LIMITS.max_in_flight_bytes - FOR_ONE if others else 0)
            sending = thread.submit(send_all, ingest.address)
            wait_for_refusals(ingest, protocol, sending)
            assert ingest.messages() == []
        raised = sending.result()
        messages = ingest.messages()
        assert len({message.batch_id for message in messages}) == len(messages)
        assert unlike(ingest, expected(TRUTH, raised), begin_ns) == []


@every_client
def test_a_client_whose_answer_was_lost_sends_the_same_again_which_counts_once(
    client: str, protocol: str, tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all, begin_ns = sender(client, protocol, pytestconfig.cache), time_ns()
    serve = serve_http if protocol == "http" else serve_grpc
    with stored_log(tmp_path) as log, serve(log, LIMITS) as ingest:
        fail_after_the_first_appends(log, 6, monkeypatch)
        raised = send_all(ingest.address)
        messages = ingest.messages()
        assert sum(refusals(ingest, protocol).values()) == 6
        assert len(messages) > len({message.batch_id for message in messages})
        assert unlike(ingest, expected(TRUTH, raised), begin_ns) == []


def fail_after_the_first_appends(log: Log, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk report a failure after it has written, as it may when the flush and not the write failed."""
    append, failures = log.append_later, iter(range(n))

    def append_and_fail(messages: Sequence[tuple[int, str, bytes]]) -> Future[list[int]]:
        appended = append(messages)
        if next(failures, None) is None:
            return appended
        appended.result()
        failed: Future[list[int]] = Future()
        failed.set_exception(StoreFailed("the disk failed after it had written"))
        return failed

    monkeypatch.setattr(log, "append_later", append_and_fail)
