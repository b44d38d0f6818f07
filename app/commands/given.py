"""The settings that a command was given: its options over the environment, over the file."""

from __future__ import annotations

from pathlib import Path

from app.opening import made
from app.settings import Settings, load_settings

__all__ = ["made_settings", "settings_of"]


def settings_of(config: Path | None, data: Path | None, host: str | None = None, roles: str | None = None) -> Settings:
    """Return the settings of a command that may make its data folder.

    Parameters
    ----------
    config : Path or None
        The TOML file.
    data, host, roles : optional
        What the options say; None leaves it to the environment and the file.

    Raises
    ------
    InvalidSetting
        With one line that names the setting, the value and the bound.
    """
    return load_settings(config, data=data, roles=roles, **{"server.host": host})


def made_settings(config: Path | None, data: Path | None) -> Settings:
    """Return the settings of a command whose data folder has to be there.

    Raises
    ------
    InvalidSetting
        As `settings_of`.
    InvalidValue
        When the folder is no data folder.
    """
    return made(settings_of(config, data))
