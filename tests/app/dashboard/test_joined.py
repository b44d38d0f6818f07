"""Records of other releases are read as far as they go."""

from __future__ import annotations

import msgspec
import pytest

from app.cache.documents import decode_document
from app.dashboard.joined import Alert, Group, Silence, named


@pytest.mark.parametrize("kind", [Alert, Group, Silence])
def test_only_the_name_is_needed_and_what_is_not_known_is_left_out(kind: type[Alert | Group | Silence]) -> None:
    assert decode_document(msgspec.json.encode({"id": "x", "colour": "red"}), kind).id == "x"


def test_steps_say_of_retries_and_circuits_what_their_release_says() -> None:
    assert named({"safe": "if_idempotent", "first_s": 0.2, "attempts": 4}) == "if idempotent"
    assert named({"caller": "checkout", "callee": "payment"}) == "checkout, payment"
    assert named("") == ""
