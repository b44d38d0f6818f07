"""What servers' refusals become."""

from __future__ import annotations

import pytest

from app.store.jetstream_answers import NoRoom, NotNow, Refused, headers_of, sequence_of, without_secrets
from features.errors import StoreFailed


def refusal(code: int, err_code: int, description: str) -> dict[str, object]:
    return {"error": {"code": code, "err_code": err_code, "description": description}}


def test_an_acknowledgement_names_the_sequence() -> None:
    assert sequence_of("s", {"stream": "S", "seq": 7}) == 7


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, 10071, "wrong last sequence: 3"), Refused),
        (refusal(503, 10077, "maximum bytes exceeded"), NoRoom),
        (refusal(503, 10023, "insufficient resources"), NoRoom),
        (refusal(503, 10077, "something of the store"), NotNow),
        (refusal(500, 10158, "an earlier try"), NotNow),
        (refusal(400, 10054, "message size exceeds maximum allowed"), StoreFailed),
    ],
)
def test_a_refusal_is_told_by_what_may_be_done_about_it(answer: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        sequence_of("s", answer)
    assert type(raised.value) is error


def test_addresses_lose_their_secrets() -> None:
    assert without_secrets(["nats://u:p@n1:4222", "nats://n2:4222"]) == "['nats://n1:4222', 'nats://n2:4222']"


def test_headers_are_read_as_the_api_returns_them() -> None:
    assert headers_of(b"NATS/1.0\r\nFs-Id: a:b\r\nEmpty:\r\n\r\n") == {"Fs-Id": "a:b", "Empty": ""}
