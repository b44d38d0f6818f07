"""Who belongs to the cluster and lives: every node rewrites its own document, and watches when those of the others change.

A member lives while its document changes within its time to live on the reader's own monotonic clock; no two clocks are compared. Only
time in which the reader's own heartbeats went through counts against others: who could not write, or did not run, knows nothing of them.
`app.ownership` beats and asks who lives; the documents lie in the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.cache.member_records import ALIVE, DEAD, LEAVING, MEMBERS, Member, NodeState, decode_member, encode_member
from app.store.contract import Document, Documents
from features.errors import Conflict, InvalidSetting, InvalidValue, StoreFailed

__all__ = ["Membership"]

logger = logging.getLogger(__name__)

_KEPT = 1200
"""Times to live after which a document vanishes from the store, an hour by default. Vanishing goes by the wall clocks of the nodes, so it
must be more than they ever differ; who lives is known long before."""

_BEATS = 2  # guessed: a reader that beats less often than every second heartbeat does not run well enough to judge by all of that time
_TRIES = 3  # of one beat: the answer to an earlier one was lost, or a name became free
_WRITES = 2  # of a process of the same name that prove that it lives; one may have been on its way when it died


@dataclass(slots=True)
class _Seen:
    """What is known of another member: when its document changed last, on the clock that counts and on the one that runs."""

    member: Member
    revision: int
    counted_s: float
    at_s: float
    dead: bool = False


@dataclass(slots=True)
class _Namesake:
    """A document of this node's name by another process, and for how long it was seen not to change."""

    revision: int
    looked_s: float
    still_s: float = 0.0
    writes: int = 0


class Membership:
    """The place of this node among the members, and what it knows of the others.

    Parameters
    ----------
    documents : Documents
        Where all members lie.
    me : Member
        This node, with a random incarnation.
    heartbeat_s : float
        Seconds between two beats.
    ttl_s : float
        Seconds without a change after which a member is dead; more than three heartbeats.
    monotonic : callable
        Seconds on a clock that nobody sets.

    Raises
    ------
    InvalidSetting
        When the time to live is no more than three heartbeats, or there is no incarnation.
    """

    def __init__(
        self,
        documents: Documents,
        me: Member,
        *,
        heartbeat_s: float = 0.5,
        ttl_s: float = 3.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < 3 * heartbeat_s < ttl_s:
            raise InvalidSetting(
                f"ttl_s must be more than three times heartbeat_s ({heartbeat_s}) and that above 0, got {ttl_s}"
            )
        if not me.incarnation:
            raise InvalidSetting(f"incarnation of member {me.id!r} must be at least 1 character, got ''")
        self.me = me
        self.heartbeat_s, self.ttl_s = heartbeat_s, ttl_s
        self._documents = documents
        self._monotonic = monotonic
        self._watch = documents.watch(MEMBERS)
        self._lock = threading.Lock()  # over what is known of others; never held while the store works
        self._others: dict[str, _Seen] = {}
        self._unreadable: dict[str, int] = {}
        self._revision = 0
        self._namesake: _Namesake | None = None
        self._told: Member | None = None
        self._sent_s = self._beat_s = monotonic()
        self._counted_s = self._listening_s = 0.0  # time that counts, in all and when listening began
        self._interrupted = False

    def beat(self, me: Member) -> bool:
        """Write what this node says of itself, and judge the others if it went through.

        Parameters
        ----------
        me : Member
            What stands there from now on, of the same id and incarnation.

        Returns
        -------
        bool
            Whether it is written. False while the store refuses, and while a document of this name may be that of a process that lives.

        Raises
        ------
        InvalidSetting
            When another process has this node's id: it beats, or it took the name over while this one did not run.
        """
        sent_s = self._monotonic()
        try:
            written = self._write(me)
        except (Conflict, StoreFailed) as exc:
            if not self._interrupted:
                logger.warning("the heartbeat of node %s failed, so it judges nobody: %s", me.id, exc)
            self._interrupted, self._namesake = True, None
            return False
        if written:
            self._went_through(me, sent_s)
            self._judge()
        return written

    @property
    def listening(self) -> bool:
        """Whether the others are watched for less than a time to live since the start or an interruption, so that some may be unknown."""
        return self._told is None or self._counted_s - self._listening_s < self.ttl_s

    @property
    def waits(self) -> bool:
        """Whether it looks if another process beats under this node's name, and is no member yet."""
        return self._namesake is not None

    @property
    def changes(self) -> int:
        """How often any member's document has changed; cheap."""
        return self._watch.changes

    def others(self) -> list[Member]:
        """Return the others that live, by id, those that are leaving too."""
        with self._lock:
            self._look()
            return [seen.member for _, seen in sorted(self._others.items()) if not seen.dead]

    def states(self) -> tuple[NodeState, ...]:
        """Return all members, by id, with this one, and those that died within the last hour or so."""
        with self._lock:
            self._look()
            now_s = self._monotonic()
            found = [NodeState(s.member, max(0.0, now_s - s.at_s), _state(s.member, s.dead)) for s in self._others.values()]
            if self._told is not None:
                found.append(NodeState(self._told, max(0.0, now_s - self._beat_s), _state(self._told, False)))
        return tuple(sorted(found, key=lambda each: each.member.id))

    def leave(self) -> None:
        """Remove this node's document; where the store refuses, the others see that it does not beat any more."""
        if self._told is not None:
            try:
                self._documents.delete(MEMBERS, self.me.id)
            except StoreFailed as exc:
                logger.warning("the document of node %s stays until its time is over: %s", self.me.id, exc)
            self._told, self._revision = None, 0

    def close(self) -> None:
        """Watch no more; a second call does nothing."""
        self._watch.close()

    def _write(self, me: Member) -> bool:
        """Write over what this process wrote last, or over a dead namesake; return whether it is written."""
        for _ in range(_TRIES):
            try:
                value, ttl_s = encode_member(me), _KEPT * self.ttl_s
                self._revision = self._documents.swap(MEMBERS, me.id, value, self._revision, ttl_s=ttl_s)
            except Conflict:
                there = self._documents.get(MEMBERS, me.id)
                if there is None:  # expired, while this process did not run for that long
                    self._revision = 0
                elif _incarnation(there) == me.incarnation or self._is_free(there):
                    self._revision = there.revision  # ours, and its answer was lost; or nobody's
                else:
                    return False
            else:
                self._namesake = None
                return True
        raise Conflict(f"document {MEMBERS}/{me.id} changed {_TRIES} times while it was written")

    def _is_free(self, there: Document) -> bool:
        """Return whether the process that wrote this node's document is dead: it did not write for a time to live."""
        if self._told is not None:
            raise InvalidSetting(
                f"node id {self.me.id!r} is used by another process, which took it over while this one did not run;"
                " give each node an id of its own (setting cluster.node, or the file `node` in its data folder)"
            )
        now_s, last = self._monotonic(), self._namesake
        if last is None:
            logger.info("node %s waits %g s to see that nobody else beats under its name", self.me.id, self.ttl_s)
            self._namesake = _Namesake(there.revision, now_s)
            return False
        if there.revision != last.revision:
            last.revision, last.still_s, last.writes = there.revision, 0.0, last.writes + 1
        else:
            last.still_s += min(now_s - last.looked_s, _BEATS * self.heartbeat_s)
        last.looked_s = now_s
        if last.writes >= _WRITES:
            raise InvalidSetting(
                f"node id {self.me.id!r} is used by another process that runs now; give each node an id of its own"
                " (setting cluster.node, or the file `node` in its data folder, which must not be copied)"
            )
        return last.still_s >= self.ttl_s

    def _went_through(self, me: Member, sent_s: float) -> None:
        """Count the time since the last beat, or start to watch the others anew where some of it was lost."""
        with self._lock:
            now_s = self._monotonic()
            if self._told is None or self._interrupted or now_s - self._sent_s > self.ttl_s:
                for seen in self._others.values():  # who was dead before stays so until it beats
                    seen.counted_s = self._counted_s
                self._listening_s = self._counted_s
            else:
                self._counted_s += min(now_s - self._beat_s, _BEATS * self.heartbeat_s)
            self._told, self._interrupted = me, False
            self._sent_s, self._beat_s = sent_s, now_s

    def _judge(self) -> None:
        """Find who is dead, asking the store itself: what is in memory here may be behind."""
        with self._lock:
            self._look()
            late = [s for s in self._others.values() if not s.dead and self._counted_s - s.counted_s >= self.ttl_s]
        for seen in late:
            try:
                there = self._documents.get(MEMBERS, seen.member.id)
            except StoreFailed:
                return
            with self._lock:
                if there is None or not self._take(there):
                    seen.dead = seen.counted_s <= self._counted_s - self.ttl_s  # it may have come in meanwhile

    def _look(self) -> None:
        """Take in what the watch has; the caller holds the lock."""
        there = set[str]()
        for document in self._watch.items():
            there.add(document.key)
            if document.key != self.me.id:
                self._take(document)
        for key in self._others.keys() - there:  # it left, or died an hour ago
            del self._others[key]

    def _take(self, document: Document) -> bool:
        """Take in one document if it is news, and return whether it is; the caller holds the lock."""
        known = self._others.get(document.key)
        if document.revision <= (known.revision if known else self._unreadable.get(document.key, 0)):
            return False
        try:
            member = decode_member(document.value)
        except InvalidValue as exc:
            if document.key not in self._unreadable:
                logger.warning("the document of node %s cannot be read, so it is no member here: %s", document.key, exc)
            self._unreadable[document.key] = document.revision
            return False
        now_s = self._monotonic()
        counted_s = self._counted_s + min(now_s - self._beat_s, _BEATS * self.heartbeat_s)
        self._others[document.key] = _Seen(member, document.revision, counted_s, now_s)
        return True


def _state(member: Member, dead: bool) -> str:
    return DEAD if dead else LEAVING if member.leaving else ALIVE


def _incarnation(document: Document) -> str:
    """Return whose process wrote a document; empty where that cannot be read."""
    try:
        return decode_member(document.value).incarnation
    except InvalidValue:
        return ""
