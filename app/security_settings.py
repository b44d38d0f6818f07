"""The settings of access: who must show a token; `app.settings` holds them as the group `security`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from app.redaction_settings import RedactionSettings

__all__ = ["SecuritySettings"]


class SecuritySettings(BaseModel):
    """Who may reach the service, and as whom."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    require_tokens: bool = False
    """Whether every request must show a token that allows what it asks for. Off by default, since a node on loopback is reached by the users of its own machine alone; then whoever reaches a port may do everything."""
    redaction: RedactionSettings = RedactionSettings()
