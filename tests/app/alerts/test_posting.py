"""Every way in which a post can end is either worth another try or not."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.posting import Post, chunks, trusted
from features.errors import InvalidSetting, NotDelivered, NoticeRefused, NotLetIn
from tests.inboxes import Receiver, receiver


def post_to(there: Receiver, context: ssl.SSLContext | None = None) -> Post:
    return Post("channel oncall", f"{there.url}/path", context or ssl.create_default_context(), 10.0)


@pytest.mark.parametrize(("status", "error"), [(201, None), (302, NotDelivered), (408, NotDelivered), (429, NotDelivered)])
def test_statuses_that_say_nothing_final(status: int, error: type[NotDelivered] | None) -> None:
    with receiver() as there:
        there.answers.append(status)
        if error is None:
            post_to(there).send(b"{}")
            return
        with pytest.raises(error, match=rf"channel oncall: {there.url} answered {status}$") as raised:
            post_to(there).send(b"{}")
    assert raised.value.retryable


@pytest.mark.parametrize(
    ("status", "away"), [(500, False), (302, False), (429, False), (502, True), (503, True), (504, True), (408, False)]
)
def test_a_receiver_that_answers_is_not_away_unless_who_stands_in_front_says_so(status: int, away: bool) -> None:
    with receiver() as there:
        there.answers.append(status)
        with pytest.raises(NotDelivered) as raised:
            post_to(there).send(b"{}")
    assert raised.value.away == away


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "\u00b2".encode().decode("latin-1")}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_for_how_long_a_receiver_wants_to_be_left_alone(status: int, asked: dict[str, str], wait_s: float) -> None:
    with receiver() as there:
        there.answers.append(status)
        there.headers.update(asked)
        with pytest.raises(NotDelivered) as raised:
            post_to(there).send(b"{}")
    assert raised.value.wait_s == wait_s


@pytest.mark.parametrize(("status", "of_all"), [(401, True), (403, True), (404, True), (405, True), (400, False), (422, False)])
def test_a_way_that_is_barred_is_told_from_a_notice_that_is_refused(status: int, of_all: bool) -> None:
    with receiver() as there:
        there.answers.append(status)
        with pytest.raises(NoticeRefused) as raised:
            post_to(there).send(b"{}")
    assert (isinstance(raised.value, NotLetIn), raised.value.away) == (of_all, False)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_what_a_receiver_will_not_take_now_or_later_says_why(status: int) -> None:
    with receiver() as there:
        there.answers.append(status)
        there.text = "label\nis bad. " + "x" * 100_000
        with pytest.raises(NoticeRefused, match=rf"answered {status}: label is bad. x+$") as raised:
            post_to(there).send(b"{}")
    assert not raised.value.retryable
    assert len(str(raised.value)) < 300


def test_users_and_passwords_of_an_address_are_in_no_message() -> None:
    post = Post("channel oncall", "http://me:hidden@127.0.0.1:1/hidden", ssl.create_default_context(), 10.0)
    assert post.receiver == "http://127.0.0.1:1"
    with pytest.raises(NotDelivered, match="gave no answer") as raised:
        post.send(b"{}")
    assert "hidden" not in str(raised.value)


def test_a_receiver_that_says_back_what_it_was_sent_tells_no_secret() -> None:
    with receiver() as there:
        there.answers.append(403)
        there.text = "no Bearer hidden-token for /hidden-path"
        headers = {"authorization": "Bearer hidden-token"}
        post = Post("channel oncall", there.url, ssl.create_default_context(), 10.0, headers, ["hidden-path"])
        with pytest.raises(NoticeRefused, match=r"answered 403: no \.\.\. for /\.\.\.$"):
            post.send(b"{}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and the certificate of 127.0.0.1 that it signed itself."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return folder / "both"


@pytest.mark.system("openssl")
def test_a_receiver_is_trusted_by_its_authority_alone(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    with receiver(server) as there:
        with pytest.raises(NotDelivered, match="CERTIFICATE_VERIFY_FAILED"):
            post_to(there).send(b"{}")
        post_to(there, trusted("channels.oncall.ca", certificate.with_name("cert"))).send(b"{}")
        assert [request.path for request in there.requests] == ["/path"]


@pytest.mark.parametrize("write", [lambda _: None, lambda path: path.write_text("no certificate")])
def test_an_authority_that_cannot_be_read_stops_the_start(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "ca.pem")
    with pytest.raises(InvalidSetting, match=r"channels.oncall.ca: .*ca\.pem"):
        trusted("channels.oncall.ca", tmp_path / "ca.pem")


@given(items=st.lists(st.integers()), most=st.integers(1, 9))
def test_parts_are_all_in_order_and_none_is_too_long(items: list[int], most: int) -> None:
    parts = list(chunks(items, most))
    assert [item for part in parts for item in part] == items
    assert all(1 <= len(part) <= most for part in parts)
