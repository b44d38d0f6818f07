"""What is sent to people and to other systems, and what a way of sending does.

`app.alerts` makes notices out of the states of alerts; channels send them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

__all__ = ["Channel", "Notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as it is told to somebody.

    Parameters
    ----------
    key : str
        Names the alert: the same for all that is ever said of it. Receivers may drop what they know by key and state.
    firing : bool
        Whether it fires, or is over.
    labels : Mapping of str to str
        Its identity, ``alertname`` among them; nothing that changes while it fires.
    annotations : Mapping of str to str
        What may change: probability, lead time, reasons, links.
    starts_at : datetime
        Since when it fires, aware.
    ends_at : datetime or None
        When it was over; None while it fires.
    link : str
        Where a person reads more, empty where that is not known.
    """

    key: str
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    starts_at: datetime = field(kw_only=True)
    ends_at: datetime | None = None
    link: str = ""


class Channel(Protocol):
    """A way of sending notices. Used by one thread."""

    @property
    def name(self) -> str:
        """What routes, metrics and errors call it."""
        ...

    def send(self, notices: Sequence[Notice]) -> None:
        """Send notices that belong together, and return once the receiver has them. Blocks.

        Raises
        ------
        NotDelivered
            When it is not known that the receiver has all of them; `retryable` says whether trying again may help.
        """
        ...
