"""What was signed is what is accepted, however it is written down, and nothing else is."""

from __future__ import annotations

import json

import pytest

from features.errors import InvalidValue, UntrustedArtifact
from models.signature import check_signature, signed

KEY = bytes(range(32))


def test_spaces_and_order_of_members_do_not_matter_and_signing_again_changes_nothing() -> None:
    entry = signed(b'{"id": "v1", "record": {"ap": 0.1, "none": NaN}}', KEY, "default")
    written_otherwise = json.dumps(dict(reversed(json.loads(entry).items())), indent=2).encode()
    check_signature(written_otherwise, KEY, "default", "v1")
    assert signed(written_otherwise, KEY, "default") == entry


def test_a_member_that_this_release_does_not_know_is_signed_too() -> None:
    entry = signed(b'{"id": "v1", "of the future": 1}', KEY, "default")
    check_signature(entry, KEY, "default", "v1")
    with pytest.raises(UntrustedArtifact, match="not of this node's key"):
        check_signature(entry.replace(b'": 1', b'": 2'), KEY, "default", "v1")


@pytest.mark.parametrize("data", [b"\x80\x05K\x01.", b"[1, 2]", b"7"])
def test_what_is_no_object_is_refused_as_untrusted(data: bytes) -> None:
    with pytest.raises(UntrustedArtifact, match="no JSON object"):
        check_signature(data, KEY, "default", "v1")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(InvalidValue, match="32 bytes, got 4"):
        signed(b"{}", b"1234", "default")
