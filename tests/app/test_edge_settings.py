"""Settings of the edge name what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.auth import Scope
from app.edge_settings import GrantSettings
from app.settings import load_settings
from features.errors import InvalidSetting


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tls", {"certificate": "a.pem"}, r"security\.tls: .*certificate and key must be given together"),
        ("tls", {"client_ca": "a.pem"}, r"security\.tls: .*client_ca needs certificate and key"),
        ("limits", {"trusted_proxies": ["10.0.0.1/8"]}, r"limits\.trusted_proxies: .*has host bits set"),
        ("limits", {"token_requests_per_s": -1}, r"limits\.token_requests_per_s: .*greater than or equal to 0, got -1"),
        ("limits", {"max_addresses": 1}, r"limits\.max_addresses: .*greater than or equal to 16, got 1"),
    ],
)
def test_what_does_not_hold_is_named(tmp_path: Path, name: str, value: object, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        load_settings(None, data=tmp_path, **{f"security.{name}": value})


def test_a_grant_may_name_every_scope_and_no_other() -> None:
    GrantSettings(scopes=("ingest", "read", "feedback", "train", "admin"), tenants=("*",))
    assert list(Scope) == ["ingest", "read", "feedback", "train", "admin"]
    with pytest.raises(ValueError, match="scopes"):
        GrantSettings.model_validate({"scopes": ["root"], "tenants": ["*"]})


def test_tls_is_off_and_limits_are_too_until_somebody_says_so(tmp_path: Path) -> None:
    security = load_settings(None, data=tmp_path).security
    assert security.tls.certificate is None
    assert security.limits.token_requests_per_s == security.limits.address_bytes_per_s == 0.0
    assert security.limits.trusted_proxies == ()
