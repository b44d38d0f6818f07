"""Everything that the API does, by the names of methods; both clients have it from here."""

from __future__ import annotations

from app.client.access import Access
from app.client.forecasts import Forecasts
from app.client.health import Health
from app.client.learning import Runs, Versions
from app.client.notices import Notices
from app.client.troubles import Troubles
from app.client.verdicts import Verdicts

__all__ = ["Table"]


class Table(Forecasts, Troubles, Verdicts, Runs, Versions, Notices, Access, Health):
    """The calls of both clients. Of the blocking one they return their result, of the other one something to await."""
