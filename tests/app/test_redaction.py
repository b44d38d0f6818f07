"""No secret that redaction knows is in anything that is stored or logged, and what has none costs and changes nothing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.history.delta import DeltaHistory
from app.ingest.codec import BatchMessage, unpack
from app.ingest.limits import Limits
from app.ingest.otlp import ENGINE, decoder
from app.ingest.receive import Receiver
from app.own_patterns import WINDOW_CHARS
from app.redaction import Redaction
from app.redaction_settings import RedactionSettings
from app.secret_rules import REDACTED, SENSITIVE_KEYS
from app.telemetry import Telemetry
from features.batch import Batch, Call, DurationPoint
from features.event import ErrorRecord
from features.fingerprint import Templates
from features.series import partition_of
from tests.app.ingest.requests import a_log, a_span, as_json, attributes, logs, traces, written
from tests.builders import ListLog
from tests.nodes import run_node
from tests.secrets import PLANTED
from tests.telemetry import a_batch

EVERY_RULE = RedactionSettings(emails=True, addresses=True)
PLACES = st.sampled_from([(name, each) for name, found in PLANTED.items() for each in found])
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def a_record(**changes: Any) -> ErrorRecord:
    return ErrorRecord("span", "cart", "GET /cart", 0, **changes)


def test_a_batch_without_secrets_comes_back_as_it_is() -> None:
    batch = replace(
        a_batch(("cart", "GET /cart", 5, {"total": 2.0})),
        errors=(a_record(message="no route to host", attributes={"http.route": "/cart", "error.type": "timeout"}),),
        calls=(Call("cart", "db:5432", 1.0, 0.0),),
    )
    redaction = Redaction(EVERY_RULE)
    for _ in range(3):
        assert redaction.batch(batch) is batch


@pytest.mark.parametrize("key", sorted(SENSITIVE_KEYS))
def test_the_value_of_a_telling_name_goes_whatever_it_is(key: str) -> None:
    names = [key, key.upper(), key.replace("-", "_"), f"http.request.header.{key}"]
    record = Redaction().record(a_record(attributes=dict.fromkeys(names, "any value at all") | {"http.route": "/"}))
    assert record.attributes == dict.fromkeys(names, REDACTED) | {"http.route": "/"}


def test_names_of_ones_own_count_too_and_an_empty_value_stays() -> None:
    redaction = Redaction(RedactionSettings(attribute_keys=("tax.id", "Iban")))
    record = redaction.record(a_record(attributes={"tax.id": "12", "customer.iban": "DE1", "id": "12", "password": ""}))
    assert record.attributes == {"tax.id": REDACTED, "customer.iban": REDACTED, "id": "12", "password": ""}


def test_a_rule_that_is_off_takes_nothing_and_nothing_is_taken_where_all_are() -> None:
    text = "mail bob@example.com, password=hunter2"
    assert Redaction(RedactionSettings(assignments=False)).text(text) == text
    assert Redaction(RedactionSettings(emails=True)).text(text) == "mail REDACTED, password=REDACTED"
    off = Redaction(RedactionSettings(enabled=False))
    record = a_record(message=text, attributes={"password": "x"})
    assert off.text(text) == text
    assert off.batch(Batch("logs", errors=(record,))).errors == (record,)


def test_operations_that_differ_in_secrets_alone_become_one_with_all_their_counts() -> None:
    one, other = ("GET /a?token=first", "GET /a?token=second")
    batch = a_batch(("cart", one, 5, {"total": 2.0}), ("cart", other, 5, {"total": 3.0}), ("cart", "GET /b", 5, {"total": 1.0}))
    points = tuple(DurationPoint("cart", name, 1, 1, 0, 0, True, False, False, 1.0, 1.0, ()) for name in (one, "GET /b"))
    batch = replace(batch, durations=points, calls=(Call("cart", "https://bob:hunter2@db", 1.0, 0.0),), errors=(a_record(),))
    batch = replace(batch, errors=(replace(batch.errors[0], operation=one),))
    redacted = Redaction().batch(batch)
    name = f"GET /a?token={REDACTED}"
    assert redacted.series == (("cart", name), ("cart", "GET /b"))
    assert redacted.group_series.tolist() == [0, 0, 1]
    assert redacted.counts.sum() == batch.counts.sum()
    assert [point.operation for point in redacted.durations] == [name, "GET /b"]
    assert redacted.calls[0].callee == f"https://{REDACTED}@db"
    assert redacted.errors[0].operation == name


def test_the_half_word_of_a_text_that_was_cut_goes_since_it_may_be_half_a_secret() -> None:
    redaction = Redaction(cut_chars=64)
    assert redaction.text("x" * 40 + " card 4111 1111 1111 1111 declined"[:24]) == "x" * 40 + " card"
    assert redaction.text(("the key is " + "word " * 20 + "AKIAIOSF")[:64]).endswith("word ")
    assert redaction.text("AKIAIOSF is short") == "AKIAIOSF is short"


def test_a_long_text_is_shown_to_an_expression_of_ones_own_in_pieces_and_nothing_slips_between() -> None:
    redaction = Redaction(RedactionSettings(patterns={"customers": r"cust-[0-9]{8}"}))
    for start in (0, WINDOW_CHARS // 2 - 6, WINDOW_CHARS - 5, WINDOW_CHARS, 3 * WINDOW_CHARS - 3):
        text = "." * start + "cust-12345678" + "." * (4 * WINDOW_CHARS)
        assert redaction.text(text) == text.replace("cust-12345678", REDACTED)


def test_a_group_that_took_no_part_takes_the_whole_match_of_a_long_text_too() -> None:
    redaction = Redaction(RedactionSettings(patterns={"either": r"id=(?P<secret>\d+)|ticket \d+"}))
    text, redacted = "ticket 12 id=7", f"{REDACTED} id={REDACTED}"
    assert redaction.text(text) == redacted
    assert redaction.text(text + "." * WINDOW_CHARS) == redacted + "." * WINDOW_CHARS


def test_what_was_found_is_told_by_rule() -> None:
    told: list[Mapping[str, int]] = []
    redaction = Redaction(told=lambda found: told.append(Counter(found)))
    record = a_record(message="password=a1 token=b2 AKIAIOSFODNN7EXAMPLE", attributes={"cookie": "a=b", "note": "password=c3"})
    redaction.batch(Batch("logs", errors=(record, a_record(message="fine"))))
    redaction.batch(Batch("logs", errors=(a_record(message="fine"),)))
    assert told == [{"assignments": 3, "aws": 1, "keys": 1}]


@given(PLAIN, PLACES, PLAIN)
def test_a_planted_secret_goes_whatever_stands_around_it(
    before: str, place: tuple[str, tuple[str, str, str]], after: str
) -> None:
    _, (prefix, secret, suffix) = place
    redaction = Redaction(EVERY_RULE)
    text = f"{before} {prefix}{secret}{suffix} {after}"
    if secret not in f"{before} {after}":
        redacted = redaction.text(text)
        assert secret not in redacted
        assert redaction.text(text) == redacted, "the second time as the first"


@given(PLAIN)
def test_what_is_remembered_of_a_text_never_changes_what_is_said_of_it(text: str) -> None:
    warm, fresh = Redaction(EVERY_RULE), Redaction(EVERY_RULE)
    for digits in ("0", "7"):
        for name, ((prefix, secret, suffix), *_) in PLANTED.items():
            varied = f"{text}{digits} {prefix}{secret}{suffix}"
            assert warm.text(varied) == Redaction(EVERY_RULE).text(varied), name
        assert warm.text(text + digits) == fresh.text(text + digits)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("login with password=hunter2 failed", "login with password=Tr0ub4dor&3 failed"),
        ("card 4111111111111111 declined", "card 4111111111111112 declined"),  # the second is none, and varies all the same
        ("cannot reach https://bob:hunter2@db/x", "cannot reach https://bob@db/x"),
        (
            "claims of eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.abc expired",
            "claims of eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI0MyJ9.x_y expired",
        ),
        ("used ghp_Zx81qLmN04pQrStUvWxY7zAbCdEfGhIj9kLm twice", "used glpat-pQrStUvWxY7zAbCdEfGh twice"),
        ("key AKIAIOSFODNN7EXAMPLE is not active", "key ASIAY34FZKBOKMUTVV7A is not active"),
    ],
)
def test_a_secret_makes_no_group_of_its_own(one: str, other: str) -> None:
    redaction, templates = Redaction(), Templates()
    assert templates.add(redaction.text(one)) == templates.add(redaction.text(other))


def planted_requests(number: int = 0) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return a request of traces and one of logs with every secret in every place of an error, and the secrets."""
    spans: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    secrets: list[str] = []
    for prefix, secret, suffix in (each for found in PLANTED.values() for each in found):
        text = f"{prefix}{secret}{suffix}"
        secrets.append(secret)
        said = {"exception.type": "E", "exception.message": text, "exception.stacktrace": f"E: {text}\n  at a.B.c(B.java:7)"}
        beside = {"note": text, "http.request.header.authorization": f"{secret} in full", "list": [text, {"deep": text}]}
        n = len(spans) + 1
        ids: dict[str, Any] = {"traceId": f"{number:016x}{n:016x}", "spanId": f"{n:016x}"}
        event = {"name": "exception", "timeUnixNano": "1", "attributes": attributes(said)}
        spans.append(
            a_span(status={"code": 2, "message": text}, attributes=beside, events=[event], name=f"GET {text}"[:200], **ids)
        )
        records.append(
            a_log(body={"stringValue": text}, attributes=beside, traceId=f"{number + 9:016x}{n:016x}", spanId=ids["spanId"])
        )
        records.append(a_log(attributes=beside | said))
    return traces(*spans), logs(*records), secrets


@pytest.mark.parametrize("engine", ["python", *(["c"] if ENGINE == "c" else [])])
def test_no_planted_secret_reaches_the_log_by_either_engine(engine: Any) -> None:
    log, telemetry = ListLog(), Telemetry()
    receiver = Receiver(log, telemetry, Limits(), lambda: 1, decoder(engine), Redaction(EVERY_RULE, 4096).batch)
    spans, records, secrets = planted_requests()
    receiver.receive("team", "traces", "protobuf", written(spans, "traces", "protobuf"))
    receiver.receive("team", "logs", "protobuf", written(records, "logs", "protobuf"))
    receiver.receive("team", "logs", "json", as_json(records) + b" ")
    entries = [entry for partition in log.partitions for entry in partition]
    found = [unpack(entry.data) for entry in entries]
    errors = [error for message in found if isinstance(message, BatchMessage) for error in message.batch.errors]
    assert len(errors) == len(secrets) * 5
    stored = b"".join(entry.data for entry in entries)
    assert [secret for secret in secrets if secret.encode() in stored] == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(PLAIN, PLACES), min_size=1, max_size=8))
def test_both_engines_leave_the_same_errors(planted: list[tuple[str, tuple[str, tuple[str, str, str]]]]) -> None:
    request = logs(*(a_log(body={"stringValue": before + "".join(place)}) for before, (_, place) in planted))
    kept: list[Any] = []
    for engine, encoding in (("python", "json"), ("python", "protobuf"), (ENGINE, "protobuf")):
        log = ListLog()
        receiver = Receiver(log, Telemetry(), Limits(), lambda: 1, decoder(engine))  # pyright: ignore[reportArgumentType]
        receiver.receive("team", "logs", encoding, written(request, "logs", encoding))  # pyright: ignore[reportArgumentType]
        (entry,) = log.partitions[partition_of("team", "cart", 8)]
        message = unpack(entry.data)
        assert isinstance(message, BatchMessage)
        kept.append(message.batch.errors)
    assert kept[0] == kept[1] == kept[2]


def test_no_planted_secret_is_in_anything_that_a_node_keeps_or_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    spans, records, secrets = planted_requests(7)
    with run_node(tmp_path / "data", security={"redaction": {"emails": True, "addresses": True}}) as running:
        now = str(running.now_ns)
        for request, signal in ((spans, "traces"), (records, "logs")):
            body = as_json(request).replace(b"119990000000", now.encode()).replace(b"120000000000", now.encode())
            assert running.post(signal, body).status_code == 200
        running.tick(2)
        shown = running.client.get(f"{running.served.api}/api/v1/errors?service=cart&limit=200").text
        assert running.metric("foreshock_redacted_total", rule="assignments") > 0
    assert REDACTED in shown
    rows = DeltaHistory(tmp_path / "data" / "history").read("errors").to_pylist()
    assert len(rows) > len(secrets)
    said = "\n".join([shown, repr(rows), caplog.text, *(str(path) for path in tmp_path.rglob("*"))])
    assert [secret for secret in secrets if secret in said] == []
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret.encode() in kept] == []
