"""What is signed for one purpose with one key opens for no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.edge.signed import Seal

KEY = bytes(range(32))


@given(st.text(max_size=60))
def test_what_was_signed_opens_and_nothing_else_does(value: str) -> None:
    seal = Seal(KEY, "session")
    signed = seal.signed(value)
    assert seal.opened(signed) == value
    assert Seal(KEY, "login").opened(signed) is None
    assert Seal(bytes(32), "session").opened(signed) is None
    assert seal.opened(signed[:-1] + ("A" if signed[-1] != "A" else "B")) is None
    assert seal.opened("x" + signed) is None


@given(st.text(max_size=100))
def test_nothing_that_somebody_makes_up_opens(text: str) -> None:
    assert Seal(KEY, "session").opened(text) is None
