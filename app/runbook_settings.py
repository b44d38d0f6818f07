"""Settings of the runbook: where steps of recovery plans are posted to when somebody says so.

`app.settings` holds them, `app.runbook` reads them.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from app.channel_settings import checked_address

__all__ = ["RunbookSettings"]

_SHORTEST_SECRET = 16


class RunbookSettings(BaseModel):
    """The webhook that takes a step of a plan. Nothing is posted unasked, and nothing is executed here."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    url: SecretStr = SecretStr("")
    """Where `POST /api/v1/incidents/{id}/plan/{step}:post` posts the step to, such as `https://automation.example.com/foreshock`. Empty by default: then it answers 409. It is never printed, since its path may be what lets a sender in."""
    secret: SecretStr = SecretStr("")
    """What the body is signed with, at least 16 characters of text, or `whsec_` and the bytes in Base64: HMAC-SHA256 as Standard Webhooks have it. Needed beside `url`, since whoever can post there may set something off."""
    timeout_s: float = Field(default=10.0, gt=0.0, le=120.0)
    """Seconds for the connection, and for each part of the answer. Longer lets a slow receiver hold the person who asked, shorter gives up one that would have taken the step; the same step sent again has the same id."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value():
            checked_address(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if self.url.get_secret_value() and len(self.secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"secret must have at least {_SHORTEST_SECRET} characters where url is set")
        return self
