"""The audit log: who changed what when, from where, and what became of it.

`app.api.guard` writes what comes over REST, commands write what they do to a folder or a cluster themselves, and `app.api.audit` reads. A deed is
written twice, each time a document that nothing writes over: before it is done, so that nothing is done unseen, and after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec

from app.store.contract import Documents
from features.errors import InvalidValue

__all__ = ["BEGUN", "BUCKET", "AuditLog", "Deed"]

BUCKET = "audit"

BEGUN = "begun"
"""Outcome of a deed of which nothing more is known: it is under way, or the process ended meanwhile, and it may be done or not."""

_DAY = timedelta(days=1)
_MAX_CHARS = 512  # of each text from outside
_MARK = re.compile(r"fsk_[0-9a-f]{12}_[A-Za-z0-9_\-]+")


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did or tried.

    Parameters
    ----------
    action : str
        What, see `app.auth.needs`.
    principal : str
        By whose token or login; `anyone` where none is demanded.
    tenant : str
        Whose data it is about; empty where it is of no tenant.
    address : str
        Where the request came from; empty for what a command does by itself.
    object : str
        What it was done to.
    outcome : str
        `begun`, or the HTTP status that was answered, or what a command says.
    at : datetime or None
        When it was begun, aware UTC; the log sets it.
    id : str
        The log sets it.
    """

    action: str
    principal: str
    tenant: str
    address: str
    object: str
    outcome: str = BEGUN
    at: datetime | None = None
    id: str = ""


class AuditLog:
    """Appends deeds and reads them.

    Parameters
    ----------
    documents : Documents
        Where they are kept.
    now : callable
        The clock; aware UTC.
    kept_s : float
        Seconds for which a deed is kept.
    """

    def __init__(self, documents: Documents, now: Callable[[], datetime], kept_s: float) -> None:
        self._documents = documents
        self._now = now
        self.kept_s = kept_s

    def begin(self, deed: Deed) -> Deed:
        """Write that something is about to be done, durably, and return it with its time and id.

        Raises
        ------
        StoreFailed
            When it cannot be written; then it is not to be done.
        """
        cut = replace(deed, object=_shown(deed.object), principal=_shown(deed.principal), at=self._now(), id=uuid4().hex)
        self._write(_key(cut), cut)
        return cut

    def end(self, deed: Deed, outcome: str, about: str = "") -> Deed:
        """Write what became of it, and where it is known only now what it was done to.

        Raises
        ------
        StoreFailed
            When it cannot be written; that it was begun is there.
        """
        ended = replace(deed, outcome=outcome, object=_shown(about) or deed.object)
        self._write(f"{_key(ended)}/end", ended)
        return ended

    @contextmanager
    def during(self, deed: Deed) -> Generator[None]:
        """Write down what a command does: before it, and whether it was done or refused.

        Raises
        ------
        StoreFailed
            When it cannot be written before; then nothing is done.
        """
        begun = self.begin(deed)
        try:
            yield
        except BaseException:
            self.end(begun, "refused")
            raise
        self.end(begun, "done")

    def deeds(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[Deed]:
        """Iterate over the deeds begun in [since, until), newest first, each as it was known last.

        Parameters
        ----------
        since, until : datetime, optional
            Aware; all that is kept by default.
        """
        now = self._now()
        first = max(since or now - timedelta(seconds=self.kept_s), now - timedelta(seconds=self.kept_s))
        end = until or now + _DAY  # clocks of nodes differ
        day = min(end, now + _DAY).astimezone(UTC)
        while day.date() >= first.astimezone(UTC).date():
            yield from (deed for deed in self._of_day(day) if deed.at is not None and first <= deed.at < end)
            day -= _DAY

    def _of_day(self, day: datetime) -> list[Deed]:
        found: dict[str, Deed] = {}
        for document in self._documents.items(BUCKET, f"{day:%Y-%m-%d}/"):
            try:
                deed = msgspec.json.decode(document.value, type=Deed)
            except (msgspec.DecodeError, ValueError) as exc:
                raise InvalidValue(f"document {document.key} of the audit log cannot be read: {exc}") from exc
            if deed.outcome != BEGUN or deed.id not in found:
                found[deed.id] = deed
        return sorted(found.values(), key=lambda deed: (deed.at, deed.id), reverse=True)

    def _write(self, key: str, deed: Deed) -> None:
        self._documents.swap(BUCKET, key, msgspec.json.encode(deed), 0, ttl_s=self.kept_s)


def _key(deed: Deed) -> str:
    return f"{deed.at:%Y-%m-%d/%H%M%S%f}-{deed.id}"


def _shown(text: str) -> str:
    """Return a text from outside as it may be kept: bounded, and without a token that somebody put at the wrong place."""
    return _MARK.sub("fsk_...", text)[:_MAX_CHARS]
