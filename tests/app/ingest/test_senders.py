"""Who sends is known before a body is read, and by what a request counts; `test_throttled.py` tries it over sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import time_ns

import pytest

from app.auth import NotAuthenticated
from app.auth.doorkeeper import Doorkeeper
from app.clock import utc_now
from app.edge.throttle import Throttle, TooOften
from app.edge_settings import LimitSettings
from app.ingest.limits import Limits
from app.ingest.receive import Receiver
from app.ingest.senders import admit_sender, ordinary_request
from app.store.contract import Document
from app.telemetry import Telemetry
from tests.app.ingest.servers import stored_log

HEADERS = [(b"content-type", b"application/json"), (b"x-forwarded-for", b"203.0.113.9")]
CLIENT = ("10.0.0.1", 5000)


def receiver_of(folder: Path, **limits: object) -> Receiver:
    with stored_log(folder) as log:
        receiver = Receiver(log, Telemetry(), Limits(), time_ns)
    receiver.logins = Throttle(LimitSettings.model_validate(limits), receiver.telemetry, lambda: 0.0)
    return receiver


def test_without_limits_a_request_counts_by_nothing(tmp_path: Path) -> None:
    receiver = receiver_of(tmp_path)
    found = ordinary_request(receiver, "default", "/v1/logs", HEADERS, CLIENT)
    assert found is not None
    assert (found.head.tenant, found.counted) == ("default", None)
    assert admit_sender(receiver, None, lambda limits: "10.0.0.1")[1] is None
    assert ordinary_request(receiver, "default", "/elsewhere", HEADERS, CLIENT) is None


def test_with_limits_it_counts_by_the_address_of_its_client(tmp_path: Path) -> None:
    direct = ordinary_request(receiver_of(tmp_path, address_requests_per_s=1.0), "default", "/v1/logs", HEADERS, CLIENT)
    proxied = receiver_of(tmp_path, address_requests_per_s=0.1, trusted_proxies=["10.0.0.1"])
    behind = ordinary_request(proxied, "default", "/v1/logs", HEADERS, CLIENT)
    assert direct is not None
    assert behind is not None
    assert (direct.counted, behind.counted) == (("", "10.0.0.1"), ("", "203.0.113.9"))
    assert admit_sender(proxied, None, lambda _: "203.0.113.9")[1] == ("", "203.0.113.9")
    with pytest.raises(TooOften):
        admit_sender(proxied, None, lambda _: "203.0.113.9")


def test_only_a_token_that_is_shown_and_wrong_counts_as_a_failed_login(tmp_path: Path) -> None:
    receiver = receiver_of(tmp_path, failed_logins_per_minute=1.0)
    receiver.doorkeeper = Doorkeeper(_NoTokens(), utc_now)
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            admit_sender(receiver, None, lambda _: "10.0.0.1")
    with pytest.raises(NotAuthenticated):
        admit_sender(receiver, "Bearer wrong", lambda _: "10.0.0.1")
    with pytest.raises(TooOften):
        admit_sender(receiver, "Bearer wrong", lambda _: "10.0.0.1")
    assert ordinary_request(receiver, "default", "/v1/logs", HEADERS, CLIENT) is None


class _NoTokens:
    """The watch of a bucket in which nothing is."""

    changes = 0
    n_documents = 0

    def get(self, key: str) -> None:
        return None

    def items(self, prefix: str = "") -> Iterator[Document]:
        return iter(())

    def close(self) -> None:
        pass
