"""A service's prediction as the answer of a read: encoded once a change, and completed with age and status at every read.

Records come from `app.cache.cache`; `app.api.predictions` and `app.api.shortcut` answer with what is made here. The number of answers that
are kept is bounded: the one that was not read for longest gives way.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TypeAlias

import msgspec

from app.cache.cache import Cache
from app.cache.documents import tenant_key
from app.cache.records import PredictionRecord
from app.telemetry import Telemetry
from features.series import WHOLE

__all__ = ["HIDDEN", "Entries", "Entry", "age_s", "headers_of", "matches", "tag_of"]

_Made: TypeAlias = tuple[tuple[int, ...], tuple[int, int]]

HIDDEN = ("explanation", "serving")
"""Members of a record that lists and answers leave out."""

_MOST = 4096  # answers of services that are kept. Guessed: at 10 KB each, some operations to a service, 40 MB.


def age_s(record: PredictionRecord, now: datetime) -> float:
    """Return the seconds since a prediction's `as_of`."""
    return max(0.0, (now - record.as_of).total_seconds())


def tag_of(record: PredictionRecord, stale: bool) -> str:
    """Return the entity tag of a prediction: its id, and another one once it is stale.

    The tag is weak, since the age differs from answer to answer (RFC 9110, 8.8.1).
    """
    return f'W/"{record.id}.stale"' if stale else f'W/"{record.id}"'


def headers_of(record: PredictionRecord, now: datetime, stale: bool) -> dict[str, str]:
    """Return the headers that tell caches what a prediction is.

    `max-age` is the whole life from `as_of` on: caches subtract `Age` (RFC 9111, 4.2.3). What is stale may not be used again unasked.
    """
    life_s = max(0, int((record.expires_at - record.as_of).total_seconds()))
    return {
        "ETag": tag_of(record, stale),
        "Age": str(int(age_s(record, now))),
        "Cache-Control": "private, no-cache" if stale else f"private, max-age={life_s}",
        "Vary": "X-Scope-OrgID",
    }


def matches(if_none_match: str | None, tag: str) -> bool:
    """Compare weakly, as If-None-Match does (RFC 9110, 13.1.2).

    Examples
    --------
    >>> matches('"other", "p1"', 'W/"p1"'), matches('W/"p1"', 'W/"p1.stale"'), matches(None, 'W/"p1"')
    (True, False, False)
    """
    if if_none_match is None:
        return False
    held = [part.strip() for part in if_none_match.split(",")]
    return "*" in held or tag.removeprefix("W/") in [part.removeprefix("W/") for part in held]


class _Row:
    """A prediction as JSON with two places left open: `"status"`, and `age_s` at its end."""

    __slots__ = ("_after", "_before", "_fresh", "_overtaken", "_record")

    def __init__(self, record: PredictionRecord, overtaken: bool) -> None:
        self._record = record
        self._overtaken = overtaken
        members = {name: getattr(record, name) for name in PredictionRecord.__slots__}
        names = [name for name in members if name not in (*HIDDEN, "status")]
        place = names.index("as_of") + 1
        first, last = ({name: members[name] for name in part} for part in (names[:place], names[place:]))
        self._before = msgspec.json.encode(first)[:-1] + b',"status":"'
        self._fresh = record.status.encode()
        self._after = b'",' + msgspec.json.encode(last)[1:-1] + b',"age_s":'

    def stale(self, now: datetime) -> bool:
        return self._overtaken or now > self._record.expires_at

    def open_json(self, now: datetime) -> bytes:
        """Return the object without its closing brace."""
        status = b"stale" if self.stale(now) else self._fresh
        return b"%s%s%s%r" % (self._before, status, self._after, age_s(self._record, now))


@dataclass(frozen=True, slots=True)
class Entry:
    """The prediction of a whole service with those of its operations.

    Parameters
    ----------
    whole : PredictionRecord
        Of the service.
    rows : tuple
        What is encoded, the service's first.
    made_of : tuple
        Revisions of the documents, and what was news then; of other ones another answer has to be made.
    """

    whole: PredictionRecord
    rows: tuple[_Row, ...]
    made_of: _Made

    def stale(self, now: datetime) -> bool:
        """Return whether the service's prediction is no longer to be used."""
        return self.rows[0].stale(now)

    def json(self, now: datetime) -> bytes:
        """Return the answer's body as of now."""
        whole, *operations = (row.open_json(now) for row in self.rows)
        return b'%s,"operations":[%s]}' % (whole, b",".join(one + b"}" for one in operations))


class Entries:
    """The answers of the services that were asked for lately.

    Parameters
    ----------
    cache : Cache
        Whose documents they are made of.
    telemetry : Telemetry
        Counts what is kept, what gives way, and how old a prediction is when it is read.
    most : int
        Answers that are kept at most.
    """

    def __init__(self, cache: Cache, telemetry: Telemetry, most: int = _MOST) -> None:
        self._cache = cache
        self._telemetry = telemetry
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[str, Entry]] = OrderedDict()
        telemetry.cache_entries.set_function(lambda: len(self._kept))

    def find(self, tenant: str, service: str, now: datetime) -> Entry | None:
        """Return the answer of a service, None where it has no prediction.

        Parameters
        ----------
        tenant, service : str
            Which.
        now : datetime
            Aware UTC.
        """
        with self._lock:
            prefix, entry = self._kept.get((tenant, service), (None, None))
            if entry is not None:
                self._kept.move_to_end((tenant, service))
        if prefix is None:
            prefix = tenant_key(tenant, service, "")
        made_of = self._cache.revisions("predictions", prefix), self._cache.news.changes
        if entry is None or entry.made_of != made_of:
            entry = self._made(prefix, made_of)
            self._keep((tenant, service), prefix, entry)
        if entry is not None:  # what is not found here is counted where it is answered
            self._cache.count("predictions", "hit")
            self._telemetry.cache_age_seconds.observe(age_s(entry.whole, now))
        return entry

    def _made(self, prefix: str, made_of: _Made) -> Entry | None:
        records = self._cache.under("predictions", prefix, PredictionRecord)
        whole = next((record for record in records if record.operation == WHOLE), None)
        if whole is None:
            return None
        rows = (whole, *(record for record in records if record is not whole))
        return Entry(whole, tuple(_Row(record, self._cache.overtaken(record)) for record in rows), made_of)

    def _keep(self, key: tuple[str, str], prefix: str, entry: Entry | None) -> None:
        """Keep an answer; of what is not there nothing is kept."""
        with self._lock:
            self._kept.pop(key, None)
            if entry is None:
                return
            self._kept[key] = prefix, entry
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
                self._telemetry.cache_evictions.inc()
