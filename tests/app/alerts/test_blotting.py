"""Nothing of an address or a secret stays in a text."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from app.alerts.blotting import blotted, pieces_of


@given(secret=st.text(min_size=4, max_size=12), around=st.text(max_size=8))
def test_no_piece_of_an_address_stays_in_a_text(secret: str, around: str) -> None:
    url = f"json://me:{quote(secret, safe='')}@example.com/path"
    for shown in (secret, quote(secret, safe="")):
        assert secret not in blotted(f"{around}{shown}{around}", pieces_of(url))


@given(secrets=st.sets(st.text("abcd", min_size=4, max_size=8), min_size=1), text=st.text("abcd ", max_size=40))
def test_of_secrets_that_hold_each_other_none_stays(secrets: set[str], text: str) -> None:
    assert [secret for secret in secrets if secret in blotted(text, secrets)] == []
