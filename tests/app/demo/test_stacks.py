"""Stack traces look as their language prints them."""

from __future__ import annotations

import pytest

from app.demo.stacks import stack


@pytest.mark.parametrize(
    ("language", "first", "inside"),
    [
        ("java", "E: broke", "\tat com.shop.cart."),
        ("python", "Traceback (most recent call last):", '  File "/app/cart/'),
        ("go", "broke", "goroutine "),
        ("dotnet", "E: broke", "   at Shop.Cart."),
        ("nodejs", "E: broke", "    at "),
        ("rust", "Error: broke", "Stack backtrace:"),
    ],
)
def test_a_stack_has_the_form_of_its_language(language: str, first: str, inside: str) -> None:
    text = stack(language, "cart", "GET /cart", "E", "broke")
    assert text.splitlines()[0] == first
    assert inside in text


def test_frames_stay_and_messages_change() -> None:
    one, other = stack("java", "cart", "GET /a", "E", "1"), stack("java", "cart", "GET /a", "E", "2")
    assert one != other
    assert one.splitlines()[1:] == other.splitlines()[1:]
