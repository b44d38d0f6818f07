"""Steps of plans over a real socket: signed, once, and with an error for whatever does not take them."""

from __future__ import annotations

import base64
import hmac
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from app.runbook import Runbook
from app.runbook_settings import RunbookSettings
from app.telemetry import Telemetry
from features.errors import CircuitOpen, NotDelivered, NoticeRefused
from tests.app.alerts.test_webhook import documented

SECRET = "a secret of sixteen"


@dataclass
class Automation:
    """What takes steps on the other side."""

    status: int = 204
    text: bytes = b""
    got: list[tuple[Message, bytes]] = field(default_factory=list[tuple[Message, bytes]])
    url: str = ""


@contextmanager
def automation() -> Generator[Automation]:
    here = Automation()

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here.got.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(here.status)
            self.send_header("content-length", str(len(here.text)))
            self.end_headers()
            self.wfile.write(here.text)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        here.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/token-1234"
        yield here
        server.shutdown()
        thread.join()


def runbook(url: str, telemetry: Telemetry | None = None) -> Runbook:
    settings = RunbookSettings(url=SecretStr(url), secret=SecretStr(SECRET), timeout_s=5.0)
    return Runbook(settings, telemetry or Telemetry(), lambda: 1_700_000_000.9)


def test_a_step_arrives_with_a_signature_over_its_id_the_time_and_the_body() -> None:
    with automation() as there:
        runbook(there.url).post("msg_1", b'{"step":1}')
        ((headers, body),) = there.got
    assert (body, headers["webhook-id"], headers["webhook-timestamp"]) == (b'{"step":1}', "msg_1", "1700000000")
    digest = hmac.digest(SECRET.encode(), b'msg_1.1700000000.{"step":1}', "sha256")
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(("status", "refused"), [(403, True), (429, False), (500, False), (302, False)])
def test_what_is_not_taken_says_whether_trying_again_may_help(status: int, refused: bool) -> None:
    with automation() as there:
        there.status, there.text = status, b"" if status == 204 else b"not /hooks/token-1234"
        with pytest.raises(NotDelivered, match=rf"the runbook: http://[0-9.:]+ answered {status}: not /.../...$") as raised:
            runbook(there.url).post("msg_1", b"{}")
    assert isinstance(raised.value, NoticeRefused) == refused
    assert "token-1234" not in str(raised.value)


def test_who_is_away_is_left_alone_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry, now = Telemetry(), [0.0]
    gone = runbook("http://127.0.0.1:9/hooks/token-1234", telemetry)
    monkeypatch.setattr(gone._breaker, "_monotonic", lambda: now[0])  # pyright: ignore[reportPrivateUsage]
    for moment in (0.0, 11.0):
        now[0] = moment
        with pytest.raises(NotDelivered, match="gave no answer"):
            gone.post("msg_1", b"{}")
    with pytest.raises(CircuitOpen, match="runbook is away"):
        gone.post("msg_1", b"{}")
    assert telemetry.value("calls", target="runbook", outcome="failed") == 2


@pytest.mark.parametrize("status", [403, 429, 500])
def test_who_answers_is_not_away_whatever_it_says(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    now = [0.0]
    with automation() as there:
        there.status = status
        asked = runbook(there.url)
        monkeypatch.setattr(asked._breaker, "_monotonic", lambda: now[0])  # pyright: ignore[reportPrivateUsage]
        for moment in (0.0, 11.0, 11.1):
            now[0] = moment
            with pytest.raises(NotDelivered, match=f"answered {status}"):
                asked.post("msg_1", b"{}")
    assert len(there.got) == 3


def test_a_secret_in_base64_signs_with_its_bytes_as_the_documented_receiver_checks() -> None:
    with automation() as there:
        secret = f"whsec_{base64.b64encode(b'twenty-four secret bytes').decode()}"
        settings = RunbookSettings(url=SecretStr(there.url), secret=SecretStr(secret))
        Runbook(settings, Telemetry(), lambda: 1_700_000_000.0).post("msg_1", b"{}")
        ((headers, body),) = there.got
    named = {name.lower(): value for name, value in headers.items()}
    assert documented()(secret, named, body, 1_700_000_100)


def test_without_an_address_there_is_no_receiver() -> None:
    nowhere = Runbook(RunbookSettings(), Telemetry(), lambda: 0.0)
    assert nowhere.receiver == ""
    with pytest.raises(NoticeRefused, match="no runbook is configured"):
        nowhere.post("msg_1", b"{}")
    assert runbook("https://user:word@host:8443/x").receiver == "https://host:8443"
