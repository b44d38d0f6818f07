"""The wire models of Alertmanager's webhook, version 4, and what the answer says.

Members that are not used are not described: Alertmanager may add some. What is used is checked, and
a fault becomes a problem that names the value.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.bodies import UtcTime
from app.api.schemas import Out

__all__ = ["AlertIn", "AlertmanagerIn", "WebhookOut"]

_MOST_ALERTS = 10_000  # a body has a bound of its own; guessed: a group of that many says nothing


class AlertIn(BaseModel):
    """One alert of a group."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: UtcTime = Field(alias="startsAt")
    """When it began to fire."""
    ends_at: UtcTime | None = Field(None, alias="endsAt")
    """When it was resolved; looked at in a resolved alert alone."""
    fingerprint: Annotated[str, Field(max_length=128)] = ""
    """Of its labels; older senders leave it out."""

    @model_validator(mode="after")
    def _in_order(self) -> AlertIn:
        if self.status == "resolved" and (self.ends_at is None or self.ends_at < self.starts_at):
            ended = "nothing" if self.ends_at is None else self.ends_at.isoformat()
            raise ValueError(
                f"endsAt of a resolved alert must not be before startsAt {self.starts_at.isoformat()}, got {ended}"
            )
        return self


class AlertmanagerIn(BaseModel):
    """A group of alerts as Alertmanager sends it."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)

    version: Literal["4"]
    """The only version that there is."""
    alerts: Annotated[list[AlertIn], Field(max_length=_MOST_ALERTS)]


class Ignored(Out):
    """An alert that is no incident of anything here."""

    fingerprint: str
    reason: str


class WebhookOut(Out):
    """What became of a group of alerts."""

    incidents: list[str]
    """Ids of the incidents that the alerts are, in their order; each once."""
    ignored: list[Ignored]
