"""What stands before REST is put together from the settings, and a login that cannot work stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.edge.oidc import Oidc
from app.entrance import provider_of
from app.settings import Settings, load_settings
from features.errors import InvalidSetting
from tests.nodes import run_node

OIDC = {"issuer": "https://idp.example", "client_id": "foreshock", "url": "https://foreshock.example.com"}


def settings_of(folder: Path, **oidc: str) -> Settings:
    return load_settings(None, data=folder, **{"security.oidc": oidc} if oidc else {})


def test_a_provider_is_there_where_the_settings_name_one(tmp_path: Path) -> None:
    assert provider_of(settings_of(tmp_path), bytes(32)) is None
    assert isinstance(provider_of(settings_of(tmp_path, **OIDC), bytes(32)), Oidc)


def test_a_provider_without_its_packages_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "app.edge.oidc", None)
    with pytest.raises(InvalidSetting, match=r"security\.oidc\.issuer: .*pip install 'foreshock\[oidc\]'"):
        provider_of(settings_of(tmp_path, **OIDC), bytes(32))


@pytest.mark.parametrize(
    ("oidc", "words"),
    [
        ({"issuer": "https://idp.example"}, "issuer needs client_id and url"),
        ({"issuer": "idp.example"}, r"oidc\.issuer"),
        ({**OIDC, "url": "https://foreshock.example.com/path"}, r"oidc\.url"),
    ],
)
def test_a_provider_that_is_half_set_up_is_refused(tmp_path: Path, oidc: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        settings_of(tmp_path, **oidc)


def test_a_secret_of_the_provider_is_not_shown(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, **OIDC, client_secret="of the client")
    assert "of the client" not in settings.model_dump_json() + repr(settings)


def test_a_node_without_pages_has_no_login_and_guards_rest_all_the_same(tmp_path: Path) -> None:
    with run_node(tmp_path, security__require_tokens=True) as running:
        assert running.client.get(f"{running.served.api}/login").status_code == 401
        answer = running.client.get(f"{running.served.api}/livez")
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")


@pytest.mark.parametrize(("allow_open", "status"), [(False, 403), (True, 404)])
def test_a_node_of_this_machine_alone_knows_its_names(allow_open: bool, status: int, tmp_path: Path) -> None:
    with run_node(tmp_path, security__allow_open=allow_open) as running:
        borrowed = {"host": "elsewhere.example", "origin": "http://elsewhere.example"}
        answer = running.client.delete(f"{running.served.api}/api/v1/silences/none", headers=borrowed)
        assert answer.status_code == status
