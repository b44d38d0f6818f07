"""Sends what is due to one channel, and notes what its receiver has.

`app.main` runs one for each channel, in a thread of its own, so that a receiver that is away delays no other. What is
due stands in the bucket ``notices``; what a process that dies had sent and not noted is sent again. While the store takes no
note, a sender that lives remembers what it sent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

from app.alerts.contract import Channel
from app.alerts.outbox import delivered, due, notice_of
from app.breaker import Breaker, full_jitter
from app.cache.alert_records import AlertRecord, DeliveryRecord, NoticeRecord
from app.cache.decoded import Decoded, read
from app.cache.documents import encode_document, tenant_key
from app.home import everywhere
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import CircuitOpen, Conflict, ForeshockError, NotDelivered, NoticeRefused, NotLetIn

__all__ = ["Sender", "SenderParts", "SenderPlan"]

logger = logging.getLogger(__name__)

_ATTEMPTS = 8  # guessed: who else writes a notice are the other channels and another home
_OPEN_TTL_S = 90 * 86_400.0  # of one that somebody does not have yet, as of a channel that is gone from the settings; guessed
_NOTE_AGAIN_S = 5.0  # after a note failed; guessed
_TRIES_TOGETHER = 3  # after which notices of a page that a receiver answers and does not take are sent one by one; guessed
_IN_VAIN = 8  # answers in a row that took nothing, from which a receiver counts as away although it answers; guessed
_LOOKS_LEFT_OUT = 10  # after one that failed; guessed
_SETTLED_TTL_S = 3600.0  # for which a notice that all have is kept, so that nobody begins it anew; guessed


@dataclass(frozen=True, slots=True)
class SenderPlan:
    """How a channel is used.

    Parameters
    ----------
    resend_s : float or None
        Seconds after which a receiver that forgets is told again; None tells once.
    poll_s : float
        Seconds between two looks at what is due.
    first_s, longest_s : float
        The bound of the wait after a first failure, and of the longest; in between they double, and chance takes a part.
    together : int
        Notices of a page that are sent at once at most. Guessed: what fits into a mail.
    """

    resend_s: float | None = None
    poll_s: float = 0.5
    first_s: float = 1.0
    longest_s: float = 60.0
    together: int = 64


@dataclass(frozen=True, slots=True)
class SenderParts:
    """What it reads and asks.

    Parameters
    ----------
    documents : Documents
        The buckets ``notices`` and ``alerts``.
    breaker : Breaker
        Of the channel's receiver.
    telemetry : Telemetry
        Where it counts.
    now : callable
        Returns the time, aware.
    home : callable
        Whether this node tells of a tenant's alerts.
    monotonic : callable
        Seconds.
    """

    documents: Documents
    breaker: Breaker
    telemetry: Telemetry
    now: Callable[[], datetime]
    home: Callable[[str], bool] = everywhere
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Tried:
    """How often a page was tried in a row, how often of these the receiver was there all the same, and when it is tried again."""

    times: int = 0
    answered: int = 0
    delivered: int = 0  # of the channel by then
    again_s: float = float("-inf")


_Outcome = Literal["delivered", "refused", "answered", "failed"]
"""What came of sending: what somebody answered and did not take is kept and tried again, as is what nobody did."""

_Labels = frozenset[tuple[str, str]]

_UNSETTLED: tuple[_Outcome, ...] = ("failed", "answered")


class Sender:
    """Tells one channel.

    Parameters
    ----------
    channel : Channel
        Used by one thread at a time.
    parts : SenderParts
        What it reads and asks.
    plan : SenderPlan
        How the channel is used.
    """

    def __init__(self, channel: Channel, parts: SenderParts, plan: SenderPlan = SenderPlan()) -> None:
        self.channel = channel
        self.parts = parts
        self.plan = plan
        self._notices = Decoded(parts.documents.watch("notices"), NoticeRecord)
        self._alerts = Decoded(parts.documents.watch("alerts"), AlertRecord)
        self._failed: dict[str, _Tried] = {}  # by page
        self._in_vain = 0  # answers in a row that took nothing
        self._delivered = 0
        self._left_alone_until_s = float("-inf")  # since the receiver asked for it
        self._ended: dict[_Labels, datetime] = {}  # when a receiver that forgets was told that what has these labels is over
        self._unnoted: dict[str, DeliveryRecord] = {}  # by key: what the receiver has, and the store does not know yet
        self._note_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Send what is due until told to stop."""
        while not stop.wait(self.plan.poll_s):
            try:
                self.send_due(stop.is_set)
            except Exception as exc:  # the store may be away, and the next look luckier
                unforeseen = None if isinstance(exc, ForeshockError) else exc
                logger.error("channel %s: notices were not looked at: %s", self.channel.name, exc, exc_info=unforeseen)
                self.parts.telemetry.faults.labels(place="notices").inc()
                stop.wait(_LOOKS_LEFT_OUT * self.plan.poll_s)
        self._notices.watch.close()
        self._alerts.watch.close()

    def send_due(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send what is due, page by page, those that failed least often first and then the oldest, and return how many notices were sent."""
        self._note_all()
        home = cache(self.parts.home)  # a question of all services of a tenant
        pages: dict[str, list[NoticeRecord]] = {}
        for notice in sorted(self._notices.all().values(), key=lambda notice: (notice.starts_at, notice.id)):
            alert = self._alerts.one(tenant_key(notice.tenant, notice.id))
            if home(notice.tenant) and self._due(notice, alert):
                pages.setdefault(notice.page, []).append(notice)
        self.parts.telemetry.notices_waiting.labels(channel=self.channel.name).set(sum(map(len, pages.values())))
        self._failed = {page: tried for page, tried in self._failed.items() if page in pages}
        if self._ended:
            named = {_labels(notice) for notice in self._notices.all().values()}
            self._ended = {labels: at for labels, at in self._ended.items() if labels in named}
        sent = 0
        # What fails for ever must not stand before the rest.
        for page in sorted(pages, key=lambda page: self._tried(page).times):
            if stopping() or not self._ready():
                break
            if self.parts.monotonic() >= self._tried(page).again_s:
                sent += self._send_page(page, pages[page])
        return sent

    def _tried(self, page: str) -> _Tried:
        return self._failed.get(page, _Tried())

    def _ready(self) -> bool:
        return self.parts.breaker.ready and self.parts.monotonic() >= self._left_alone_until_s

    def _due(self, notice: NoticeRecord, alert: AlertRecord | None) -> bool:
        sent = self._unnoted.get(tenant_key(notice.tenant, notice.id))
        known = notice if sent is None else delivered(notice, self.channel.name, sent.seq, sent.at, sent.refused)
        last, ended = known.delivered.get(self.channel.name), self._ended.get(_labels(notice)) if self._ended else None
        # Who knows alerts by their labels takes the next one of a series for over too, when the end of the one before comes late.
        overtaken = last is not None and ended is not None and last.at < ended
        return due(known, alert, self.channel.name, self.parts.now(), 0.0 if overtaken else self.plan.resend_s)

    def _send_page(self, page: str, notices: Sequence[NoticeRecord]) -> int:
        tried, sent, failures = self._tried(page), 0, list[_Outcome]()
        size = self.plan.together if tried.answered < _TRIES_TOGETHER else 1  # one may be at fault, and must hold no other back
        for chosen in (notices[start : start + size] for start in range(0, len(notices), size)):
            # As they are in the store, not in the watch: what was acknowledged on another node a moment ago is told to nobody.
            fresh = [pair for notice in chosen for pair in self._fresh(notice)]
            outcome = self._deliver(fresh) if fresh else "delivered"
            if outcome in _UNSETTLED:
                failures.append(outcome)
                if size > 1 or not self._ready():
                    break
            else:
                sent += len(fresh)
        if failures:
            wait_s = full_jitter(tried.times, self.plan.first_s, self.plan.longest_s, self.parts.breaker.rng)
            # Channels that cannot say who was there are known to be by what they took meanwhile.
            there = "answered" in failures or (tried.times > 0 and self._delivered > tried.delivered)
            again_s = self.parts.monotonic() + wait_s
            self._failed[page] = _Tried(tried.times + 1, tried.answered + there, self._delivered, again_s)
        else:
            self._failed.pop(page, None)
        return sent

    def _fresh(self, notice: NoticeRecord) -> list[tuple[NoticeRecord, AlertRecord | None]]:
        """Return a notice and its alert from the store, nothing where it is due no longer."""
        key, documents = tenant_key(notice.tenant, notice.id), self.parts.documents
        kept, alert = read(documents.get("notices", key), NoticeRecord), read(documents.get("alerts", key), AlertRecord)
        return [(kept, alert)] if kept is not None and self._due(kept, alert) else []

    def _deliver(self, fresh: Sequence[tuple[NoticeRecord, AlertRecord | None]]) -> _Outcome:
        """Send notices together and note it; return what came of it."""
        outcome, refused = self._sent(fresh)
        if outcome == "refused" and len(fresh) > 1:  # one of them may be at fault
            outcomes: list[_Outcome] = [self._deliver([one]) if self._ready() else "failed" for one in fresh]
            unsettled: list[_Outcome] = [one for one in outcomes if one in _UNSETTLED]
            return unsettled[0] if unsettled else "delivered"
        counted: _Outcome = "failed" if outcome == "answered" else outcome
        self.parts.telemetry.notices.labels(channel=self.channel.name, outcome=counted).inc(len(fresh))
        if counted == "failed":
            return outcome
        at = self.parts.now()
        self._unnoted |= {tenant_key(one.tenant, one.id): DeliveryRecord(one.seq, at, refused) for one, _ in fresh}
        if self.plan.resend_s is not None:
            self._ended |= {_labels(one): at for one, _ in fresh if not one.firing}
        self._note_all()
        return outcome

    def _sent(self, fresh: Sequence[tuple[NoticeRecord, AlertRecord | None]]) -> tuple[_Outcome, str]:
        """Send notices together; return what came of it, and why they were refused."""
        failure: NotDelivered | None = None
        try:
            with self.parts.breaker.call((NotDelivered,)):
                try:
                    self.channel.send([notice_of(*pair) for pair in fresh])
                except NotDelivered as exc:
                    failure = exc
                    if self._takes_nothing(exc):
                        raise
        except CircuitOpen:
            return "failed", ""
        except NotDelivered:
            pass  # it is the failure
        except Exception:  # of a channel's library: other pages must not wait for it to be understood
            logger.exception("channel %s: %d notices were not delivered, to be tried again", self.channel.name, len(fresh))
            self.parts.telemetry.faults.labels(place="notices").inc()
            return "failed", ""
        if failure is None:
            self._in_vain = 0
            self._delivered += 1
            return "delivered", ""
        return self._outcome(failure, len(fresh))

    def _takes_nothing(self, failure: NotDelivered) -> bool:
        """Return whether a failure is one of all notices: nobody is there, or whoever answers has taken nothing for long."""
        self._in_vain = 0 if failure.took or _is_final(failure) else self._in_vain + 1
        return failure.away or self._in_vain >= _IN_VAIN

    def _outcome(self, failure: NotDelivered, n: int) -> tuple[_Outcome, str]:
        self._left_alone_until_s = self.parts.monotonic() + failure.wait_s
        if _is_final(failure):
            logger.warning("channel %s refused %d notices: %s", self.channel.name, n, failure)
            return "refused", str(failure) or repr(failure)
        level = logging.WARNING if isinstance(failure, NotLetIn) else logging.INFO
        logger.log(level, "channel %s: %d notices were not delivered, to be tried again: %s", self.channel.name, n, failure)
        self.parts.breaker.retries.inc()
        return ("failed" if failure.away else "answered"), ""

    def _note_all(self) -> None:
        """Write who has what was sent, also earlier, as far as the store takes it."""
        if self.parts.monotonic() < self._note_at:
            return
        try:
            for key, sent in list(self._unnoted.items()):
                self._note(key, sent)
                del self._unnoted[key]
        except Exception as exc:  # as of a full disk: what was sent must not be sent again for that, and others want to be told
            unforeseen = None if isinstance(exc, ForeshockError) else exc
            text = "channel %s: %d notices that were sent could not be noted, to be tried again: %s"
            logger.error(text, self.channel.name, len(self._unnoted), exc, exc_info=unforeseen)
            self.parts.telemetry.faults.labels(place="notices").inc()
            self._note_at = self.parts.monotonic() + _NOTE_AGAIN_S

    def _note(self, key: str, sent: DeliveryRecord) -> None:
        """Write what the receiver has of one notice.

        Raises
        ------
        Conflict
            When others write it again and again.
        """
        documents = self.parts.documents
        for attempt in range(_ATTEMPTS):
            found = documents.get("notices", key)
            kept = read(found, NoticeRecord)
            if found is None or kept is None:
                return
            after = delivered(kept, self.channel.name, sent.seq, sent.at, sent.refused)
            ttl_s = _SETTLED_TTL_S if after.settled else _OPEN_TTL_S
            try:
                documents.swap("notices", key, encode_document(after), found.revision, ttl_s=ttl_s)
                return
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise


def _labels(notice: NoticeRecord) -> _Labels:
    return frozenset(notice.labels.items())


def _is_final(failure: NotDelivered) -> bool:
    """Return whether a receiver will never take what it refused."""
    return isinstance(failure, NoticeRefused) and not isinstance(failure, NotLetIn)
