"""The services of a tenant by risk, as one table that all browsers share: looked at once a change, sent as what changed.

`app.dashboard.risks` shows it. A row is a list of plain values in the order of `COLUMNS`, since thousands of them are sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TypeAlias

import msgspec
from anyio import to_thread

from app.cache.cache import Cache
from app.cache.documents import tenant_key
from app.cache.records import IncidentRecord, ServiceSummary
from app.dashboard.live import Live
from app.dashboard.ongoing import abnormal, by_service, foretold, status_of
from app.dashboard.past import Past
from app.store.contract import Document
from features.series import WHOLE, SeriesKey
from models.prediction import HORIZONS, AnomalyScore, Chance, Reason

__all__ = ["COLUMNS", "Board", "Boards", "Delta", "Row", "Told", "spark"]

COLUMNS = (
    "service",
    "5min",
    "15min",
    "60min",
    "status",
    "reason",
    "as_of_s",
    "expires_s",
    "requests_per_minute",
    "error_ratio",
    "incident",
    "since_s",
)
"""What a row holds, in order: the chances are None where they are no question, the reason is None where none was looked for, and an open
incident of the whole service has an id and a start."""

Row: TypeAlias = tuple[str | float | None, ...]

Told: TypeAlias = "Callable[[str], None]"
"""Takes a `Delta` as JSON: one text for all browsers."""

_POINTS = 60  # of a sparkline: an hour of ticks
_BASE, _STEPS = 35, 90  # printable characters from the one behind the quotation mark on
_BUCKETS = ("predictions", "models", "feedback", "incidents")
_RISK, _AS_OF, _SINCE = (COLUMNS.index(name) for name in ("60min", "as_of_s", "since_s"))


class _Head(msgspec.Struct):
    """What a row takes from a prediction."""

    service: str
    as_of: datetime
    expires_at: datetime
    status: str
    horizons: dict[str, Chance]
    reasons: tuple[Reason, ...] = ()
    anomaly: AnomalyScore | None = None
    explanation: dict[str, msgspec.Raw] | None = None
    serving: str = ""
    feedback: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed in a board between two looks.

    Parameters
    ----------
    number : int
        Of the look; a reader that has the one before is up to date with it.
    rows : tuple of Row
        New ones, and those of which a value changed that is shown.
    gone : tuple of str
        Services that are no longer there.
    as_of_s, expires_s : float
        Of all rows that are not among `rows` and not among `late`: their numbers stayed the same.
    late : tuple of str
        Services that did not move on to `as_of_s`.
    """

    number: int
    rows: tuple[Row, ...]
    gone: tuple[str, ...]
    as_of_s: float
    expires_s: float
    late: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self.rows and not self.gone and not self.as_of_s


@dataclass(slots=True)
class _Known:
    """A row as it was looked at last, with what it was made of and the last hour of it: unix seconds and probabilities."""

    revision: int
    row: Row
    points: deque[tuple[float, float | None]]
    incident: IncidentRecord | None = None


class Board:
    """A tenant's services. Threads may share it; `number` and `rows` are those of the last look that was finished.

    Parameters
    ----------
    cache : Cache
        Where predictions and summaries are.
    tenant : str
        Whose.
    past : Past
        The last hour, for sparklines.
    """

    def __init__(self, cache: Cache, tenant: str, past: Past) -> None:
        self.number = 0
        self._cache = cache
        self._prefix = tenant_key(tenant, "")
        self._tenant = tenant
        self._past = past
        self._known: dict[str, _Known] = {}
        self._news = (-1, -1)
        self._rows: tuple[Row, ...] = ()
        self._remembered = False
        self._lock = Lock()

    def rows(self) -> tuple[Row, ...]:
        """Return all rows, riskiest first."""
        return self._rows

    def sparks(self) -> dict[str, str]:
        """Return the last hour of every service as characters, see `spark`."""
        with self._lock:
            return self._sparks()

    def whole(self) -> tuple[int, str]:
        """Return the number of the last look, and all rows and sparklines as JSON; blocks for some milliseconds with thousands."""
        with self._lock:
            said = {"number": self.number, "rows": self._rows, "sparks": self._sparks()}
            return self.number, msgspec.json.encode(said).decode()

    def remember(self) -> None:
        """Take the last hour out of history, once; blocks."""
        if self._remembered:
            return
        past = self._past.sparks(self._tenant)
        with self._lock:
            if self._remembered:
                return
            self._remembered = True
            for known in self._known.values():
                newer = tuple(known.points)
                since = int(newer[0][0]) if newer else float("inf")  # history has whole seconds
                older = (one for one in past.get(str(known.row[0]), ()) if one[0] < since)
                known.points.clear()
                known.points.extend((*older, *newer))

    def look(self) -> Delta:
        """Read what changed since the last look; blocks for some 50 ms with 2,000 services (benchmarks/dashboard.py)."""
        with self._lock:
            delta = self._look()
            if not delta.empty:
                rows = (known.row for known in self._known.values())
                self._rows = tuple(sorted(rows, key=_by_risk))
            self.number = delta.number  # last, so that who reads it first has rows that are no older
            return delta

    def _sparks(self) -> dict[str, str]:
        return {str(known.row[0]): spark(known.points, self._past.tick_s) for known in self._known.values()}

    def _look(self) -> Delta:
        news, there = self._cache.news.changes, set[str]()
        incidents = by_service(self._cache.all("incidents", self._prefix, IncidentRecord).values())
        changed: list[_Known] = []
        moved: list[_Known] = []
        for document in self._documents():
            there.add(document.key)
            known = self._known.get(document.key)
            incident = incidents.get(str(known.row[0])) if known is not None else None
            if known is not None and known.revision == document.revision and news == self._news and known.incident is incident:
                continue
            row, incident = self._row(document, incidents)
            if not row:
                continue
            if known is None:
                known = self._known[document.key] = _Known(0, (), deque(maxlen=_POINTS))
            self._sort(known, row, changed, moved)
            known.revision, known.incident = document.revision, incident
        self._news = news
        return self._delta(changed, moved, [key for key in self._known if key not in there])

    def _sort(self, known: _Known, row: Row, changed: list[_Known], moved: list[_Known]) -> None:
        """Put a row where it belongs: among those that look otherwise, or those that are only newer."""
        before, known.row = known.row, row
        if not before or before[_AS_OF] != row[_AS_OF]:
            risk = row[_RISK]
            known.points.append((float(row[_AS_OF] or 0.0), risk if isinstance(risk, float) else None))
        if not before or _shown(before) != _shown(row):
            changed.append(known)
        elif before[_AS_OF] != row[_AS_OF]:
            moved.append(known)

    def _delta(self, changed: list[_Known], moved: list[_Known], gone: list[str]) -> Delta:
        names = tuple(str(self._known.pop(key).row[0]) for key in gone)
        as_of_s, expires_s = (max((float(known.row[at] or 0.0) for known in moved), default=0.0) for at in (_AS_OF, _AS_OF + 1))
        new = {id(known) for known in changed}
        rest = [known for known in self._known.values() if id(known) not in new] if moved else []
        late = tuple(str(known.row[0]) for known in rest if known.row[_AS_OF] != as_of_s)
        return Delta(self.number + 1, tuple(known.row for known in changed), names, as_of_s, expires_s, late)

    def _documents(self) -> Iterator[Document]:
        """Yield the predictions of whole services."""
        end = "/" + tenant_key(WHOLE)
        return (document for document in self._cache.documents("predictions", self._prefix) if document.key.endswith(end))

    def _row(self, document: Document, incidents: Mapping[str, IncidentRecord]) -> tuple[Row, IncidentRecord | None]:
        """Return a row and the open incident that it tells of; an empty one of what cannot be read."""
        try:
            head = msgspec.json.decode(document.value, type=_Head)
        except (msgspec.DecodeError, ValueError):  # of another version: it is left out, as everywhere
            return (), None
        summary = self._cache.one("services", tenant_key(self._tenant, head.service), ServiceSummary)
        news = self._cache.news.known(SeriesKey(self._tenant, head.service, WHOLE))
        overtaken = head.serving != news.serving or head.feedback < news.feedback
        incident = incidents.get(head.service)
        own = incident if incident is not None and incident.operation == WHOLE else None
        told = foretold(head.status, incident)
        row = (
            head.service,
            *(round(head.horizons[name].probability, 4) if told else None for name in HORIZONS),
            status_of(head.status, incident, overtaken),
            self._reason(head, incident),
            head.as_of.timestamp(),
            head.expires_at.timestamp(),
            None if summary is None else float(f"{summary.requests_per_minute:.3g}"),
            None if summary is None else float(f"{summary.error_ratio:.2g}"),
            own.id if own is not None else "",
            own.start.timestamp() if own is not None else None,
        )
        return row, incident

    def _reason(self, head: _Head, incident: IncidentRecord | None) -> str | None:
        """Return what stands out most: of an operation an incident, of the forecast a reason, of the last hour an anomaly."""
        said = [f"incident of {incident.operation}"] if incident is not None and incident.operation != WHOLE else []
        said += [reason.text for reason in head.reasons[:1]]
        if not said and head.anomaly is not None:
            said = [abnormal(head.anomaly, self._past.tick_s)]
        return "; ".join(filter(None, said)) or (None if head.explanation is None else "")


class Boards:
    """The boards that somebody looks at, one a tenant.

    Parameters
    ----------
    cache : Cache
        Of the documents.
    past : Past
        Of history.
    live : Live
        Says when to look again.
    """

    def __init__(self, cache: Cache, past: Past, live: Live) -> None:
        self._cache = cache
        self._past = past
        self._live = live
        self._boards: dict[str, tuple[Board, list[Told], Callable[[], None]]] = {}
        self._lock = asyncio.Lock()

    async def follow(self, tenant: str, told: Told) -> tuple[Board, Callable[[], None]]:
        """Return the board of a tenant and what ends the following; whoever follows is told every delta."""
        async with self._lock:
            if tenant not in self._boards:
                board, since = Board(self._cache, tenant, self._past), self._live.numbers()
                await to_thread.run_sync(board.look, limiter=self._live.reads)

                async def changed() -> None:
                    await self._changed(tenant)

                unfollow = self._live.follow(_BUCKETS, changed, since=since)
                self._boards[tenant] = board, [], unfollow
            board, told_all, _ = self._boards[tenant]
            told_all.append(told)
        return board, lambda: self._leave(tenant, told)

    async def whole(self, board: Board) -> str:
        """Return all that a board holds as JSON, no older than the last delta that was told."""
        while True:
            number, said = await to_thread.run_sync(board.whole, limiter=self._live.reads)
            if number == board.number:
                return said

    async def remember(self, board: Board) -> None:
        """Let a board take the last hour out of history."""
        await to_thread.run_sync(board.remember, limiter=self._live.reads)

    def _leave(self, tenant: str, told: Told) -> None:
        if tenant not in self._boards:
            return
        _, told_all, unfollow = self._boards[tenant]
        if told in told_all:
            told_all.remove(told)
        if not told_all:
            unfollow()
            del self._boards[tenant]

    async def _changed(self, tenant: str) -> None:
        board, told_all, _ = self._boards[tenant]

        def look() -> str:
            delta = board.look()
            return "" if delta.empty else msgspec.json.encode(delta).decode()

        said = await to_thread.run_sync(look, limiter=self._live.reads)
        if said:
            for told in tuple(told_all):
                told(said)


def spark(points: Sequence[tuple[float, float | None]], tick_s: float) -> str:
    """Return the last hour of probabilities as characters, one a tick and a square root apart, so that small ones are seen.

    A blank stands where there is none.

    Examples
    --------
    >>> spark([(0.0, 0.0), (60.0, 0.0001), (240.0, 1.0), (300.0, None)], 60.0)
    '#$  } '
    """
    text = ""
    for place, (at, point) in enumerate(points):
        missed = round((at - points[place - 1][0]) / tick_s) - 1 if place else 0
        text += " " * min(missed, _POINTS) + (
            " " if point is None else chr(_BASE + round(_STEPS * min(max(point, 0.0), 1.0) ** 0.5))
        )
    return text[-_POINTS:]


def _by_risk(row: Row) -> tuple[bool, float, float, str]:
    """Return what rows are in order of: incidents first, the one that began first above all, then by falling probability, then by name."""
    return row[_RISK] is not None, float(row[_SINCE] or 0.0), -float(row[_RISK] or 0.0), str(row[0])


def _shown(row: Row) -> Row:
    """Return what of a row is seen beside its age, to the digits that are shown."""
    return (*row[:_AS_OF], *row[_AS_OF + 2 :])
