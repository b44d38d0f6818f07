"""The wire models of what only the stream sends; its other events are items of lists."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.api.schemas import Out

__all__ = ["DroppedOut", "ModelChangeOut"]


class ModelChangeOut(Out):
    """A model version came, or a step was taken with one."""

    action: Literal["registered", "promoted", "rolled_back", "challenged", "rejected", "kept", "refused"]
    version: str
    before: str | None
    at: AwareDatetime | None
    who: str
    why: str


class DroppedOut(Out):
    """Events were lost."""

    lost: int | None
    """Null where that is not known."""
    why: str
