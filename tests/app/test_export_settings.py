"""Settings of what is exported say by themselves what cannot be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.export_settings import ExportSettings
from app.settings import load_settings
from features.errors import InvalidSetting


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("", ""),
        ("http://collector:4318", "http://collector:4318/v1/metrics"),
        ("http://collector:4318/", "http://collector:4318/v1/metrics"),
        ("https://otlp.example/tenant/v1/metrics", "https://otlp.example/tenant/v1/metrics"),
    ],
)
def test_the_path_of_otlp_is_added_where_there_is_none(given: str, used: str) -> None:
    assert ExportSettings(otlp_endpoint=given).otlp_endpoint == used


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317", "http://me:hidden@collector:4318", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        ExportSettings(otlp_endpoint=url)


def test_what_may_be_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_EXPORT__OTLP_ENDPOINT", "http://me:hidden@collector:4318")
    with pytest.raises(InvalidSetting, match=r"export\.otlp_endpoint: .*otlp_headers") as raised:
        load_settings()
    assert "hidden" not in str(raised.value)


def test_a_header_that_cannot_be_sent_is_refused_unshown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESHOCK_EXPORT__OTLP_HEADERS", '{"Authorization": "Bearer hidden\\n"}')
    with pytest.raises(InvalidSetting, match=r"export\.otlp_headers: .*visible ASCII") as raised:
        load_settings()
    assert "hidden" not in str(raised.value)
