"""Settings of history: where it lies, how its store is spoken to, and how long rows stay.

`app.settings` holds them, `app.main` hands them to `app.history.delta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["SCHEMES", "HistorySettings", "checked_options", "checked_url"]

SCHEMES = ("file", "s3", "gs", "az")
"""Schemes of URLs that history may lie under."""

_UNSAFE = ("allow_unsafe_rename", "aws_s3_allow_unsafe_rename", "mount_allow_unsafe_rename")


class HistorySettings(BaseModel):
    """Days for which rows of history stay, by table; whole UTC days of the log's time; 0, the default of all, keeps for ever."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    windows_days: int = Field(default=0, ge=0, le=36_500)
    """Counts of every series and minute. For ever by default, since nothing is deleted that nobody asked to; a year costs some GB for a thousand busy series. Training and backtests read them, so at least `models.history_days`: with little more a backtest has few incidents to judge by, 400 keep a year to compare with."""
    facts_days: int = Field(default=0, ge=0, le=36_500)
    """Numbers about services that training reads beside `windows`; at least `models.history_days`. Keep both alike: without its facts a day teaches less."""
    errors_days: int = Field(default=0, ge=0, le=36_500)
    """ErrorEvents with message and stack, which are most of the disk and may name people: the first to bound, with 90 say, where disk or the law asks for it. Nothing here reads them again, so 1 is enough for Foreshock; for ever keeps whatever you may want to look into."""
    predictions_days: int = Field(default=0, ge=0, le=36_500)
    """What was forecast for every series and minute. A verdict on a prediction looks two weeks back, so with fewer than 15 some find nothing; more is for your own notebooks."""
    incidents_days: int = Field(default=0, ge=0, le=36_500)
    """When incidents were detected and when they ended. A row is small and nothing else remembers them after 30 days; few days save next to nothing."""

    def days(self) -> dict[str, int]:
        """Return days by table."""
        return {name.removesuffix("_days"): days for name, days in self.model_dump().items()}


def checked_url(url: str) -> str:
    """Return a folder or URL that history may lie under.

    Raises
    ------
    ValueError
        When it names a scheme that nothing here reads, no bucket, or who logs in: that belongs into the options.

    Examples
    --------
    >>> checked_url("s3://telemetry/foreshock/")
    's3://telemetry/foreshock'
    >>> checked_url("ftp://telemetry")
    Traceback (most recent call last):
    ValueError: scheme must be one of ('file', 's3', 'gs', 'az') or a folder be given, got 'ftp'
    """
    if "://" not in url:
        return url
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {SCHEMES} or a folder be given, got {scheme!r}")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ValueError("must be a URL such as s3://bucket/path") from exc
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must hold neither credentials nor a query; they belong into history_options")
    if scheme == "file":
        if parts.netloc or len(parts.path) < 2:  # noqa: PLR2004 - a slash and a letter
            raise ValueError("must name an absolute folder, such as file:///var/lib/foreshock/history")
    elif not parts.netloc:
        raise ValueError(f"must name a bucket, such as {scheme}://bucket/path")
    return url.rstrip("/")


def checked_options(options: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    """Return options of the object store, none of which lets one node overwrite what another one wrote.

    Raises
    ------
    ValueError
        When an option does.

    Examples
    --------
    >>> list(checked_options({"AWS_REGION": SecretStr("eu-central-1")}))
    ['aws_region']
    """
    lowered = {name.lower(): value for name, value in options.items()}
    unsafe = [
        name for name in _UNSAFE if lowered.get(name, SecretStr("false")).get_secret_value().lower() not in ("false", "0")
    ]
    if unsafe:
        raise ValueError(f"{unsafe[0]} would let nodes overwrite each other's rows; leave it out")
    return lowered
