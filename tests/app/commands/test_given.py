"""What options say wins, and what they leave out the environment and the file say."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.given import made_settings, settings_of
from app.opening import open_alone
from features.errors import InvalidSetting, InvalidValue


def test_options_win_over_the_environment_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "foreshock.toml"
    config.write_text('data = "of-the-file"\n[server]\nhost = "::1"\n', encoding="utf-8")
    monkeypatch.setenv("FORESHOCK_DATA", "of-the-environment")
    found = settings_of(config, None)
    assert (found.data, found.server.host) == (Path("of-the-environment"), "::1")
    found = settings_of(config, tmp_path, "127.0.0.2", "ingest,worker,api")
    assert (found.data, found.server.host, found.roles) == (tmp_path, "127.0.0.2", "ingest,worker,api")
    with pytest.raises(InvalidSetting, match=r"setting roles: .*got 'cook'"):
        settings_of(None, None, roles="cook")


def test_a_folder_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=f"{tmp_path} is no data folder"):
        made_settings(None, tmp_path)
    open_alone(settings_of(None, tmp_path)).close()
    assert made_settings(None, tmp_path).data == tmp_path
