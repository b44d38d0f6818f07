"""Which services' probabilities leave as metrics: of all that stand in the bucket ``predictions``, the riskiest that still hold.

`app.exports.exposition` shows them to whoever reads `/metrics`, `app.exports.otlp` sends them. Nothing is done between two looks, so the cost
is one of looking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from app.cache.cache import PredictionHead
from app.cache.documents import decode_document, tenant_key
from app.cache.news import News
from app.store.contract import Document, Watch
from features.errors import InvalidValue
from features.series import WHOLE, SeriesKey
from models.prediction import HORIZONS

__all__ = ["FORESEEN", "Chances", "Shown"]

FORESEEN = ("ok", "prior")
"""Statuses in which a prediction's probability says something of what is to come."""

_LONGEST = max(HORIZONS, key=HORIZONS.__getitem__)
_OF_A_SERVICE = tenant_key("", WHOLE)  # what the keys of whole services end with


@dataclass(frozen=True, slots=True)
class Shown:
    """What leaves, and what does not.

    Parameters
    ----------
    heads : tuple of PredictionHead
        Of whole services: those in an incident, then by falling probability of the longest horizon, then by name.
    beyond : int
        Services left out because there are more than are wanted.
    stale : int
        Services left out because something came that their prediction does not know of.
    """

    heads: tuple[PredictionHead, ...] = ()
    beyond: int = 0
    stale: int = 0


class Chances:
    """The newest predictions of whole services.

    Parameters
    ----------
    predictions : Watch
        Of the bucket ``predictions``.
    news : News
        What may have come since.
    now : callable
        The time, aware UTC.
    """

    def __init__(self, predictions: Watch, news: News, now: Callable[[], datetime]) -> None:
        self.now = now
        self._predictions = predictions
        self._news = news
        self._lock = Lock()
        self._known: dict[str, tuple[int, PredictionHead | None]] = {}  # by key, with the revision that it was decoded from

    def shown(self, most: int, admits: Callable[[str, str], bool] = lambda _tenant, _service: True) -> Shown:
        """Return the riskiest services whose predictions hold.

        Parameters
        ----------
        most : int
            How many at most.
        admits : callable
            Whether a tenant's service is wanted at all.
        """
        now = self.now()
        found = [head for head in self._heads() if now <= head.expires_at and admits(head.tenant, head.service)]
        holding = [head for head in found if not self._overtaken(head)]
        holding.sort(key=_by_risk)
        return Shown(tuple(holding[:most]), max(0, len(holding) - most), len(found) - len(holding))

    def _heads(self) -> list[PredictionHead]:
        """Decode what changed since the last look; 10,000 services take what `benchmarks/exports.py` says."""
        with self._lock:
            before, self._known = self._known, {}
            for document in self._predictions.items():
                if document.key.endswith(_OF_A_SERVICE):
                    known = before.get(document.key)
                    if known is None or known[0] != document.revision:
                        known = document.revision, _head(document)
                    self._known[document.key] = known
            return [head for _, head in self._known.values() if head is not None]

    def _overtaken(self, head: PredictionHead) -> bool:
        known = self._news.known(SeriesKey(head.tenant, head.service, head.operation))
        return head.serving != known.serving or head.feedback < known.feedback


def _head(document: Document) -> PredictionHead | None:
    try:
        return decode_document(document.value, PredictionHead)
    except InvalidValue:  # of another version, whose own node shows it
        return None


def _by_risk(head: PredictionHead) -> tuple[bool, float, str, str]:
    return head.status != "in_incident", -head.horizons[_LONGEST].probability, head.tenant, head.service
