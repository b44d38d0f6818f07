"""Tables of channels say what cannot be, and never what is secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings, load_settings
from features.errors import InvalidSetting

SECRET = "hidden-0123456789"
AM = {"kind": "alertmanager", "urls": ["https://am.example/prefix/"]}
HOOK = {"kind": "webhook", "url": f"https://hook.example/{SECRET}", "secrets": [SECRET], "headers": {"X-Key": SECRET}}
PEOPLE = {"kind": "apprise", "urls": [f"slack://{SECRET}/b/c"]}


def loaded(monkeypatch: pytest.MonkeyPatch, **channels: Any) -> Settings:
    monkeypatch.setenv("FORESHOCK_CHANNELS", json.dumps(channels))
    return load_settings()


def test_a_table_is_read_from_the_environment_and_printed_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, am=AM | {"token": SECRET}, hook=HOOK, people=PEOPLE)
    assert [table.kind for table in settings.channels.values()] == ["alertmanager", "webhook", "apprise"]
    assert settings.channels["am"].urls == ("https://am.example/prefix",)  # pyright: ignore[reportAttributeAccessIssue]
    for shown in (settings.model_dump_json(), repr(settings)):
        assert SECRET not in shown


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (AM | {"urls": []}, "at least 1 item"),
        (AM | {"urls": [f"http://me:{SECRET}@am.example"]}, "no user name"),
        (AM | {"urls": [f"am.example:{SECRET}"]}, "must begin with http://"),
        (AM | {"urls": [f"http://am.example:0/{SECRET}"]}, "must begin with http://"),
        (AM | {"urls": [f"http://am.example:{SECRET}"]}, "must begin with http://"),
        (AM | {"username": "me"}, "belong together"),
        (AM | {"username": "me", "password": SECRET, "token": SECRET}, "beside username"),
        (AM | {"token": f"{SECRET}\n"}, "visible ASCII"),
        (AM | {"urls": [f"http://am .example/{SECRET}"]}, "must begin with http://"),
        (HOOK | {"headers": {"X-Key": f" {SECRET}"}}, "visible ASCII"),
        (HOOK | {"headers": {"X Key": SECRET}}, "letters, digits"),
        (HOOK | {"url": f"ftp://{SECRET}"}, "must begin with http://"),
        (HOOK | {"secrets": ["short"]}, "at least 16"),
        (HOOK | {"secret": SECRET}, "Extra inputs"),
        (PEOPLE | {"timeout_s": 0}, "greater than 0"),
        ({"kind": "pigeon", "urls": [SECRET]}, "alertmanager"),
    ],
)
def test_what_cannot_be_stops_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch, table: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=r"setting channels\.am") as raised:
        loaded(monkeypatch, am=table)
    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_name_holds_letters_and_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match="setting channels"):
        loaded(monkeypatch, **{"on call": AM})


def test_a_table_of_the_file_is_one_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text('[channels.am]\nkind = "alertmanager"\nurls = ["http://a:9093", "http://b:9093"]\n')
    assert load_settings(tmp_path / "f.toml").channels["am"].timeout_s == 10.0
