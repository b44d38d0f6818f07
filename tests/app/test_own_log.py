"""What the process logs holds no secret, whoever logs it."""

from __future__ import annotations

import io
import logging
from collections.abc import Generator
from pathlib import Path

import pytest

from app.ingest.connections import server_of
from app.own_log import RedactingFormatter, redact_by, set_up_log
from app.redaction import Redaction
from app.redaction_settings import RedactionSettings
from tests.nodes import run_node


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Generator[io.StringIO]:
    """Log to a text for the time of a test; other servers of this process may have set up uvicorn's loggers for themselves."""
    for name in ("uvicorn", "uvicorn.error"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    root, rules = logging.getLogger(), RedactingFormatter.redaction
    before, formats, level = root.handlers[:], [handler.formatter for handler in root.handlers], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    set_up_log(stream)
    yield stream
    root.handlers[:] = before
    for handler, formatter in zip(before, formats, strict=True):
        handler.setFormatter(formatter)
    root.setLevel(level)
    RedactingFormatter.redaction = rules


def test_arguments_and_tracebacks_are_written_without_secrets(written: io.StringIO) -> None:
    try:
        raise ValueError("no route to nats://bob:hunter2@n1:4222")
    except ValueError:
        logging.getLogger("app.store").exception("asked with Authorization: Bearer %s", "abcdefgh12345678")
    said = written.getvalue()
    assert "ERROR app.store" in said
    assert "ValueError: no route to nats://REDACTED@n1:4222" in said
    assert "hunter2" not in said
    assert "abcdefgh12345678" not in said


def test_what_a_library_logs_on_its_own_goes_the_same_way(written: io.StringIO) -> None:
    async def fails(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError  # nobody asks it

    server_of(fails, 5, 5)  # configures uvicorn's loggers
    logging.getLogger("uvicorn.error").error("Exception in ASGI application: password=hunter2")
    assert "password=REDACTED" in written.getvalue()
    assert "hunter2" not in written.getvalue()


def test_a_node_brings_its_own_rules(written: io.StringIO, tmp_path: Path) -> None:
    rules = {"redaction": {"emails": True, "patterns": {"customers": "cust-[0-9]+"}}}
    with run_node(tmp_path, security=rules):
        logging.getLogger("app").warning("bob@example.com is cust-42")
    assert "REDACTED is REDACTED" in written.getvalue()


def test_rules_hold_for_every_handler(written: io.StringIO) -> None:
    redact_by(Redaction(RedactionSettings(enabled=False)))
    logging.getLogger("app").warning("password=hunter2")
    assert "hunter2" in written.getvalue()
