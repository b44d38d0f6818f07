"""Puts the incidents of a tenant together into groups, and keeps the account of each group: causes, spread, what to do.

`app.main` runs it in a thread beside the worker; where a past is replayed the worker calls it after each tick, since a moment later the
documents tell of the next. Of several nodes a tenant's home does it (`app.home`), since it alone looks at all of the
tenant's services: what workers publish of them in the buckets ``incidents``, ``symptoms``, ``edges``, ``errors`` and ``services``, and what
people said. What it writes, the bucket ``groups``, it also goes on from, so that it survives a crash and a change of home; two homes at a
time write the same, or the second one's write is refused and it looks again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.cache.documents import encode_document, tenant_key
from app.cache.group_records import GroupRecord
from app.cache.records import IncidentRecord
from app.group_account import account, with_verdicts
from app.home import everywhere
from app.scene import Scene, Sources
from app.store.contract import Documents
from app.telemetry import Telemetry
from features.errors import Conflict, ForeshockError
from features.groups import Seen, group
from features.peers import CATEGORIES, peers_of

__all__ = ["GROUP_TTL_S", "Correlation", "CorrelationParts"]

logger = logging.getLogger(__name__)

GROUP_TTL_S = 30 * 86_400.0
"""Seconds for which a group is kept after its last change, as long as incidents are."""

_EVERY_S = 1.0  # between two looks at whether anything came; what comes, comes with a tick
_ANYWAY_S = 30.0  # guessed: after which a node looks that became home, or whose clock saw documents expire, where nothing came
_SETTLED = timedelta(hours=2)  # guessed: what begins so long after all was over is another trouble
_BUCKET = "groups"
_BEFORE = timedelta(minutes=2)  # guessed: the first failures lie in the window before the one that broke the rule


@dataclass(frozen=True, slots=True)
class CorrelationParts:
    """What it reads and writes.

    Parameters
    ----------
    documents : Documents
        What workers and the API publish; groups are written here.
    home : callable
        Whether this node decides for a tenant, see `app.home`.
    monotonic : callable
        Seconds.
    """

    documents: Documents
    home: Callable[[str], bool] = everywhere
    monotonic: Callable[[], float] = time.monotonic


class Correlation:
    """Keeps the groups of all tenants whose home is here.

    Parameters
    ----------
    parts : CorrelationParts
        What it reads and writes; the buckets are watched from now on.
    telemetry : Telemetry
        Where it counts.
    """

    def __init__(self, parts: CorrelationParts, telemetry: Telemetry) -> None:
        self.parts = parts
        self.telemetry = telemetry
        self.sources = Sources(parts.documents)
        self._looked_at: tuple[int, ...] = ()
        self._looked = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Look whenever something came, and anyway now and then, until told to stop."""
        while not stop.wait(_EVERY_S):
            self.look_at_news()

    def look_at_news(self) -> None:
        """Look at all tenants if something came since the last time, or that is a while ago."""
        changes, now = self.sources.changes, self.parts.monotonic()
        due = changes != self._looked_at or now - self._looked >= _ANYWAY_S
        if due and self.look_at_all():
            self._looked_at, self._looked = changes, now

    def look_at_all(self) -> bool:
        """Look at the tenants whose home this node is, and return whether all went well; what did not is logged and counted."""
        well = True
        for tenant in self.sources.tenants():
            try:
                well &= not self.parts.home(tenant) or self.look(tenant)
            except Exception as exc:  # forecasts go on whatever fails here, and the next look may be luckier
                unforeseen = None if isinstance(exc, ForeshockError) else exc
                logger.error("incidents of tenant %s were not put together: %s", tenant, exc, exc_info=unforeseen)
                self.telemetry.faults.labels(place="groups").inc()
                well = False
        return well

    def look(self, tenant: str) -> bool:
        """Put the tenant's incidents together and write what is new of their groups; return whether all of it was."""
        well = True
        heads = self._without_merged(self.sources.heads(tenant))
        unsettled = [one for one in heads.groups.values() if not _settled(one, heads.as_of)]
        for record in heads.groups.values():
            if _settled(record, heads.as_of):
                well &= self._write(record, with_verdicts(record, heads))
        settled = {name for one in heads.groups.values() if _settled(one, heads.as_of) for name in one.incidents}
        wanted = [one for one in heads.incidents.values() if one.id not in settled]
        if not wanted:
            return well
        scene = self.sources.scene(heads, wanted)
        before = {name: one.id for one in unsettled for name in one.incidents}
        found = group([_seen(one, scene) for one in wanted], scene.edges, scene.symptoms_now(), before)
        groups = dict(scene.groups)  # those made a moment ago are among the past of those that began later
        scene = replace(scene, groups=groups)
        for one in found:
            before_it = groups.get(one.id)
            groups[one.id] = made = account(one, before_it, scene)
            written = self._write(before_it, made)
            well &= written
            for name in one.merged:
                groups.pop(name, None)
                if written:  # else what it says would be lost
                    self.parts.documents.delete(_BUCKET, tenant_key(tenant, name))
        return well

    def _without_merged(self, heads: Scene) -> Scene:
        """Take away groups that another one took in, of two that took each other in the younger, which a home that was killed in between left behind."""
        groups = heads.groups
        gone = {
            name
            for one in groups.values()
            for name in one.merged
            if name in groups and (one.id not in groups[name].merged or (one.start, one.id) < (groups[name].start, name))
        }
        for name in sorted(gone):
            self.parts.documents.delete(_BUCKET, tenant_key(heads.tenant, name))
        return replace(heads, groups={name: one for name, one in groups.items() if name not in gone})

    def _write(self, before: GroupRecord | None, now: GroupRecord) -> bool:
        """Write a group that changed, unless somebody else wrote it meanwhile: the next look goes on from that."""
        if before is not None and replace(now, updated_at=before.updated_at) == before:
            return True
        key = tenant_key(now.tenant, now.id)
        try:
            revision = self.sources.groups.revision(key)  # of what this look began with
            self.parts.documents.swap(_BUCKET, key, encode_document(now), revision, ttl_s=GROUP_TTL_S)
        except Conflict:
            logger.info("group %s of tenant %s was written by another node", now.id, now.tenant)
            return False
        return True


def _settled(record: GroupRecord, as_of: datetime) -> bool:
    return record.end is not None and as_of - record.end > _SETTLED


def _seen(one: IncidentRecord, scene: Scene) -> Seen:
    """Return an incident with the traces and fingerprints of its errors and the peers that these name, as far as they are kept.

    Of the newest incident of a service the traces in which it failed a moment ago are known too.
    """
    heads, start, end = scene.errors.get(one.service), one.start - _BEFORE, one.end
    events = (
        [] if heads is None else [event for event in heads.events if event.time >= start and (end is None or event.time < end)]
    )
    return Seen(
        one.id,
        one.service,
        int(one.start.timestamp()),
        None if end is None else int(end.timestamp()),
        frozenset(event.trace_id for event in events if event.trace_id) | _traces_now(one, scene),
        frozenset(event.fingerprint for event in events),
        frozenset(
            name
            for event in events
            if event.category in CATEGORIES
            for name in peers_of(event.message, event.attributes)
            if name != one.service
        ),
    )


def _traces_now(one: IncidentRecord, scene: Scene) -> frozenset[str]:
    shown = scene.symptoms.get(one.service)
    if shown is None or one.end is not None:
        return frozenset()
    return frozenset(f"#{trace}" for trace in shown.traces)
