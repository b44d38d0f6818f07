"""Whether matchers fit labels."""

from __future__ import annotations

from app.alerts.labels import admits, matchers_of


def test_all_matchers_must_fit_and_an_absent_label_is_empty() -> None:
    both = matchers_of({"service": "pay*", "operation": "!GET *"})
    assert admits(both, {"service": "payment", "operation": "POST /charge"})
    assert not admits(both, {"service": "payment", "operation": "GET /charge"})
    assert not admits(both, {"operation": "POST /charge"})
    assert admits(matchers_of({"zone": ""}), {})


def test_a_name_with_brackets_fits_itself() -> None:
    assert admits(matchers_of({"operation": "GET /items/[id]"}), {"operation": "GET /items/[id]"})
